"""What initialisers draw for a shape: two of other settings may be of one law."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from pytest_kerasequiv.layers.rewrites.initialiser_form import form_of

Law = tuple[str, float, float]
"""Kind of the distribution and its two numbers: limits, or mean and standard deviation."""

ALIKE = 1e-6
"""Relative distance at which two numbers of a law are one that was computed in two ways."""

TRUNCATED = 0.87962566103423978
"""Standard deviation of a standard normal distribution cut off at two, as Keras corrects for it."""

PLAIN = {
    "RandomUniform": ("uniform", "minval", "maxval"),
    "RandomNormal": ("untruncated_normal", "mean", "stddev"),
    "TruncatedNormal": ("truncated_normal", "mean", "stddev"),
}


def same_law(ours: Any, theirs: Any, shapes: tuple[Sequence[int], Sequence[int]]) -> bool:
    """Tell whether two initialisers, as `canonical` writes them, draw alike for variables of these shapes."""
    forms = form_of(ours), form_of(theirs)
    laws = [law_of(form, shape) for form, shape in zip(forms, shapes, strict=True)]
    if laws[0] is None or laws[1] is None:
        return bool(forms[0] == forms[1])
    kind, *numbers = laws[0]
    other, *others = laws[1]
    return kind == other and all(
        math.isclose(a, b, rel_tol=ALIKE) for a, b in zip(numbers, others, strict=True)
    )


def laws_in_words(ours: Any, theirs: Any, shapes: tuple[Sequence[int], Sequence[int]]) -> str:
    """Say what initialisers of equal settings draw from, where their variables' shapes make it two laws."""
    forms = form_of(ours), form_of(theirs)
    laws = [law_of(form, shape) for form, shape in zip(forms, shapes, strict=True)]
    if ours != theirs or laws[0] is None or laws[1] is None or laws[0] == laws[1]:
        return ""
    told = [f"{law[0]} ({law[1]:.4g}, {law[2]:.4g})" for law in laws if law is not None]
    return (
        f"on both sides, which draws from {told[0]} for {tuple(shapes[0])} in the reference and from "
        f"{told[1]} for {tuple(shapes[1])} in the candidate: it counts inputs and outputs by the axes of the "
        "kernel, so that training starts at another scale"
    )


def law_of(form: Any, shape: Sequence[int]) -> Law | None:
    """Return what an initialiser of Keras's draws each element from; ``None`` for any other."""
    if not isinstance(form, Mapping) or "code" in form:
        return None
    name = form.get("class")
    if name in PLAIN:
        kind, first, second = PLAIN[name]
        one, other = form.get(first), form.get(second)
        return (kind, float(one), float(other)) if _is_number(one) and _is_number(other) else None
    return _scaled(form, shape) if name == "VarianceScaling" and _is_number(form.get("scale")) else None


def _scaled(form: Mapping[str, Any], shape: Sequence[int]) -> Law:
    fan_in, fan_out = _fans(shape, form.get("input_axes"), form.get("output_axes"))
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    variance = form["scale"] / max(1.0, fans[form["mode"]])
    if form["distribution"] == "uniform":
        limit = math.sqrt(3 * variance)
        return "uniform", -limit, limit
    cut = form["distribution"] == "truncated_normal"
    return form["distribution"], 0.0, math.sqrt(variance) / (TRUNCATED if cut else 1.0)


def _fans(shape: Sequence[int], inputs: Any, outputs: Any) -> tuple[float, float]:
    """Return the number of inputs and outputs, as Keras counts them."""
    if inputs is not None and outputs is not None:
        return math.prod(shape[axis] for axis in inputs), math.prod(shape[axis] for axis in outputs)
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
