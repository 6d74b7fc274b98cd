"""Sizes for the axes that a model leaves free: each its own, as far as the model takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pytest_kerasequiv.running.input_layout import InputLayout, InputSpec

FREE_AXIS_SIZES = (16, 32, 64, 128, 256)
"""Sizes tried, smallest first, for an axis that a model leaves free."""

OTHER_LENGTHS = (7, 8, 16)
"""What is added, tried in this order, for the second sizes of free axes; a U-Net takes even ones only."""

Axis = tuple[int, int]
"""An input, by flattened position, and an axis of it."""

GROUPINGS: tuple[Callable[[Axis], Any], ...] = (
    lambda axis: axis,
    lambda axis: axis[1],
    lambda axis: axis[0],
    lambda _: None,
)
"""Which free axes get one size: none; those in one place of several inputs; those of one input; all."""


def free_axes(layout: InputLayout) -> list[Axis]:
    """Return the axes without a size, but the batch axis."""
    return [
        (i, a)
        for i, spec in enumerate(layout.specs)
        for a, size in enumerate(spec.shape)
        if a and size is None
    ]


def settled_layouts(layout: InputLayout, start: int) -> Iterator[InputLayout]:
    """Yield layouts whose free axes are settled, from as many unlike sizes as can be to one for all.

    Args:
        layout: the inputs of a model.
        start: the smallest size.
    """
    seen = []
    for grouping in GROUPINGS:
        for step in (start // 2, start):
            settled = with_sizes(layout, _ranked(layout, grouping, start, step))
            if settled not in seen:
                seen.append(settled)
                yield settled


def other_layouts(layout: InputLayout, settled: InputLayout) -> Iterator[InputLayout]:
    """Yield layouts of other sizes, in the reverse order: what was the shorter axis is the longer one."""
    sizes = {axis: int(settled.specs[axis[0]].shape[axis[1]] or 0) for axis in free_axes(layout)}
    ranked = sorted(set(sizes.values()))
    reverse = dict(zip(ranked, reversed(ranked), strict=True))
    for more in OTHER_LENGTHS if sizes else ():
        yield with_sizes(layout, {axis: reverse[size] + more for axis, size in sizes.items()})


def with_sizes(layout: InputLayout, sizes: dict[Axis, int]) -> InputLayout:
    """Return the inputs with these sizes of their free axes."""
    specs = tuple(
        InputSpec(s.name, tuple(sizes.get((i, a), size) for a, size in enumerate(s.shape)), s.dtype)
        for i, s in enumerate(layout.specs)
    )
    return InputLayout(specs, layout.structure)


def _ranked(layout: InputLayout, grouping: Callable[[Axis], Any], start: int, step: int) -> dict[Axis, int]:
    axes = free_axes(layout)
    groups = list(dict.fromkeys(grouping(axis) for axis in axes))
    return {axis: start + step * groups.index(grouping(axis)) for axis in axes}
