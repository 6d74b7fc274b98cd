"""Padding written one way: what pads nothing is ``VALID``.

A convolution of size 1, or of patches that fill the image, computes the same with either padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

IMAGE = {
    "Conv2D": "input 0",
    "Conv3D": "input 0",
    "DepthwiseConv2dNative": "input 0",
    "MaxPool": "input 0",
    "MaxPool3D": "input 0",
    "AvgPool": "input 0",
    "AvgPool3D": "input 0",
    "Conv2DBackpropFilter": "input 0",
    "Conv3DBackpropFilterV2": "input 0",
    "DepthwiseConv2dNativeBackpropFilter": "input 0",
    "MaxPoolGrad": "input 0",
    "MaxPool3DGrad": "input 0",
    "MaxPoolGradGrad": "input 0",
    "Conv2DBackpropInput": "output 0",
    "Conv3DBackpropInputV2": "output 0",
    "DepthwiseConv2dNativeBackpropInput": "output 0",
    "AvgPoolGrad": "output 0",
    "AvgPool3DGrad": "output 0",
}
"""Operations that may pad, and the tensor that they pad."""


def with_plain_padding(definition: Any, graph: Any) -> Any:
    """Let what pads nothing say so in the ``GraphDef`` of a traced function; return it."""
    for node in definition.node:
        if node.op in IMAGE and node.attr["padding"].s == b"SAME":
            op = graph.get_operation_by_name(node.name)
            if all(_fills(*axis) for axis in _axes(node, op)):
                node.attr["padding"].s = b"VALID"
    return definition


def _fills(size: int | None, window: int | None, stride: int) -> bool:
    """Tell whether windows lie within an axis where as many are asked for as padding gives."""
    if window is None or (size is None and window > 1):
        return False
    return window == 1 or (-(-size // stride) - 1) * stride + window <= size  # type: ignore[operator]


def _axes(node: Any, op: Any) -> Iterator[tuple[int | None, int | None, int]]:
    """Yield size, window and stride of each axis in space."""
    strides, dilations = (_listed(node, name) for name in ("strides", "dilations"))
    first = 2 if node.attr["data_format"].s.startswith(b"NC") else 1
    sizes, windows = _shape(op, IMAGE[node.op]), _windows(node, op, first, len(strides) - 2)
    for place, window in enumerate(windows):
        axis = first + place
        wide = window if window is None or not dilations else (window - 1) * dilations[axis] + 1
        yield sizes[axis] if sizes else None, wide, strides[axis]


def _windows(node: Any, op: Any, first: int, count: int) -> Sequence[int | None]:
    if "ksize" in node.attr:
        return _listed(node, "ksize")[first : first + count]
    kernel = _shape(op, "output 0" if "BackpropFilter" in node.op else "input 1")
    return kernel[:count] if kernel else [None] * count


def _listed(node: Any, name: str) -> list[int]:
    return list(node.attr[name].list.i) if name in node.attr else []  # a look alone would add it


def _shape(op: Any, which: str) -> list[int | None]:
    kind, _, place = which.partition(" ")
    shape = (op.inputs if kind == "input" else op.outputs)[int(place)].shape
    return list(shape) if shape.rank is not None else []
