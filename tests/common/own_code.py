"""The user's own code in random models: steps, losses, metrics, settings, starts; each with two values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from tests.common.own_models import KEYWORDS, MIXINS, own_class
from tests.common.surfaces import Counter


@dataclass(frozen=True)
class Feature:
    """What the user's own code of a model does beside its layers.

    Attributes:
        values: two values, which are two models.
        words: a report that names the cause says one of these.
        weights: whether they are two models only where there are weights to train.
    """

    values: tuple[Any, Any]
    words: tuple[str, ...]
    weights: bool = False


OWN: dict[str, Feature] = {
    "loss_label": Feature((-1.0, -100.0), ("label",)),
    "loss_partial": Feature((1.0, 2.0), ("factor",)),
    "loss_class": Feature((1.0, 2.0), ("power",)),
    "loss_method": Feature((1.0, 2.0), ("factor",)),
    "metric_factor": Feature((1.0, 2.0), ("factor",)),
    "metric_threshold": Feature((0.001, 0.999), ("threshold",)),
    "predict_threshold": Feature((0.5, 0.7), ("predict_threshold", "predict_step")),
    "gradient_factor": Feature((1.0, 0.5), ("gradient_factor", "train_step"), weights=True),
    "test_factor": Feature((1.0, 3.0), ("test_factor", "test_step")),
    "evaluation_factor": Feature((1.0, 3.0), ("evaluation_factor", "test_step")),
    "mean_factor": Feature((1.0, 3.0), ("mean_factor", "log value")),
    "evaluation_loss": Feature((True, False), ("in_evaluation", "added loss")),
    "plain_factor": Feature((1.0, 3.0), ("plain",)),
    "scaled_factor": Feature((1.0, 2.0), ("scaled",)),
    "power_factor": Feature((1.0, 2.0), ("power",)),
    "context_factor": Feature((1.0, 2.0), ("context",)),
    "free_length": Feature((16, 300), ("16", "300", "free_length")),
    "second_seed": Feature((1, 2), ("seed", "draw")),
    "same_start": Feature((True, False), ("start", "same", "initial")),
    "start": Feature((None, 0.5), ("start", "constant", "no seed moves"), weights=True),
    "clipnorm": Feature((None, 0.1), ("clipnorm",), weights=True),
    "weight_decay": Feature((None, 0.01), ("weight_decay",), weights=True),
    "use_ema": Feature((False, True), ("ema",), weights=True),
    "gradient_accumulation_steps": Feature((None, 2), ("accumulation",), weights=True),
    "schedule": Feature((1.0, 0.5), ("learning_rate", "schedule"), weights=True),
}
"""Name -> feature."""

SETTINGS = ("clipnorm", "weight_decay", "use_ema", "gradient_accumulation_steps")
"""Features that are arguments of the optimizer."""


def together(names: Iterable[str]) -> bool:
    """Whether one model can have these features: one loss, one metric, one signature."""
    chosen = set(names)
    groups = [{name for name in OWN if name.startswith(kind)} for kind in ("loss_", "metric_")]
    return all(len(chosen & group) <= 1 for group in (*groups, KEYWORDS))


def _ignoring(label: float) -> Callable[..., Any]:
    def masked(y: Any, p: Any) -> Any:
        known = keras.ops.cast(keras.ops.not_equal(y, label), p.dtype)
        return keras.ops.mean(known * keras.ops.abs(y - p), axis=-1)

    return masked


def scaled_error(y: Any, p: Any, factor: float = 1.0) -> Any:
    """Return the scaled absolute error."""
    return factor * keras.ops.mean(keras.ops.abs(y - p), axis=-1)


def _scaled(factor: float) -> Callable[..., Any]:
    def error(y: Any, p: Any) -> Any:
        return scaled_error(y, p, factor)

    return error


class PowerLoss(keras.losses.Loss):
    """An error to a power."""

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def call(self, y: Any, p: Any) -> Any:
        """Return the error of each sample."""
        return keras.ops.mean(keras.ops.abs(y - p) ** self.power, axis=-1)


class Errors:
    """Holds the factor of a loss that is a method."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def scaled(self, y: Any, p: Any) -> Any:
        """Return the scaled absolute error."""
        return scaled_error(y, p, self.factor)


COMPILED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "loss_label": ("loss", _ignoring),
    "loss_partial": ("loss", lambda factor: functools.partial(scaled_error, factor=factor)),
    "loss_class": ("loss", PowerLoss),
    "loss_method": ("loss", lambda factor: Errors(factor).scaled),
    "metric_factor": ("metrics", lambda factor: [_scaled(factor)]),
    "metric_threshold": ("metrics", lambda threshold: [Counter(threshold, name="counter")]),
}
"""Name -> argument of ``compile``, and what makes it of the value."""


def needs_own_model(own: Iterable[tuple[str, Any]]) -> bool:
    """Whether the user's own code stands in a model class."""
    return any(name in MIXINS for name, _ in own)


def optimizer(name: str, rate: float, own: Mapping[str, Any]) -> Any:
    """Return a new optimizer, with the settings that are among the features."""
    options = {setting: own[setting] for setting in SETTINGS if setting in own}
    factor = own.get("schedule")
    given = rate if factor is None else lambda: rate * factor
    return type(keras.optimizers.get(name))(learning_rate=given, **options)


def with_own_code(
    core: keras.Model, made: Sequence[Any], own: Mapping[str, Any], loss: str, inputs: Any
) -> tuple[keras.Model, dict[str, Any]]:
    """Return the model with the user's own code, and how it is compiled; ``made`` are its layers in order."""
    compiled: dict[str, Any] = {"loss": loss}
    for name in own.keys() & COMPILED.keys():
        argument, make = COMPILED[name]
        compiled[argument] = make(own[name])
    trained = [variable for layer in made for variable in getattr(layer, "trainable_variables", ())]
    if own.get("start") is not None and trained:
        trained[-1].assign(np.full(trained[-1].shape, own["start"]))
    features = {name: value for name, value in own.items() if name in MIXINS}
    if not features:
        return core, compiled
    model = own_class(frozenset(features))(core, features)
    model(inputs)
    return model, compiled
