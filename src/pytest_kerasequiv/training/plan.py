"""The plan of repeated training: what is trained, how often, and how close is close enough."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_kerasequiv import arguments
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.statistics.margin import parse_margin
from pytest_kerasequiv.training.data import Split
from pytest_kerasequiv.training.feeds import FUNCTION, Feed, data_of, kind_of
from pytest_kerasequiv.training.fit_options import fit_options, with_weights

DEFAULT_SEEDS = 20
DEFAULT_ALPHA = 0.05
DEFAULT_ENGINE = "auto"

_OPTIONS = ("class_weight", "callbacks", "validation_data", "validation_steps", "steps_per_epoch")

Margin = float | str | Mapping[str, float | str | None] | None
FitFunction = Callable[[Any, int], Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Training:
    """How both twins are trained, and how the difference of their metrics is judged.

    Args:
        train: ``(x, y)`` or ``(x, y, sample_weight)``, arrays or pandas frames as ``Model.fit`` takes them,
            lists or dicts of these for several inputs or outputs; the first axis counts samples. Or data that
            come in batches: a ``tf.data.Dataset``, a Keras ``PyDataset``, a torch ``DataLoader``, other
            batches with a length. Or a function that makes any of these, called in each run under its seed,
            which is passed where the function names an argument ``seed``.
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
        sample_weight: weights of the samples of ``train``, where it does not bring its own.
        class_weight: class -> weight of its samples in ``train``.
        callbacks: a function that returns the callbacks of one run, called for each: ``lambda: [...]``; or
            where to find it, ``"package.module:function"``.
        validation_data: what ``fit`` evaluates after each epoch, for its callbacks; as ``test``.
        validation_split: share of the samples of ``train`` that ``fit`` takes for that.
        validation_steps: batches of it, where ``validation_data`` do not tell.
        steps_per_epoch: batches of an epoch, where ``train`` does not tell.
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
    class_weight: Mapping[int, float] | None = None
    callbacks: Callable[[], Any] | None = None
    validation_data: Any = None
    validation_split: float = 0.0
    validation_steps: int | None = None
    steps_per_epoch: int | None = None

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
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        callbacks: Callable[[], Any] | str | None = None,
        validation_data: Any = None,
        validation_split: float = 0.0,
        validation_steps: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        given: dict[str, Any] = {
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
        given |= fit_options(
            class_weight=class_weight,
            callbacks=callbacks,
            validation_data=validation_data,
            validation_split=validation_split,
            validation_steps=validation_steps,
            steps_per_epoch=steps_per_epoch,
        )
        given |= _data(train, test, fit, given, sample_weight)
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
        """What was set beside something that decides it alone: an own ``fit``, or data in batches."""
        cuts: dict[str, Any] = {"batch_size": 32, "shuffle": False}
        left: dict[str, Any] = cuts
        if self.fit is not None:
            left = dict.fromkeys(("train", "test", *_OPTIONS)) | {"epochs": 1, "validation_split": 0.0} | cuts
        elif isinstance(self.train, Feed) and not self.train.is_function:
            left = {"batch_size": 32} if self.train.is_py_dataset else cuts
        else:
            return {}
        return {name: getattr(self, name) for name, usual in left.items() if getattr(self, name) != usual}

    @property
    def feeds(self) -> dict[str, Feed]:
        """Those of the data that come in batches, by argument."""
        named = {"train": self.train, "test": self.test, "validation_data": self.validation_data}
        return {name: data for name, data in named.items() if isinstance(data, Feed)}

    @property
    def fit_alone(self) -> str | None:
        """Why engine ``fit`` alone can train it, whatever the model; ``None`` where the other can, too."""
        for name, data in self.feeds.items():
            return f"{name} is {data.kind}"
        for name in ("callbacks", "validation_data", "steps_per_epoch"):
            if getattr(self, name) is not None:
                return f"{name}= is given"
        return "validation_split= is given" if self.validation_split else None

    def margin_of(self, metric: str) -> float | str | None:
        """Return the margin of one metric; ``None`` means the default."""
        if isinstance(self.margin, Mapping):
            return self.margin.get(metric)
        return self.margin


def _data(
    train: Any, test: Any, fit: FitFunction | None, given: Mapping[str, Any], sample_weight: Any
) -> dict[str, Any]:
    if fit is None and (train is None or test is None):
        raise InputError(
            f"{'train' if train is None else 'test'} is missing: Training needs train=(x, y) and "
            "test=(x, y), or your own training loop as fit=fit(model, seed) -> {metric: value}"
        )
    if fit is not None:
        _check_own(fit)
    weights, passes = given["class_weight"], given["epochs"]
    steps, to_validate = given["steps_per_epoch"], given["validation_data"]
    read = {
        "train": lambda: data_of(
            "train", with_weights(train, sample_weight), steps=steps, passes=passes, class_weight=weights
        ),
        "test": lambda: data_of("test", test),
        "validation_data": lambda: data_of("validation_data", to_validate, steps=given["validation_steps"]),
    }
    if given["validation_split"] and not isinstance(train, Split) and kind_of(train) not in {None, FUNCTION}:
        raise InputError(
            f"validation_split goes with arrays, and train is {kind_of(train)}; pass validation_data="
        )
    asked = {"train": train, "test": test, "validation_data": to_validate}
    found = {name: None if value is None else read[name]() for name, value in asked.items()}
    return {**found, "class_weight": weights if isinstance(found["train"], Feed) else None}


def _check_own(fit: FitFunction) -> None:
    if not callable(fit):
        raise InputError(
            f"fit={fit!r} is not callable; pass a function fit(model, seed) that trains the model and "
            "returns its metrics as a dict of numbers"
        )
    _check_called_with_two(fit)


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


def _check_fit_goes_with(plan: Training) -> None:
    if plan.fit is not None and plan.engine == "vectorized":
        raise InputError(
            "engine='vectorized' cannot run your own fit=; it trains from train and test. Leave engine out, "
            "or pass train and test instead of fit"
        )


def _check_margin(margin: Any) -> None:
    for one in margin.values() if isinstance(margin, Mapping) else [margin]:
        parse_margin(one)
