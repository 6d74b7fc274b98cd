"""What a model is compiled with, as plain data: the optimizer, loss, loss weights and metrics in force."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

import keras

from pytest_kerasequiv.building.compiling import compile_settings, own_compile, set_by_own_compile
from pytest_kerasequiv.building.left_behind import as_left
from pytest_kerasequiv.building.told_apart import told_apart
from pytest_kerasequiv.checks.compiled.built import METRICS, built_settings
from pytest_kerasequiv.checks.compiled.effects import effects_of
from pytest_kerasequiv.checks.compiled.losses_and_metrics import described_loss, described_metric, logged_name
from pytest_kerasequiv.checks.compiled.optimizers import (
    optimizer_settings,
)
from pytest_kerasequiv.layers.configs import canonical
from pytest_kerasequiv.layers.own_code import is_opaque
from pytest_kerasequiv.layers.plain_values import is_plain
from pytest_kerasequiv.program.tracing import lasts_of

ONLY_SPEED = ("run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss")
"""Settings that change how a step is run, not what it computes (beyond rounding)."""

NAMES = ".names"
"""Ends the name of the setting that holds the names that metrics are logged under."""

OWN_COMPILE = "compile"
"""Begins the names of settings that a ``compile`` of the user's own sets."""

CODE = ".code"
"""Ends the name of a setting that describes code of the user's."""

EFFECTS = "effects"
"""The setting that holds what losses and metrics compute, see `effects`."""

TAKEN = "steps taken"
"""The setting that holds how many steps an optimizer has taken before."""

TOLD_APART = "weights told apart"
"""The setting that holds what the optimizer may know each weight by, see `told_apart`."""

Settings = Mapping[str, Any]


def settings_of_both(
    reference: keras.Model, candidate: keras.Model
) -> tuple[Settings | None, Settings | None]:
    """Return what `settings_of` returns for both, without effects where these could tell nothing.

    Losses and metrics that are described alike, and wholly, are the same without tracing and running them.
    """
    found = settings_of(reference, effects=False), settings_of(candidate, effects=False)
    described = [
        {name: value for name, value in (settings or {}).items() if name.startswith(("loss", *METRICS))}
        for settings in found
    ]
    if described[0] == described[1] and not is_opaque(described):
        return found
    return settings_of(reference), settings_of(candidate)


def settings_of(model: keras.Model, *, effects: bool = True) -> dict[str, Any] | None:
    """Return a model's compile settings as plain, canonical data; ``None`` where it is not compiled.

    Keys are Keras's own names, dotted: ``"optimizer"`` (the class), ``"optimizer.learning_rate"``,
    ``"loss"``, ``"loss.delta"``, ``"loss_weights"``, ``"metrics"``, ``"metrics.names"``,
    ``"weighted_metrics"`` and those of `ONLY_SPEED`. What is set per output is a list in the order of the
    outputs, or one value where it is the same for all; metrics are a list, of lists where there are several
    outputs. ``"effects"`` holds what losses and metrics compute, ``"weights told apart"`` what the optimizer
    may know each weight by.

    Args:
        model: the model.
        effects: whether to look at what losses and metrics compute.
    """
    raw = compile_settings(model)
    if raw is None:
        return None
    with as_left(model):
        return _in_force(model, raw, effects=effects)


def _in_force(model: keras.Model, raw: Settings, *, effects: bool) -> dict[str, Any]:
    found = optimizer_settings(model.optimizer)
    found[TOLD_APART] = told_apart(model)
    found[TAKEN] = 0 if model.optimizer is None else int(model.optimizer.iterations)
    found |= _built_fields(model, raw, effects=effects)
    if own_compile(model):
        found |= _own_fields(model)
    return found | {name: canonical(raw.get(name)) for name in ONLY_SPEED}


def _own_fields(model: keras.Model) -> dict[str, Any]:
    """Return what a ``compile`` of the user's own sets, ``"compile.d_optimizer.learning_rate"``."""
    found: dict[str, Any] = {}
    for name, value in set_by_own_compile(model).items():
        key = f"{OWN_COMPILE}.{name}"
        if isinstance(value, keras.optimizers.Optimizer):
            found |= optimizer_settings(value, key)
        elif isinstance(value, keras.losses.Loss):
            loss, settings = described_loss(value)
            found |= {key: loss, **{f"{key}.{name}": setting for name, setting in settings.items()}}
        elif isinstance(value, keras.metrics.Metric):
            found[key] = described_metric(value)
        elif is_plain(value) or isinstance(value, FunctionType | functools.partial):
            found[key] = canonical(value)
    return found


def _built_fields(model: keras.Model, raw: Settings, *, effects: bool) -> dict[str, Any]:
    """Return the fields of losses and metrics; as they were given where Keras cannot build them."""
    built = built_settings(model)
    if built is None:
        leaves = {n: [x for x in keras.tree.flatten(raw.get(n)) if x is not None] for n in ("loss", *METRICS)}
        found = _loss_fields([[described_loss(loss)] for loss in leaves["loss"]])
        found["loss_weights"] = canonical(raw.get("loss_weights"))
        return found | {name: list(map(described_metric, leaves[name])) for name in METRICS}
    found = _loss_fields([[described_loss(loss) for loss, _ in several] for several in built.losses])
    weights = [[1 if w is None else canonical(w) for _, w in several] for several in built.losses]
    plain = all(weight == 1 for several in weights for weight in several)
    found["loss_weights"] = (
        None if plain else _joined([_only(several) if several else 1 for several in weights])
    )
    for name in METRICS:
        metrics = getattr(built, name)
        found[name] = _for_outputs(metrics, described_metric)
        found[f"{name}{NAMES}"] = _for_outputs(metrics, logged_name)
    if effects:
        found[EFFECTS] = effects_of(built, lasts_of(model, len(built.losses)))
    return found


def _loss_fields(described: Sequence[Sequence[tuple[str, Settings]]]) -> dict[str, Any]:
    """Return the names of the losses of each output and, dotted, their settings."""
    fields: dict[str, Any] = {"loss": _joined([_only([name for name, _ in each]) for each in described])}
    for key in sorted({key for each in described for _, settings in each for key in settings}):
        values = [[s.get(key) for _, s in each] for each in described if any(key in s for _, s in each)]
        flat = [value for several in values for value in several]
        alike = all(value == flat[0] for value in flat)
        fields[f"loss.{key}"] = flat[0] if alike else [_only(several) for several in values]
    return fields


def _only(several: list[Any]) -> Any:
    """Return the one thing that an output has, nothing, or the list of them."""
    return several if len(several) > 1 else next(iter(several), None)


def _joined(values: list[Any]) -> Any:
    """Return the values of the outputs, or the one that all have."""
    return values[0] if values and all(value == values[0] for value in values) else values


def _for_outputs(metrics: Sequence[Sequence[Any]], read: Any) -> list[Any]:
    if not any(metrics):
        return []
    found = [[read(metric) for metric in several] for several in metrics]
    return found[0] if len(found) == 1 else found
