"""Indices written one way: axes from the front, slices by where they begin and end, where shapes tell.

``x[:, -1]`` is ``x[:, 3]`` where the axis has four elements, and a sum over the last axis is one over axis 2.
Constants that say so in other words would be taken for a difference of the programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

REDUCTIONS = frozenset({"Sum", "Mean", "Prod", "Max", "Min", "All", "Any", "EuclideanNorm"})
"""Operations over a set of axes, their second input."""

AXES = {
    "ConcatV2": -1,
    "GatherV2": 2,
    "ArgMax": 1,
    "ArgMin": 1,
    "Cumsum": 1,
    "Cumprod": 1,
    "CumulativeLogsumexp": 1,
    "Split": 0,
    "SplitV": 2,
}
"""Operations along one axis, and the input that names it."""

SLICES = frozenset({"StridedSlice", "StridedSliceGrad"})
REWRITTEN = REDUCTIONS | AXES.keys() | SLICES | {"SelectV2"}
"""All operations that are looked at."""

SPANS = slice(1, 4)
"""Inputs of these that hold where slices begin and end, and their strides."""


def with_plain_indices(definition: Any, graph: Any) -> Any:
    """Rewrite the constants that name axes and slices in the ``GraphDef`` of a traced function; return it."""
    constants = {node.name: node for node in definition.node if node.op == "Const"}
    added: list[Any] = []
    for node in definition.node:
        if node.op not in REWRITTEN:
            continue
        op = graph.get_operation_by_name(node.name)
        if node.op in REDUCTIONS:
            _count_from_front(constants, op.inputs[1], op.inputs[0].shape.rank)
        elif node.op in AXES:
            values = op.inputs[1 if node.op == "Split" else 0]
            _count_from_front(constants, op.inputs[AXES[node.op]], values.shape.rank)
        elif node.op in SLICES:
            added += _plain_slice(node, op)
        elif (index := _static(op.outputs[0])) is not None:
            _settle(node, index)
    definition.node.extend(added)
    return definition


_ARITHMETIC = {"Less": np.less, "AddV2": np.add}
"""What is done to the indices of `keras.ops.take`."""


def _static(tensor: Any) -> Any:
    """Return the whole numbers that `keras.ops.take` makes of indices; ``None`` where they hang on the input.

    It adds the length of the axis to negative ones while the model runs.
    """
    op = tensor.op
    if op.type in {"Const", "Cast", "SelectV2", *_ARITHMETIC} and not tensor.dtype.is_floating:
        values = [tf.get_static_value(tensor)] if op.type == "Const" else list(map(_static, op.inputs))
        if op.type == "SelectV2" and values[0] is not None:
            if not np.any(values[0]):
                return values[2]
            return None if values[1] is None else np.where(*values)
        if any(value is None for value in values):
            return None
        if op.type == "Cast":
            return values[0].astype(tensor.dtype.as_numpy_dtype)
        return np.asarray(*values) if op.type == "Const" else _ARITHMETIC[op.type](*values)
    if op.type == "StridedSlice" and op.inputs[0].op.type == "Shape" and tensor.shape.rank == 0:
        begin = tf.get_static_value(op.inputs[1])
        size = None if begin is None else op.inputs[0].op.inputs[0].shape[int(begin[0])]
        return None if size is None else np.asarray(size, tensor.dtype.as_numpy_dtype)
    return None


def _settle(node: Any, value: Any) -> None:
    """Let a node be a constant."""
    proto = tf.make_tensor_proto(value)
    node.op = "Const"
    del node.input[:]
    node.attr.clear()
    node.attr["value"].tensor.CopyFrom(proto)
    node.attr["dtype"].type = proto.dtype


def _count_from_front(constants: Mapping[str, Any], axes: Any, rank: int | None) -> None:
    """Let a constant count axes from the front, a set of axes in order, where the rank is known.

    The gradient of an operation takes its axes modulo the rank; a constant that anything else takes is left.
    """
    values = tf.get_static_value(axes)
    if values is None or not rank or axes.op.name not in constants:
        return
    if all(_as_axis(op, axes, rank) for op in axes.consumers()):
        counted = np.asarray(np.mod(values, rank), values.dtype)
        plain = np.sort(counted) if counted.ndim == 1 else counted
        constants[axes.op.name].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(plain))


def _as_axis(op: Any, axes: Any, rank: int) -> bool:
    """Tell whether an operation takes a tensor as axes, or modulo the rank as gradients do."""
    if op.type in REDUCTIONS:
        return bool(op.inputs[1] is axes)
    if op.type in AXES:
        return bool(op.inputs[AXES[op.type]] is axes)
    if op.type == "FloorMod":
        return bool(op.inputs[0] is axes and tf.get_static_value(op.inputs[1]) == rank)
    others = [tf.get_static_value(other) for other in op.inputs if other is not axes]
    if op.type == "AddV2" and others == [rank]:
        taking = op.outputs[0].consumers()
        return all(other.type == "FloorMod" and _as_axis(other, op.outputs[0], rank) for other in taking)
    return False


def _constant(node: Any, place: int, value: Any) -> Any:
    """Return a constant node and let an operation take it."""
    proto = tf.make_tensor_proto(value)
    made = tf.compat.v1.NodeDef(name=f"{node.name}/index_{place}", op="Const")
    made.attr["value"].tensor.CopyFrom(proto)
    made.attr["dtype"].type = proto.dtype
    node.input[place] = made.name
    return made


@dataclass(frozen=True)
class _Span:
    """What is taken of one axis."""

    begin: int
    end: int
    stride: int
    from_start: bool = False
    to_end: bool = False
    single: bool = False


_WHOLE = _Span(0, 0, 1, from_start=True, to_end=True)


def _plain_slice(node: Any, op: Any) -> list[Any]:
    shape = (op.inputs[0] if node.op == "StridedSlice" else op.outputs[0]).shape
    spec = [tf.get_static_value(tensor) for tensor in op.inputs[SPANS]]
    if shape.rank is None or any(part is None for part in spec) or node.attr["new_axis_mask"].i:
        return []
    spans = _spans(node, [list(map(int, part)) for part in spec], list(shape))
    for name, flags in (
        ("begin_mask", [span.from_start for span in spans]),
        ("end_mask", [span.to_end for span in spans]),
        ("shrink_axis_mask", [span.single for span in spans]),
        ("ellipsis_mask", []),
    ):
        node.attr[name].i = sum(1 << i for i, flag in enumerate(flags) if flag)
    parts = zip(*((span.begin, span.end, span.stride) for span in spans), strict=True)
    return [_constant(node, 1 + k, np.asarray(part, spec[0].dtype)) for k, part in enumerate(parts)]


def _spans(node: Any, spec: Sequence[Sequence[int]], sizes: Sequence[int | None]) -> list[_Span]:
    """Return what is taken of each axis, those not named and those under an ellipsis wholly."""

    def flag(name: str, place: int) -> bool:
        return bool(node.attr[f"{name}_mask"].i >> place & 1)

    found: list[_Span] = []
    for place, (begin, end, stride) in enumerate(zip(*spec, strict=True)):
        if flag("ellipsis", place):
            left = len(spec[0]) - place - 1
            found += [
                _plain(_Span(0, 0, 1, True, True), size) for size in sizes[len(found) : len(sizes) - left]
            ]
            continue
        span = _Span(begin, end, stride, flag("begin", place), flag("end", place), flag("shrink_axis", place))
        found.append(_plain(span, sizes[len(found)]))
    return found + [_plain(_WHOLE, size) for size in sizes[len(found) :]]


def _plain(span: _Span, size: int | None) -> _Span:
    """Return an equal span: in numbers from the front where the size of the axis is known."""
    if span.single:
        begin = span.begin + size if size is not None and span.begin < 0 else span.begin
        return _Span(begin, begin + 1, 1, single=True)
    whole = span.from_start or (span.begin == 0 and span.stride > 0)
    if size is None:
        begin, end = (0 if whole else span.begin), (0 if span.to_end else span.end)
        return _Span(begin, end, span.stride, whole, span.to_end)
    taken = range(size)[
        slice(None if span.from_start else span.begin, None if span.to_end else span.end, span.stride)
    ]
    if len(taken) == size and span.stride == 1:
        return _WHOLE
    last = taken[-1] + (1 if span.stride > 0 else -1) if taken else taken.start
    return _Span(taken.start, max(last, 0), span.stride, to_end=last < 0)
