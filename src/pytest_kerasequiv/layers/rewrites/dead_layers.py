"""A layer from which no path leads to an output has no effect on the outputs.

Not where it adds to the loss: a regulariser, or code of the user's that may do so.
"""

from __future__ import annotations

from pytest_kerasequiv.layers.layer_graph import INPUT_KIND, LayerNode
from pytest_kerasequiv.layers.rewrites.work import Work, has_code

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
