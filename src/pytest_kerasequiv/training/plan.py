"""The plan of repeated training: what is trained, how often, and how close is close enough."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.statistics.margin import parse_margin
from pytest_kerasequiv.training.data import Split, split

ENGINES = ("auto", "fit", "vectorized")
DEFAULT_SEEDS = 20
MOST_SEEDS = 1_000_000
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
    ) -> None:
        given = {
            "metrics": _metric_names(metrics),
            "epochs": _positive("epochs", epochs),
            "batch_size": _positive("batch_size", batch_size),
            "shuffle": _flag("shuffle", shuffle),
            "seeds": None if seeds is None else _seeds(seeds),
            "margin": margin,
            "alpha": None if alpha is None else _alpha(alpha),
            "paired": _flag("paired", paired),
            "engine": None if engine is None else _engine(engine),
            "fit": fit,
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


def _metric_names(metrics: Sequence[str] | None) -> tuple[str, ...] | None:
    if metrics is None:
        return None
    if isinstance(metrics, str):
        raise InputError(
            f"metrics={metrics!r} is one string; pass a list of names, for example metrics=[{metrics!r}]"
        )
    if not isinstance(metrics, Iterable):
        raise InputError(f"metrics={metrics!r} is no list of names; pass for example metrics=['loss']")
    names = tuple(metrics)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong or not names:
        what = f"holds {wrong[0]!r}" if wrong else "is empty"
        raise InputError(
            f"metrics {what}; pass names as evaluate(return_dict=True) returns them, such as "
            f"metrics=['loss'], "
            "or leave it out for all of them"
        )
    if len(set(names)) < len(names):
        raise InputError(f"metrics={list(names)!r} names a metric twice; name each once")
    return names


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise InputError(f"{name}={value!r} must be a whole number of at least 1")
    return int(value)


def _flag(name: str, value: Any) -> bool:
    if value is True or value is False:
        return value
    raise InputError(f"{name}={value!r} must be True or False")


def _seeds(seeds: Any) -> int | tuple[int, ...]:
    count = None if isinstance(seeds, bool) or not isinstance(seeds, numbers.Integral) else int(seeds)
    if count is not None:
        if count < 2:
            raise InputError(f"seeds={seeds} is too few: a spread needs at least 2 runs; 20 is the default")
        if count > MOST_SEEDS:
            raise InputError(
                f"seeds asks for more than {MOST_SEEDS} runs; give a number such as 20, the default"
            )
        return count
    if isinstance(seeds, (str, bytes, Mapping)) or not isinstance(seeds, Iterable):
        raise InputError(f"seeds={seeds!r} must be a count such as 20, or a list of whole numbers")
    listed = list(seeds)
    wrong = [s for s in listed if not _is_seed(s)]
    if wrong:
        raise InputError(f"seeds holds {wrong[0]!r}; each seed must be a whole number from 0 to 4294967295")
    if len(listed) < 2:
        raise InputError(
            f"seeds={listed!r} is too few: a spread needs at least 2 runs; pass at least two seeds"
        )
    twice = sorted({s for s in listed if listed.count(s) > 1})
    if twice:
        raise InputError(
            f"seeds names {twice[0]} more than once; a repeated seed is no new run, so name each once"
        )
    return tuple(int(s) for s in listed)


def _is_seed(value: Any) -> bool:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return whole and 0 <= int(value) < 2**32


def _alpha(alpha: Any) -> float:
    if isinstance(alpha, bool) or not isinstance(alpha, numbers.Real) or not 0 < float(alpha) < 0.5:
        raise InputError(f"alpha={alpha!r} must be a number above 0 and below 0.5; 0.05 is the default")
    return float(alpha)


def _engine(engine: Any) -> str:
    if engine not in ENGINES:
        raise InputError(f"engine={engine!r} is unknown; choose from {', '.join(ENGINES)}")
    return str(engine)


def _check_margin(margin: Any) -> None:
    for one in margin.values() if isinstance(margin, Mapping) else [margin]:
        parse_margin(one)
