"""The settings of an optimizer, field by field, without those that have no effect, as plain data."""

from __future__ import annotations

from typing import Any

from pytest_kerasequiv.keras_access.optimizers import optimizer_config, rate_of
from pytest_kerasequiv.keras_access.origin import is_library
from pytest_kerasequiv.layers.configs import canonical
from pytest_kerasequiv.layers.own_code import own_label

OPTIMIZERS = ("optimizer", "optimizer.inner_optimizer")
"""Names whose value is a class of optimizer."""


def optimizer_settings(optimizer: Any, prefix: str = "optimizer") -> dict[str, Any]:
    """Return the class of an optimizer and its settings, dotted: ``"optimizer.learning_rate"``.

    A user's class also has its code and attributes, ``"optimizer.code"``: its config need not tell all. So
    has a user's learning rate, be it a schedule or a function.

    Args:
        optimizer: an optimizer or ``None``.
        prefix: how the settings are called.
    """
    if optimizer is None:
        return {prefix: None}
    config = optimizer_config(optimizer)
    inner = getattr(optimizer, "inner_optimizer", None) if "inner_optimizer" in config else None
    unseen = {"name", "inner_optimizer"} if inner is not None else {"name"}
    fields = {key: canonical(value) for key, value in config.items() if key not in unseen}
    rate = rate_of(optimizer)
    if rate is not None and not is_library(rate):
        fields["learning_rate"] = own_label(rate)  # a config tells where a function was written, too
    kind = type(optimizer)
    if is_library(kind):
        fields = _with_effect(kind.__name__, fields)
    else:
        fields["code"] = own_label(optimizer, without=config.keys())
    found = {prefix: kind.__name__} | {f"{prefix}.{key}": value for key, value in fields.items()}
    return found if inner is None else found | optimizer_settings(inner, f"{prefix}.inner_optimizer")


def without_effect(name: str) -> bool:
    """Tell whether a setting that one optimizer lacks can be one that has no effect."""
    return name.rpartition(".")[2] in {"ema_momentum", "ema_overwrite_frequency", "nesterov"}


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
