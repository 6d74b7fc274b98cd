"""Dataclasses of arrays, numbers and texts as JSON-able data beside arrays, and back."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.generic]]


def to_data(value: Any) -> tuple[Any, Arrays]:
    """Return JSON-able data for a value, and the arrays it refers to by name, as ``numpy.savez`` takes them.

    Args:
        value: dataclasses of this package, mappings, tuples, lists, arrays, numbers, texts and ``None``, at
            any depth.

    Raises:
        TypeError: it holds anything else, such as a live model.
    """
    arrays: Arrays = {}
    return _encoded(value, arrays), arrays


def from_data(data: Any, arrays: Mapping[str, NDArray[np.generic]]) -> Any:
    """Return the value that `to_data` returned as data and arrays."""
    if isinstance(data, list):
        return [from_data(item, arrays) for item in data]
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    return _DECODERS[kind](content, arrays)


def _encoded(value: Any, arrays: Arrays) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, list):
        return [_encoded(item, arrays) for item in value]
    if isinstance(value, tuple | set | frozenset):
        items = value if isinstance(value, tuple) else sorted(value, key=repr)
        return {type(value).__name__: [_encoded(item, arrays) for item in items]}
    if isinstance(value, Mapping):
        return {"dict": [[_encoded(key, arrays), _encoded(item, arrays)] for key, item in value.items()]}
    if is_dataclass(value) and type(value).__module__.startswith(f"{__package__}."):
        cls = type(value)
        found = {field.name: _encoded(getattr(value, field.name), arrays) for field in fields(value)}
        return {"dataclass": [cls.__module__, cls.__qualname__, found]}
    if isinstance(value, np.ndarray | np.generic):
        return _encoded_array(np.asarray(value), arrays)
    raise TypeError(f"a {type(value).__name__} is no plain data")


def _encoded_array(array: NDArray[Any], arrays: Arrays) -> Any:
    if array.dtype.kind in "OSU":
        flat = [item.decode() if isinstance(item, bytes) else str(item) for item in array.ravel()]
        return {"texts": [flat, list(array.shape)]}
    name = f"a{len(arrays)}"
    narrow = array.dtype.kind == "V"  # bfloat16, which NumPy's files do not know
    arrays[name] = array.astype(np.float32) if narrow else array
    return {"array": [name, array.dtype.name]}


def _texts(content: Any, _: Mapping[str, Any]) -> NDArray[Any]:
    flat, shape = content
    return np.array(flat, dtype=object).reshape(shape)


def _array(content: Any, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    name, dtype = content
    array = arrays[name]
    return array if array.dtype.name == dtype else array.astype(dtype)


def _dataclass(content: Any, arrays: Mapping[str, Any]) -> Any:
    module, name, found = content
    if not module.startswith(f"{__package__}."):
        raise ValueError(f"{module}.{name} is no dataclass of {__package__}")
    cls = getattr(importlib.import_module(module), name)
    return cls(**{key: from_data(item, arrays) for key, item in found.items()})


_DECODERS = {
    "float": lambda content, _: float(content),
    "tuple": lambda content, arrays: tuple(from_data(item, arrays) for item in content),
    "set": lambda content, arrays: {from_data(item, arrays) for item in content},
    "frozenset": lambda content, arrays: frozenset(from_data(item, arrays) for item in content),
    "dict": lambda content, arrays: {
        from_data(key, arrays): from_data(item, arrays) for key, item in content
    },
    "dataclass": _dataclass,
    "array": _array,
    "texts": _texts,
}
