"""A layer from which no path leads to an output has no effect on the outputs.

Not where it adds to the loss: a regulariser, or code of the user's that may do so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kerasequiv.models.graph import INPUT_KIND
from pytest_kerasequiv.models.rewrites.work import has_code

if TYPE_CHECKING:
    from pytest_kerasequiv.models.graph import LayerNode
    from pytest_kerasequiv.models.rewrites.work import Work

NAME = "dead layer"


def apply(work: Work, index: int) -> None:
    """Take out a layer that nothing needs, and then what only it needed."""
    waiting = [index]
    while waiting:
        current = waiting.pop()
        if current not in work.nodes or not _is_dead(work, current):
            continue
        sources = [edge.source for edge in work.nodes[current].inputs]
        node = work.nodes[current]
        work.drop([current])
        if not node.kind.startswith("ops."):
            work.note(sources[0], NAME, node)
        work.dead.append(node)
        waiting += sources


def _is_dead(work: Work, index: int) -> bool:
    node = work.nodes[index]
    unread = not work.readers(index) and not work.is_returned(index)
    return unread and node.kind != INPUT_KIND and not _adds_to_loss(node)


def _adds_to_loss(node: LayerNode) -> bool:
    if has_code(node) or node.kind == "ActivityRegularization":
        return True
    return any(name.endswith("regularizer") for name in node.config)
