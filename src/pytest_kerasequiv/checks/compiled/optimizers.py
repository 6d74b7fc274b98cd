"""The settings of an optimizer, field by field, without those that have no effect, as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.keras_access.optimizer_state import optimizer_config, rate_of
from pytest_kerasequiv.keras_access.origin import is_library
from pytest_kerasequiv.layers.configs import canonical
from pytest_kerasequiv.layers.own_code import OWN, own_label
from pytest_kerasequiv.verdict import Finding

OPTIMIZERS = ("optimizer", "optimizer.inner_optimizer")
"""Names whose value is a class of optimizer."""

RATE = "learning_rate"

STEPS = frozenset({*range(21), 50, 99, 100, 101, 999, 1000, 1001, 10_000, 100_000, 1_000_000})
"""Steps at which a learning rate that code decides is compared, besides those about the numbers in it."""


ALWAYS = "always"
"""Stands for all steps, where the rate does not depend on them."""


def optimizer_settings(optimizer: Any, prefix: str = "optimizer") -> dict[str, Any]:
    """Return the class of an optimizer and its settings, dotted: ``"optimizer.learning_rate"``.

    A user's class also has its code and attributes, ``"optimizer.code"``: its config need not tell all. So
    has a user's learning rate, be it a schedule or a function. ``"optimizer.learning_rate.at"`` maps steps to
    rates where these can be had.

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
        fields[RATE] = own_label(rate)  # a config tells where a function was written, too
    elif isinstance(fields.get(RATE), float):
        fields[RATE] = float(str(np.float32(fields[RATE])))  # as it was written
    kind = type(optimizer)
    own = {} if is_library(optimizer) else own_label(optimizer, without=config.keys())
    if own.keys() <= {"class", "built on"}:  # a subclass that changes nothing is what it is built on
        kind = next(base for base in kind.__mro__ if is_library(base))
        fields = _with_effect(kind.__name__, fields)
    else:
        fields["code"] = own
    found = {prefix: kind.__name__} | {f"{prefix}.{key}": value for key, value in fields.items()}
    if RATE in fields and inner is None:
        found[f"{prefix}.{RATE}.at"] = _rates(optimizer, rate, fields[RATE])
    return found if inner is None else found | optimizer_settings(inner, f"{prefix}.inner_optimizer")


def treated_apart(
    check: str, reference: Mapping[str, Any], candidate: Mapping[str, Any], variables: VariableMap
) -> list[Finding]:
    """Return a finding of the weights that two optimizers of one kind treat otherwise, by name or by shape.

    Args:
        check: name of the check on whose behalf.
        reference: what `told_apart` returned for the reference.
        candidate: the same for the candidate.
        variables: how their variables correspond.
    """
    apart = []
    for ours, theirs in _known_by(reference, candidate, variables):
        treated = ours.get("treated", []), theirs.get("treated", [])
        if treated[0] != treated[1]:
            apart.append((ours.get("weight") or theirs["weight"], treated))
    if not apart:
        return []
    weight, treated = apart[0]
    words = [", ".join(one) or "as other weights" for one in treated]
    rest = f" (so {len(apart) - 1} more)" if apart[1:] else ""
    message = (
        f"the optimizer, which goes by names and shapes, trains weight {weight!r} in another way{rest}: "
        f"{words[0]} in the reference, {words[1]} in the candidate"
    )
    return [Finding.difference(check, "optimizer.weights", message, values=treated)]


def surely_trained_alike(
    reference: Mapping[str, Any], candidate: Mapping[str, Any], variables: VariableMap
) -> bool:
    """Tell whether optimizers of one kind can tell no weight of one side from its partner; else they may.

    Args: those of `treated_apart`.
    """
    plain: dict[str, Any] = {"treated": [], "seen": []}
    return all(
        (plain | ours)[name] == (plain | theirs)[name]
        for ours, theirs in _known_by(reference, candidate, variables)
        for name in plain
    )


def _known_by(
    reference: Mapping[str, Any], candidate: Mapping[str, Any], variables: VariableMap
) -> Iterator[tuple[Any, Any]]:
    """Yield by what each trained weight is known, and its partner."""
    for a, b in variables.pairs:
        both = reference.get(str(a), {}), candidate.get(str(b), {})
        if any(both):
            yield both


def same_rate(reference: Mapping[str, float] | None, candidate: Mapping[str, float] | None) -> bool:
    """Tell whether two learning rates are the same: at every step where both change, or always."""
    if reference is None or candidate is None:
        return False
    for side, other in ((reference, candidate), (candidate, reference)):
        if ALWAYS in side:
            return all(np.isclose(rate, side[ALWAYS], rtol=1e-6, atol=0) for rate in other.values())
    same = all(np.isclose(reference[n], candidate.get(n, np.nan), rtol=1e-6, atol=0) for n in reference)
    return same and reference.keys() == candidate.keys()


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


def _rates(optimizer: Any, rate: Any, label: Any) -> dict[str, float] | None:
    """Return the learning rate at each step tried; ``None`` where it depends on more than the step."""
    steps = {int(step) for number in _numbers(label) for step in (number - 1, number, number + 1)}
    steps = {step for step in steps if 0 <= step < 2**31} | STEPS
    try:
        if rate is None:
            return {ALWAYS: float(optimizer.learning_rate)}
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            return {str(step): float(rate(step)) for step in sorted(steps)}
        if _is_constant(label):
            return {ALWAYS: float(rate())}
    except Exception:  # a user's code may raise anything
        return None
    return None


def _is_constant(label: Any) -> bool:
    """Tell whether a function without arguments reads nothing but numbers, which no callback can change."""
    read = {name: value for name, value in label.items() if name not in {"class", "code"}}
    return label["class"] == OWN and all("." not in n and isinstance(v, int | float) for n, v in read.items())


def _numbers(label: Any) -> Iterator[float]:
    """Yield the whole numbers in a description."""
    if isinstance(label, Mapping):
        label = list(label.values())
    if isinstance(label, list):
        for item in label:
            yield from _numbers(item)
    elif isinstance(label, int | float) and not isinstance(label, bool) and float(label).is_integer():
        yield label
