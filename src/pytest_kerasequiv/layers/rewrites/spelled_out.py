"""An axis counted from the end is the same axis counted from the start."""

from __future__ import annotations

from typing import Any

from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of

NAME = "spelled-out argument"
KINDS = (
    "Concatenate",
    "Softmax",
    "BatchNormalization",
    "LayerNormalization",
    "UnitNormalization",
    "ops.Concatenate",
    "ops.Softmax",
    "ops.LogSoftmax",
)


def apply(work: Work, index: int) -> None:
    """Count the axes of a layer from the start; a list of one axis is that axis."""
    node = work.nodes[index]
    if not is_call_of(node, *KINDS) or "axis" not in node.config:
        return
    axis = from_start(node.config["axis"], len(work.spec(node.inputs[0])[0]))
    if axis != node.config["axis"]:
        work.change(index, NAME, config={**node.config, "axis": axis})


def from_start(axis: Any, rank: int) -> Any:
    """Return an axis, or a list of axes, counted from the start."""
    if isinstance(axis, list):
        counted = sorted(from_start(one, rank) for one in axis)
        return counted[0] if len(counted) == 1 else counted
    return axis + rank if isinstance(axis, int) and axis < 0 else axis
