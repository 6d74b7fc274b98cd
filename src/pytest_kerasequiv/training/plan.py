"""The plan of repeated training: what is trained, how often, and how close is close enough."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_kerasequiv import arguments
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.statistics.margin import parse_margin
from pytest_kerasequiv.training.data import Split, split

DEFAULT_SEEDS = 20
DEFAULT_ALPHA = 0.05
DEFAULT_ENGINE = "auto"

Margin = float | str | Mapping[str, float | str | None] | None
FitFunction = Callable[[Any, int], Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Training:
    """How both twins are trained, and how the difference of their metrics is judged.

    Args:
        train: ``(x, y)`` or ``(x, y, sample_weight)``, arrays as ``Model.fit`` takes them; lists or dicts of
            arrays for several inputs or outputs. The first axis counts samples.
        test: the same for ``Model.evaluate``.
        metrics: names as ``evaluate(return_dict=True)`` returns them; by default all of them.
        epochs: epochs of each run.
        batch_size: batch size of ``fit``. ``evaluate`` uses Keras's own default.
        shuffle: whether ``fit`` shuffles; the order depends on the seed only, so twins get the same.
        seeds: how many seeds (``20`` means 0 to 19, the default), or the seeds themselves.
        margin: the largest difference that does not matter: a number in metric units, ``"10%"`` of the
            reference mean, ``"0.5sd"`` of the reference's spread, or a dict of these per metric. Default:
            ``"1sd"``.
        alpha: error rate of the decision, 0.05 by default.
        paired: whether run i of both twins is a pair (they share their seed).
        engine: ``"fit"``, ``"vectorized"`` or ``"auto"`` (default).
        fit: ``fit(model, seed) -> {metric: value}``, your own loop instead of ``train`` and ``test``.
        observed: metric -> (the reference's, the candidate's) single value that made you ask; the report says
            how often two runs of one and the same model differ at least as much.

    Raises:
        InputError: an argument cannot be used; the message says which and what to do.
    """

    train: Any = None
    test: Any = None
    metrics: Sequence[str] | None = None
    epochs: int = 1
    batch_size: int = 32
    shuffle: bool = False
    seeds: int | Sequence[int] | None = None
    margin: Margin = None
    alpha: float | None = None
    paired: bool = True
    engine: str | None = None
    fit: FitFunction | None = None
    observed: Mapping[str, tuple[float, float]] | None = None

    def __init__(
        self,
        train: Any = None,
        test: Any = None,
        *,
        metrics: Sequence[str] | None = None,
        epochs: int = 1,
        batch_size: int = 32,
        shuffle: bool = False,
        seeds: int | Sequence[int] | None = None,
        margin: Margin = None,
        alpha: float | None = None,
        paired: bool = True,
        engine: str | None = None,
        fit: FitFunction | None = None,
        observed: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        given = {
            "metrics": arguments.metric_names(metrics),
            "epochs": arguments.positive("epochs", epochs),
            "batch_size": arguments.positive("batch_size", batch_size),
            "shuffle": arguments.flag("shuffle", shuffle),
            "seeds": arguments.seeds(seeds),
            "margin": margin,
            "alpha": None if alpha is None else arguments.alpha(alpha),
            "paired": arguments.flag("paired", paired),
            "engine": None if engine is None else arguments.engine(engine),
            "fit": fit,
            "observed": arguments.observed(observed),
        }
        given |= _data(train, test, fit)
        for name, value in given.items():
            object.__setattr__(self, name, value)
        _check_margin(margin)
        _check_fit_goes_with(self)

    def with_defaults(
        self,
        *,
        seeds: int | Sequence[int] | None = None,
        margin: Margin = None,
        alpha: float | None = None,
        engine: str | None = None,
    ) -> Training:
        """Return the plan with what it left open filled in; ``None`` leaves it open.

        Raises:
            InputError: a default cannot be used.
        """
        defaults = {"seeds": seeds, "margin": margin, "alpha": alpha, "engine": engine}
        missing: dict[str, Any] = {k: value for k, value in defaults.items() if getattr(self, k) is None}
        return replace(self, **missing)

    @property
    def seed_values(self) -> tuple[int, ...]:
        """The seeds, one a run."""
        seeds = DEFAULT_SEEDS if self.seeds is None else self.seeds
        return tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)

    @property
    def error_rate(self) -> float:
        """The alpha in force."""
        return DEFAULT_ALPHA if self.alpha is None else self.alpha

    @property
    def engine_name(self) -> str:
        """The engine asked for."""
        return DEFAULT_ENGINE if self.engine is None else self.engine

    @property
    def unused(self) -> dict[str, Any]:
        """What was set beside an own ``fit``, which alone decides how long and on what it trains."""
        if self.fit is None:
            return {}
        standing = {"train": None, "test": None, "epochs": 1, "batch_size": 32, "shuffle": False}
        return {name: getattr(self, name) for name, usual in standing.items() if getattr(self, name) != usual}

    def margin_of(self, metric: str) -> float | str | None:
        """Return the margin of one metric; ``None`` means the default."""
        if isinstance(self.margin, Mapping):
            return self.margin.get(metric)
        return self.margin


def _data(train: Any, test: Any, fit: FitFunction | None) -> dict[str, Split | None]:
    if fit is None:
        return {"train": _split_or_missing("train", train), "test": _split_or_missing("test", test)}
    if not callable(fit):
        raise InputError(
            f"fit={fit!r} is not callable; pass a function fit(model, seed) that trains the model and "
            "returns its metrics as a dict of numbers"
        )
    _check_called_with_two(fit)
    return {
        "train": None if train is None else split("train", train),
        "test": None if test is None else split("test", test),
    }


def _check_called_with_two(fit: FitFunction) -> None:
    """Refuse a function that cannot take model and seed: else each run would fail, one after the other."""
    if inspect.isbuiltin(fit):  # not all of them tell what they take
        return
    try:
        inspect.signature(fit).bind(None, 0)
    except ValueError:  # nor do classes written in C
        return
    except TypeError as error:
        raise InputError(
            f"fit={fit!r} cannot be called as fit(model, seed): {error}; let it take the model and the seed"
        ) from None


def _split_or_missing(name: str, value: Any) -> Split:
    if value is None:
        raise InputError(
            f"{name} is missing: Training needs train=(x, y) and test=(x, y), or your own training loop as "
            "fit=fit(model, seed) -> {metric: value}"
        )
    return split(name, value)


def _check_fit_goes_with(plan: Training) -> None:
    if plan.fit is not None and plan.engine == "vectorized":
        raise InputError(
            "engine='vectorized' cannot run your own fit=; it trains from train and test. Leave engine out, "
            "or pass train and test instead of fit"
        )


def _check_margin(margin: Any) -> None:
    for one in margin.values() if isinstance(margin, Mapping) else [margin]:
        parse_margin(one)
