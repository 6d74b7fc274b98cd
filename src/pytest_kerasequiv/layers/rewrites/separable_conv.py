"""A separable convolution is a depthwise convolution followed by one of kernel size 1, by definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.layers.layer_graph import LayerNode
from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of, without

NAME = "separable convolution"
KINDS = {
    "SeparableConv1D": ("DepthwiseConv1D", "Conv1D"),
    "SeparableConv2D": ("DepthwiseConv2D", "Conv2D"),
}
LAID_OPEN = 1_000_000
"""Distance of the numbers of layers laid open from those of the layers they come from, to keep sharing."""
SPATIAL = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier", "data_format")


def apply(work: Work, index: int) -> None:
    """Split a separable convolution in two."""
    node = work.nodes[index]
    if not is_call_of(node, *KINDS) or node.config.get("data_format") != "channels_last":
        return
    depthwise, pointwise = KINDS[node.kind]
    roles = dict(node.variables)
    first = replace(
        node,
        kind=depthwise,
        config=_depthwise(node.config),
        outputs=(_between(work, node),),
        variables=tuple((r, roles[v]) for r, v in (("kernel", "depthwise_kernel"),) if v in roles),
        layer=node.layer + LAID_OPEN,
        inner=True,
        constants={},
    )
    work.put_before(index, first)
    second = (("kernel", "pointwise_kernel"), ("bias", "bias"))
    work.change(
        index,
        NAME,
        kind=pointwise,
        config=_pointwise(node.config),
        variables=tuple((r, roles[v]) for r, v in second if v in roles),
        aliases={
            "kernel_initializer": "pointwise_initializer",
            "kernel_regularizer": "pointwise_regularizer",
        },
    )


def _depthwise(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: config[name] for name in (*SPATIAL, "dtype", "trainable") if name in config}
    own = {name: value for name, value in config.items() if name.startswith("depthwise_")}
    zeros = {"bias_initializer": {"class": "Zeros"}}
    return {**kept, **own, **zeros, "use_bias": False, "activation": "linear"}


def _pointwise(config: Mapping[str, Any]) -> dict[str, Any]:
    ones = [1] * len(config["kernel_size"])
    pointwise = {
        name.replace("pointwise_", "kernel_"): value
        for name, value in config.items()
        if name.startswith("pointwise_")
    }
    rest = {
        name: value for name, value in config.items() if not name.startswith(("pointwise_", "depthwise_"))
    }
    spatial = {"kernel_size": ones, "strides": ones, "dilation_rate": ones, "padding": "valid", "groups": 1}
    return {**without(rest, *SPATIAL), **pointwise, **spatial, "data_format": "channels_last"}


def _between(work: Work, node: LayerNode) -> tuple[tuple[int | None, ...], str]:
    """Return shape and dtype of the tensor between the two convolutions."""
    channels = work.spec(node.inputs[0])[0][-1]
    shape, dtype = node.outputs[0]
    multiplied = None if channels is None else channels * node.config["depth_multiplier"]
    return (*shape[:-1], multiplied), dtype
