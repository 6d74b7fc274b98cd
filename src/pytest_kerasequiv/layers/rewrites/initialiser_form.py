"""An initialiser or regulariser is what it draws or adds, not what it is called.

Keras's Glorot, He and Lecun initialisers are ``VarianceScaling`` with fixed arguments, ``Constant(0)`` is
``Zeros``, ``L1`` and ``L2`` are ``L1L2``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_kerasequiv.layers.rewrites.work import Work

NAME = "initialiser form"

SCALINGS = {
    "GlorotUniform": (1, "fan_avg", "uniform"),
    "GlorotNormal": (1, "fan_avg", "truncated_normal"),
    "HeUniform": (2, "fan_in", "uniform"),
    "HeNormal": (2, "fan_in", "truncated_normal"),
    "LecunUniform": (1, "fan_in", "uniform"),
    "LecunNormal": (1, "fan_in", "truncated_normal"),
}
CONSTANTS = {0: "Zeros", 1: "Ones"}


def apply(work: Work, index: int) -> None:
    """Write the initialisers and regularisers of a layer in one form."""
    config = work.nodes[index].config
    changed = {name: form_of(value) for name, value in config.items() if form_of(value) != value}
    if changed:
        kept = {name: changed.get(name, value) for name, value in config.items()}
        work.change(index, NAME, config={name: value for name, value in kept.items() if value is not None})


def form_of(value: Any) -> Any:
    """Return an initialiser or regulariser in canonical form, ``None`` for no effect; others as they are."""
    if not isinstance(value, Mapping) or "class" not in value or "code" in value:
        return value
    name = value["class"]
    if name in SCALINGS:
        scaling = dict(zip(("scale", "mode", "distribution"), SCALINGS[name], strict=True))
        return {"class": "VarianceScaling", **{k: v for k, v in value.items() if k != "class"}, **scaling}
    if name == "Constant" and _is_number(value.get("value")) and value["value"] in CONSTANTS:
        return {"class": CONSTANTS[value["value"]]}
    if name in {"L1", "L2", "L1L2"}:
        strengths = {key: value[key] for key in ("l1", "l2") if value.get(key)}
        return {"class": "L1L2", **strengths} if strengths else None
    return value


def _is_number(value: Any) -> bool:
    """Tell a number from an array or a bool, which a constant may be too."""
    return isinstance(value, int | float) and not isinstance(value, bool)
