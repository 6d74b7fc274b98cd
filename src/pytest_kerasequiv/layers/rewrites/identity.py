"""A layer that returns its input does nothing: ``Identity``, a linear ``Activation``, ``Dropout(0)``.

Not where it casts to another dtype or adds an activity regulariser to the loss.
"""

from __future__ import annotations

from pytest_kerasequiv.layers.layer_graph import LayerNode
from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of

NAME = "identity"
DROPPING = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianDropout",
    "AlphaDropout",
)


def apply(work: Work, index: int) -> None:
    """Take out a layer that does nothing."""
    node = work.nodes[index]
    if not node.inputs or len(node.outputs) != 1 or not does_nothing(work, node):
        return
    if "activity_regularizer" not in node.config and work.spec(node.inputs[0])[1] == node.outputs[0][1]:
        work.bypass(index, NAME)


def does_nothing(work: Work, node: LayerNode) -> bool:
    """Tell whether a layer returns its input as it is."""
    if is_call_of(node, "Identity"):
        return True
    if is_call_of(node, "Activation"):
        return node.config.get("activation") == "linear"
    if is_call_of(node, *DROPPING):
        return node.config.get("rate") == 0
    if is_call_of(node, "GaussianNoise"):
        return node.config.get("stddev") == 0
    if is_call_of(node, "ActivityRegularization"):
        return not node.config.get("l1") and not node.config.get("l2")
    if is_call_of(node, "Reshape"):
        shape = work.spec(node.inputs[0])[0]
        return shape == node.outputs[0][0] and sum(size is None for size in shape[1:]) <= 1
    return False
