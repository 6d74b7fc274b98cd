"""Canonical text of an op's attributes: exact, readable, free of names."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

DROPPED = {
    "_class": "colocation with another op, by name: placement, not arithmetic",
    "_gradient_op_type": "name of a registered gradient; the gradients that matter are traced themselves",
    "_has_manual_control_dependencies": "bookkeeping of automatic control edges, which are read themselves",
    "_num_original_outputs": "how many outputs a loop had before its gradient was taken: bookkeeping",
    "_output_shapes": "inferred from the op and its inputs, which are compared",
    "_read_only_resource_inputs": "derived from the bodies, which are compared",
    "_user_specified_name": "a name",
    "container": "a name; ops that look up resources by name are never proved",
    "shared_name": "a name, likewise",
    "token": "stands for a Python function that is called back; never proved, its code is compared",
}
"""Attributes left out of the comparison, and why each has no influence on a result."""

DROPPED_OF_FUNCTIONS = {
    "_construction_context": "whether the function was traced from eager code",
    "_input_shapes": "inferred shapes of the arguments; the ops inside and the caller's values are compared",
    "_original_func_name": "a name",
    "backward_function_name": "a name; the backward function is traced itself",
    "forward_function_name": "a name, likewise",
}
"""The same for the attributes of a function as a whole. Others, such as ``_XlaMustCompile``, are compared."""

SHOWN_ELEMENTS = 4

LARGEST_WHOLE = 1 << 20
"""Most bytes of a constant that are kept, so that two like it can be told apart by how much."""


def attribute_texts(
    attributes: Mapping[str, Any],
    function_text: Callable[[Any], str],
    dropped: Mapping[str, str] = DROPPED,
) -> tuple[tuple[str, str], ...]:
    """Return the sorted (name, text) pairs of a mapping of ``AttrValue`` messages.

    Args:
        attributes: the attributes of a node or function.
        function_text: text of a ``NameAttrList``: the content of the function it names.
        dropped: names to leave out.
    """
    return tuple(
        (name, attribute_text(attributes[name], function_text))
        for name in sorted(attributes)
        if name not in dropped
    )


def attribute_text(value: Any, function_text: Callable[[Any], str]) -> str:
    """Return text that two ``AttrValue`` messages share exactly if they hold the same value."""
    kind = value.WhichOneof("value")
    if kind == "tensor":
        return tensor_text(value.tensor)
    if kind == "func":
        return function_text(value.func)
    if kind == "list":
        return _list_text(value.list, function_text)
    if kind == "shape":
        return _shape_text(value.shape)
    if kind == "type":
        return _dtype_name(value.type)
    return f"{kind} {getattr(value, kind)!r}" if kind else "unset"


def tensor_text(proto: Any) -> str:
    """Return the text of a ``TensorProto``: dtype, shape and exact content."""
    return array_text(tf.make_ndarray(proto), _dtype_name(proto.dtype))


def array_text(array: Any, dtype: str) -> str:
    """Return the text of an array: dtype, shape, the first elements, and the bytes, of many the digest."""
    if array.dtype == object:
        exact = hashlib.sha256(repr(array.tolist()).encode()).hexdigest()
    elif array.nbytes <= LARGEST_WHOLE:
        exact = f"={base64.b64encode(array.tobytes()).decode()}"
    else:
        exact = hashlib.sha256(array.tobytes()).hexdigest()
    shown = array.reshape(-1)[:SHOWN_ELEMENTS].tolist()
    dots = ", …" if array.size > SHOWN_ELEMENTS else ""
    return f"{dtype}{list(array.shape)} {', '.join(map(str, shown))}{dots} #{exact}"


def array_of(text: str) -> NDArray[Any] | None:
    """Return the number or array that a text of `attribute_text` holds; ``None`` where it holds none."""
    found = _NUMBER.fullmatch(text)
    if found is not None:
        return np.asarray(float(found[2]) if found[1] == "f" else int(found[2]), _KINDS[found[1]])
    found = _ARRAY.fullmatch(text)
    if found is None:
        return None
    shape = tuple(int(size) for size in found[2].split(",") if size)
    content = base64.b64decode(found[3])
    values: NDArray[Any] = np.frombuffer(content, tf.dtypes.as_dtype(found[1]).as_numpy_dtype).reshape(shape)
    return values


_NUMBER = re.compile(r"([fi]) (\S+)")
_KINDS = {"f": np.float32, "i": np.int64}
_ARRAY = re.compile(r"(\w+)\[([\d, ]*)\] .*#=(\S*)", re.DOTALL)


def shortened(text: str) -> str:
    """Return the text of an attribute as a reader writes it, ``float32 0.001``; cut where it is long."""
    shown = text.partition(" #")[0]
    found, plain = _SHOWN_ARRAY.fullmatch(shown), _PLAIN.fullmatch(shown)
    if found is not None:
        dtype, shape, values = found.groups()
        shown = f"{dtype}{f' of shape ({shape})' if shape else ''} {_in_digits(dtype, values)}"
    elif plain is not None:
        # A float attribute is one of 32 bits, written down as a double.
        shown = plain[1] or (_in_digits("float32", plain[2]) if shown.startswith("f ") else plain[2])
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


_SHOWN_ARRAY = re.compile(r"(\w+)\[([\d, ]*)\] (.*)", re.DOTALL)
_PLAIN = re.compile(r"s b('.*')|[ifb] (.*)", re.DOTALL)


def _in_digits(dtype: str, values: str) -> str:
    """Return numbers in as many digits as tell them from others of their dtype."""
    if dtype not in ("float16", "float32"):
        return values
    return ", ".join(one if one == "…" else str(np.dtype(dtype).type(one)) for one in values.split(", "))


def _list_text(values: Any, function_text: Callable[[Any], str]) -> str:
    parts = [
        f"{kind} {list(getattr(values, kind))!r}" for kind in ("s", "i", "f", "b") if getattr(values, kind)
    ]
    parts += [_dtype_name(dtype) for dtype in values.type]
    parts += [_shape_text(shape) for shape in values.shape]
    parts += [tensor_text(tensor) for tensor in values.tensor]
    parts += [function_text(function) for function in values.func]
    return f"[{', '.join(parts)}]"


def _shape_text(shape: Any) -> str:
    if shape.unknown_rank:
        return "shape ?"
    return f"shape {[dim.size if dim.size >= 0 else None for dim in shape.dim]}"


@functools.cache
def _dtype_name(number: int) -> str:
    return str(tf.dtypes.as_dtype(number).name)
