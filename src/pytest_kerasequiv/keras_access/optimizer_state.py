"""What optimizers hold that their configs do not tell: rates by code, exclusions from weight decay."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import keras

from pytest_kerasequiv.keras_access.origin import is_library

ELEMENTWISE = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl", "Lion")
"""Keras's optimizers whose update of one element needs that element only."""

UNDECAYED = "no weight decay"
_MUON = getattr(keras.optimizers, "Muon", ())  # it came with Keras 3.10


def rate_of(optimizer: Any) -> Any:
    """Return the learning rate that code decides, a function or a schedule; ``None`` where it is a number."""
    rate = vars(optimizer).get("_learning_rate")
    return rate if callable(rate) and not hasattr(rate, "assign") else None


def optimizer_config(optimizer: Any) -> dict[str, Any]:
    """Return an optimizer's config; a learning rate by the user's own code stands in it as a copy, live.

    Keras writes a function's code down and refuses to read it again, and a schedule's config need not tell
    all. ``from_config`` takes the object itself.
    """
    rate = rate_of(optimizer)
    if rate is None or (
        is_library(rate) and isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    ):
        return dict(optimizer.get_config())
    held = vars(optimizer)
    try:
        held["_learning_rate"] = None  # past `__setattr__`, which tracks what it is given
        config = dict(optimizer.get_config())
    finally:
        held["_learning_rate"] = rate
    return config | {"learning_rate": _copied(rate)}


def _copied(rate: Any) -> Any:
    try:
        return copy.deepcopy(rate)
    except Exception:  # what cannot be copied is shared
        return rate


def trained_variables(optimizer: Any) -> Any:
    """Return the variables that a built optimizer updates."""
    return optimizer._trainable_variables


def exclude_variables(optimizer: Any, variables: Iterable[Any]) -> None:
    """Exclude variables from weight decay one by one, also once the optimizer is built."""
    optimizer._exclude_from_weight_decay = {optimizer._var_key(variable) for variable in variables}


def excludes_variables(optimizer: Any) -> bool:
    """Tell whether an optimizer was told single variables not to decay."""
    return bool(getattr(optimizer, "_exclude_from_weight_decay", None))


def excludes_variable(optimizer: Any, variable: Any) -> bool:
    """Tell whether an optimizer was told one by one not to decay this variable."""
    return excludes_variables(optimizer) and (
        optimizer._var_key(variable) in optimizer._exclude_from_weight_decay
    )


def excluded_pattern(optimizer: Any) -> Any:
    """Return the pattern of names that an optimizer does not decay; ``None`` without any."""
    return getattr(optimizer, "_exclude_from_weight_decay_pattern", None)


def excludes_from_decay(optimizer: Any) -> bool:
    """Tell whether an optimizer excludes anything from weight decay."""
    parts = ("", "_pattern", "_cache")
    return any(getattr(optimizer, f"_exclude_from_weight_decay{part}", None) for part in parts)


def innermost(optimizer: Any) -> Any:
    """Return the optimizer that a loss scaler wraps, or the optimizer itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def name_seen(variable: keras.Variable) -> str:
    """Return the name by which an optimizer sees a variable: TensorFlow's own, which begins with the path."""
    return str(variable.value.name if keras.config.backend() == "tensorflow" else variable.name)


def treatment(optimizer: Any, variable: keras.Variable) -> list[str]:
    """Return in words what one of Keras's optimizers does otherwise with this variable than with most."""
    pattern = excluded_pattern(optimizer)
    excluded = pattern is not None and pattern.search(name_seen(variable)) is not None
    found = []
    if getattr(optimizer, "weight_decay", None) and (excluded or excludes_variable(optimizer, variable)):
        found.append(UNDECAYED)
    if isinstance(optimizer, _MUON) and optimizer._should_use_adamw(variable):
        found.append("steps of Adam")
    return found
