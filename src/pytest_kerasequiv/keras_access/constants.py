"""Changing the float constants that a function holds, while it is traced.

Tried on TensorFlow 2.21: every constant of a traced function, its loops and branches included, is made by
``FuncGraph._create_op_internal``; an eager tensor that the code uses comes in by ``FuncGraph.capture``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.func_graph import FuncGraph

FLOATS = frozenset({tf.float64, tf.float32})


@contextmanager
def constants_changed(change: Callable[[NDArray[Any]], NDArray[Any]]) -> Iterator[None]:
    """Run a block in which traced functions hold changed constants.

    Args:
        change: given a finite float array, returns another of its shape and dtype.
    """
    create, capture = FuncGraph._create_op_internal, FuncGraph.capture
    changed: dict[int, tuple[Any, Any]] = {}

    def creating(self: Any, op_type: str, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if op_type == "Const":
            _change_attribute(kwargs.get("attrs"), change)
        return create(self, op_type, inputs, *args, **kwargs)

    def capturing(self: Any, tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if tf.is_tensor(tensor) and hasattr(tensor, "_numpy") and tensor.dtype in FLOATS:
            if id(tensor) not in changed:
                with tf.init_scope():
                    other = tf.constant(change(tensor.numpy()))
                changed[id(tensor)] = changed[id(other)] = tensor, other  # asked for again by its copy
            tensor = changed[id(tensor)][1]
        return capture(self, tensor, *args, **kwargs)

    FuncGraph._create_op_internal, FuncGraph.capture = creating, capturing
    try:
        yield
    finally:
        FuncGraph._create_op_internal, FuncGraph.capture = create, capture


def _change_attribute(attributes: Any, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    proto = attributes["value"].tensor if attributes else None
    if proto is not None and tf.dtypes.as_dtype(proto.dtype) in FLOATS:
        values = tf.make_ndarray(proto)
        proto.CopyFrom(tf.make_tensor_proto(change(values), shape=values.shape))
