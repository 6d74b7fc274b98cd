"""The settings of an optimizer, field by field, without those that have no effect, as plain data."""

from __future__ import annotations

import functools
from collections.abc import Set
from types import FunctionType
from typing import Any

import keras

from pytest_kerasequiv.keras_access.random_state import fresh_names
from pytest_kerasequiv.layers.configs import canonical
from pytest_kerasequiv.layers.fingerprints import class_digest, function_label, is_keras

CODE = ".code"
"""Ends the name of the digest of a user's code."""

OPTIMIZERS = ("optimizer", "optimizer.inner_optimizer")
"""Names whose value is a class of optimizer."""


def optimizer_settings(optimizer: Any, prefix: str = "optimizer") -> dict[str, Any]:
    """Return the class of an optimizer and its settings, dotted: ``"optimizer.learning_rate"``.

    A user's class and learning rate schedule also have a digest of their code, ``"optimizer.code"``, and
    their plain attributes, ``"optimizer.attribute factor"``: their config need not tell all.

    Args:
        optimizer: an optimizer or ``None``.
        prefix: how the settings are called.
    """
    if optimizer is None:
        return {prefix: None}
    config = dict(optimizer.get_config())
    inner = getattr(optimizer, "inner_optimizer", None) if "inner_optimizer" in config else None
    unseen = {"name", "inner_optimizer"} if inner is not None else {"name"}
    fields = {key: canonical(value) for key, value in config.items() if key not in unseen}
    kind = type(optimizer)
    if is_keras(kind):
        fields = _with_effect(kind.__name__, fields)
    else:
        fields |= _own_code(optimizer, _ordinary(kind) | config.keys())
    found = {prefix: kind.__name__} | {f"{prefix}.{key}": value for key, value in fields.items()}
    found |= _own_schedule(getattr(optimizer, "_learning_rate", None), f"{prefix}.learning_rate")
    return found if inner is None else found | optimizer_settings(inner, f"{prefix}.inner_optimizer")


def without_effect(name: str) -> bool:
    """Tell whether a setting that one optimizer lacks can be one that has no effect, or is not set yet."""
    last = name.rpartition(".")[2]
    return last in {"ema_momentum", "ema_overwrite_frequency", "nesterov"} or last.startswith("attribute ")


def _with_effect(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out the settings of one of Keras's optimizers that act only together with another one."""
    unseen: set[str] = set()
    if not fields.get("use_ema"):
        unseen |= {"ema_momentum", "ema_overwrite_frequency"}
    if kind == "SGD" and not fields.get("momentum"):
        unseen.add("nesterov")
    kept = {key: value for key, value in fields.items() if key not in unseen}
    if "weight_decay" in kept:
        kept["weight_decay"] = kept["weight_decay"] or None
    return kept


def _own_schedule(rate: Any, prefix: str) -> dict[str, Any]:
    """Return the code and attributes of a learning rate that the user's code decides."""
    if not callable(rate) or hasattr(rate, "assign") or is_keras(type(rate)):
        return {}
    if hasattr(rate, "get_config"):
        return {f"{prefix}.{key}": value for key, value in _own_code(rate, rate.get_config().keys()).items()}
    label = function_label(rate)  # a config tells where a function was written, too
    return {prefix: label["of"]} | ({f"{prefix}{CODE}": label["code"]} if "code" in label else {})


def _own_code(thing: Any, skipped: Set[str]) -> dict[str, Any]:
    """Return a digest of the code of a user's class, and what an instance computes with but ``skipped``.

    That is its plain attributes, functions and other schedules of the user's, which a config only names.
    """
    found: dict[str, Any] = {"code": class_digest(type(thing))}
    for name, value in _values(thing).items():
        told = bool({name, name.lstrip("_")} & skipped)
        if isinstance(value, FunctionType) and name in vars(thing):
            found[f"attribute {name}"] = function_label(value)
        elif isinstance(value, keras.optimizers.schedules.LearningRateSchedule) and not is_keras(type(value)):
            inner = _own_code(value, value.get_config().keys())
            found |= {f"attribute {name}.{key}": of for key, of in inner.items()}
        elif _is_plain(value) and not told:
            found[f"attribute {name}"] = canonical(value)
    return found


def _values(thing: Any) -> dict[str, Any]:
    """Return the attributes of an object, and its own class's, which stand for those that are not set."""
    own = [cls for cls in type(thing).__mro__ if cls.__module__.split(".")[0] not in _LIBRARIES]
    values = {name: value for cls in reversed(own) for name, value in vars(cls).items()} | vars(thing)
    return {k: value for k, value in values.items() if not k.startswith(("__", "_self_", "_abc_"))}


_LIBRARIES = frozenset({"keras", "tensorflow", "jax", "torch", "builtins", "abc"})


def _ordinary(kind: type) -> frozenset[str]:
    """Return the attributes of Keras's part of an optimizer: they say nothing that its config does not."""
    return _attributes_of(next(base for base in kind.__mro__ if is_keras(base)))


@functools.cache
def _attributes_of(base: Any) -> frozenset[str]:
    with fresh_names():
        try:
            usual = vars(base())
        except TypeError:  # the base of all optimizers needs a learning rate
            usual = vars(keras.optimizers.Optimizer(0.01))
    return frozenset(usual) | {"_distribution_strategy"}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):  # an empty one may wait for the optimizer's variables
        return bool(value) and all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str) or type(value).__module__ == "numpy"
