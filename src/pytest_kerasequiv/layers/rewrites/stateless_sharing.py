"""A layer without weights and without random state computes the same, called twice or made twice."""

from __future__ import annotations

from pytest_kerasequiv.layers.rewrites.work import Work, has_code

NAME = "sharing without state"


def apply(work: Work, index: int) -> None:
    """Let each call of a layer without state count as a layer of its own."""
    node = work.nodes[index]
    if node.layer < 0 or node.variables or has_code(node):
        return
    calls = work.calls(node.layer)
    if len(calls) == 1:
        work.set(index, layer=-1 - index)
        return
    for call in calls:
        work.change(call, NAME, layer=-1 - call)
