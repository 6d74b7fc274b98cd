"""The ``activation`` of a layer is applied to its result last, so it may as well be a layer behind it."""

from __future__ import annotations

from dataclasses import replace

from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of, without

NAME = "activation split"
KINDS = (
    "Dense",
    "EinsumDense",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
)


def apply(work: Work, index: int) -> None:
    """Lay the activation of a layer open as a node; an activity regulariser goes with the result."""
    node = work.nodes[index]
    if not is_call_of(node, *KINDS):
        return
    activation = node.config.get("activation", "linear")
    if activation == "linear":
        return
    regulariser = {k: v for k, v in node.config.items() if k == "activity_regularizer"}
    bare = {**without(node.config, "activity_regularizer"), "activation": "linear"}
    work.put_before(index, replace(node, config=bare, inner=True))
    work.change(
        index,
        NAME,
        kind="Activation",
        config={"activation": activation, "dtype": node.config.get("dtype"), **regulariser},
        layer=-1 - index,
        constants={},
        variables=(),
        part="activation",
        # With whatever activation and weights: a layer that is split on both sides needs no rule. What was
        # rewritten before is of the layer alone.
        rewrites=((NAME, node.path, ""),),
    )
