"""Unrolling a recurrent layer changes how the loop is written, not what each step computes.

Without a mask only: with one, the two loops of the backend treat masked steps in code of their own.
"""

from __future__ import annotations

from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of, mask_edges, without

NAME = "unroll"
FIELDS = ("unroll", "layer.unroll", "backward_layer.unroll")


def apply(work: Work, index: int) -> None:
    """Leave ``unroll`` out of the config of a recurrent layer that reads no mask."""
    node = work.nodes[index]
    if not is_call_of(node, "LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional") or mask_edges(node):
        return
    if any(node.config.get(name) for name in FIELDS):
        work.change(index, NAME, config=without(node.config, *FIELDS))
    else:
        work.set(index, config=without(node.config, *FIELDS))
