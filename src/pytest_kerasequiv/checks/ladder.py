"""The ladder: the checks that come with the package, and those that others add."""

from __future__ import annotations

from pytest_kerasequiv.checks import gradients, graph, outputs, program, summary, training, updates, weights
from pytest_kerasequiv.checks.registry import Registry

LADDER = Registry(
    module.CHECK for module in (summary, graph, program, weights, outputs, gradients, updates, training)
)


def picture_of(name: str) -> str:
    """Return what draws the figures of a check.

    Raises:
        ValueError: the check has no picture.
    """
    if name in LADDER and LADDER[name].picture:
        return LADDER[name].picture
    known = " and ".join(check.name for check in LADDER if check.picture)
    raise ValueError(f"check {name!r} has no picture; {known} have one")
