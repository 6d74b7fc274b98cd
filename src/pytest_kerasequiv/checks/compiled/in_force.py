"""Comparing how the twins are compiled: the optimizer field by field, loss, loss weights and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from pytest_kerasequiv.building.compiling import compile_settings, excluded_from_weight_decay
from pytest_kerasequiv.checks.compiled.losses_and_metrics import described_loss, described_metric, logged_name
from pytest_kerasequiv.checks.compiled.optimizers import CODE, OPTIMIZERS, optimizer_settings, without_effect
from pytest_kerasequiv.checks.compiled.per_output import (
    Outputs,
    Weighted,
    losses_per_output,
    metrics_per_output,
    outputs_of,
)
from pytest_kerasequiv.layers.configs import canonical, shown
from pytest_kerasequiv.verdict import Finding

ONLY_SPEED = ("run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss")
"""Settings that change how a step is run, not what it computes (beyond rounding)."""

NAMES = ".names"
"""Ends the name of the setting that holds the names that metrics are logged under."""


def settings_of(model: keras.Model) -> dict[str, Any] | None:
    """Return a model's compile settings as plain, canonical data; ``None`` where it is not compiled.

    Keys are Keras's own names, dotted: ``"optimizer"`` (the class), ``"optimizer.learning_rate"``,
    ``"loss"``, ``"loss.delta"``, ``"loss_weights"``, ``"metrics"``, ``"metrics.names"``,
    ``"weighted_metrics"`` and those of `ONLY_SPEED`. What is set per output is a list in the order of the
    outputs, or one value where it is the same for all; metrics are a list, of lists where there are several
    outputs.
    """
    raw = compile_settings(model)
    if raw is None:
        return None
    found = optimizer_settings(model.optimizer)
    excluded = excluded_from_weight_decay(model)
    if excluded:
        found["optimizer.exclude_from_weight_decay"] = excluded
    outputs = outputs_of(model)
    found |= _losses(raw.get("loss"), raw.get("loss_weights"), outputs)
    for name in ("metrics", "weighted_metrics"):
        metrics = metrics_per_output(raw.get(name), outputs)
        found[name] = _for_outputs(metrics, described_metric)
        found[f"{name}{NAMES}"] = _for_outputs(metrics, logged_name)
    return found | {name: canonical(raw.get(name)) for name in ONLY_SPEED}


def _losses(loss: Any, weights: Any, outputs: Outputs) -> dict[str, Any]:
    try:
        losses = losses_per_output(loss, weights, outputs)
    except ValueError:  # weights that Keras refuses at the first batch
        losses = losses_per_output(loss, None, outputs)
        return _loss_fields(losses) | {"loss_weights": canonical(weights)}
    given = [[1 if one.weight is None else canonical(one.weight) for one in several] for several in losses]
    plain = all(weight == 1 for several in given for weight in several)
    values = [_only(several) if several else 1 for several in given]
    return _loss_fields(losses) | {"loss_weights": None if plain else _joined(values)}


def _loss_fields(losses: Sequence[Sequence[Weighted]]) -> dict[str, Any]:
    """Return the names of the losses and, dotted, their settings."""
    described = [[described_loss(one.loss) for one in several] for several in losses]
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


def _for_outputs(metrics: list[list[Any]], read: Any) -> list[Any]:
    if not any(metrics):
        return []
    found = [[read(metric) for metric in several] for several in metrics]
    return found[0] if len(found) == 1 else found


def compare_settings(
    check: str, reference: Mapping[str, Any] | None, candidate: Mapping[str, Any] | None
) -> list[Finding]:
    """Return a finding for every compile setting that differs.

    Args:
        check: name of the check on whose behalf.
        reference: what `settings_of` returned for the reference.
        candidate: the same for the candidate.
    """
    if reference is None and candidate is None:
        return []
    if reference is None or candidate is None:
        side = "reference" if reference is None else "candidate"
        message = f"the {side} is not compiled, the other twin is; pass compile=... to compile both alike"
        compiled = reference is not None, candidate is not None
        return [Finding(check, None, None, "compile", *compiled, message, "note")]
    names = [
        name
        for name in sorted({*reference, *candidate})
        if reference.get(name) != candidate.get(name) and _comparable(name, reference, candidate)
    ]
    return [_finding(check, name, reference, candidate, names) for name in names]


def _comparable(name: str, reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> bool:
    """Tell whether a setting means the same on both sides."""
    one_sided = (name in reference) != (name in candidate)
    if name.endswith(NAMES):  # other metrics have other names
        metrics = name.removesuffix(NAMES)
        return not one_sided and reference.get(metrics) == candidate.get(metrics)
    if name.startswith("loss.") and reference.get("loss") != candidate.get("loss"):
        return not one_sided
    if not name.startswith("optimizer."):
        return True
    for owner in OPTIMIZERS:  # the settings of two kinds of optimizer are not comparable one by one
        other = _kind(reference.get(owner)) != _kind(candidate.get(owner))
        if other and name.startswith(f"{owner}.") and name != f"{owner}.learning_rate":
            return False
    return not (one_sided and without_effect(name))


def _kind(optimizer: Any) -> Any:
    """Return the class of an optimizer: AdamW only sets another default, its code is Adam's."""
    return "Adam" if optimizer == "AdamW" else optimizer


def _finding(
    check: str, name: str, reference: Mapping[str, Any], candidate: Mapping[str, Any], differing: list[str]
) -> Finding:
    ours, theirs = reference.get(name), candidate.get(name)
    message = (
        f"compiled with another {name}: {shown(ours)} in the reference, {shown(theirs)} in the candidate"
    )
    if name in ONLY_SPEED:
        note = f"{message}; it changes how a step is run, not what it computes"
        return Finding(check, None, None, name, ours, theirs, note, "note")
    if name.endswith(NAMES):
        return Finding(check, None, None, name, ours, theirs, _renamed(name, ours, theirs), "note")
    alone = not any(other.startswith(f"{name}.") for other in differing)
    if name in OPTIMIZERS and _kind(ours) == _kind(theirs) and alone:
        note = f"{message}; AdamW is Adam with a weight decay, and all their settings are equal"
        return Finding(check, None, None, name, ours, theirs, note, "note")
    if name.endswith(CODE):
        message = _rewritten(name, reference, candidate)
    return Finding(check, None, None, name, ours, theirs, message)


def _renamed(name: str, ours: Any, theirs: Any) -> str:
    flat = zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True)
    pairs = [f"{one!r} in the reference is {other!r} in the candidate" for one, other in flat if one != other]
    return (
        f"the same {name.removesuffix(NAMES)} are logged under other names: {', '.join(pairs)}; a callback "
        "that monitors such a name works with one twin only"
    )


def _rewritten(name: str, reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> str:
    """Return what to say of a user's code that differs."""
    owner = name.removesuffix(CODE)
    label = shown(reference[owner]) if owner in reference else "it"
    why = "has other code, or uses other values, on each side"
    if name not in reference or name not in candidate:
        own, other = ("reference", "candidate") if name in reference else ("candidate", "reference")
        why = f"is your own code in the {own} and Keras's in the {other}"
    return (
        f"compiled with another {owner}: {label} {why}; the difference may act only after more steps than "
        "are compared here"
    )
