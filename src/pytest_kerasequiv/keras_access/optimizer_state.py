"""Configurations of optimizers whose learning rate Keras cannot write down."""

from __future__ import annotations

import copy
from typing import Any

import keras

from pytest_kerasequiv.keras_access.origin import is_library


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
