"""``Masking(0)`` sets to zero what is zero already: what it changes is the mask.

That mask is an input of the layers that read it, and is compared there.
"""

from __future__ import annotations

from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of

NAME = "Masking without a reader"


def apply(work: Work, index: int) -> None:
    """Take out a masking layer for the value 0."""
    node = work.nodes[index]
    if not is_call_of(node, "Masking") or node.config.get("mask_value") != 0:
        return
    if "activity_regularizer" not in node.config and work.spec(node.inputs[0])[1] == node.outputs[0][1]:
        work.bypass(index, NAME)
