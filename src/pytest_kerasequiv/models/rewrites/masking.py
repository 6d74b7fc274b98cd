"""``Masking(0)`` sets to zero what is zero already: what it changes is the mask.

That mask is an input of the layers that read it, and is compared there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kerasequiv.models.rewrites.work import is_keras

if TYPE_CHECKING:
    from pytest_kerasequiv.models.rewrites.work import Work

NAME = "Masking without a reader"


def apply(work: Work, index: int) -> None:
    """Take out a masking layer for the value 0."""
    node = work.nodes[index]
    if not is_keras(node, "Masking") or node.config.get("mask_value") != 0:
        return
    if "activity_regularizer" not in node.config and work.spec(node.inputs[0])[1] == node.outputs[0][1]:
        work.bypass(index, NAME)
