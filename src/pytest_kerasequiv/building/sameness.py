"""Whether what a layer and its copy hold is the same, and whether the copy still reads the original."""

from __future__ import annotations

import functools
import pickle
import types
from collections.abc import Mapping, Set
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.building.reached import LIBRARIES, cells_of, is_state, reached_from
from pytest_kerasequiv.layers.configs import fields_of
from pytest_kerasequiv.layers.own_code import digest, is_opaque

_DATA = (bool, int, float, complex, str, bytes, type, slice, range, types.EllipsisType, types.ModuleType)
_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


def is_data(value: Any) -> bool:
    """Whether ``value`` is plain data at any depth: it can be compared, and given to another layer."""
    if isinstance(value, Mapping):
        return all(is_data(key) and is_data(item) for key, item in value.items())
    if isinstance(value, list | tuple | Set):
        return all(map(is_data, value))
    return value is None or isinstance(value, _DATA) or is_array(value)


def is_array(value: Any) -> bool:
    """Whether ``value`` is a NumPy array or number, a NumPy dtype or an eager tensor."""
    if isinstance(value, np.ndarray):
        return bool(value.dtype != object)
    return isinstance(value, np.generic | np.dtype | tf.TensorShape | tf.DType) or _is_eager(value)


def is_symbolic(value: Any) -> bool:
    """Whether ``value`` is a tensor of a graph: what some call left behind, no setting."""
    return isinstance(value, keras.KerasTensor) or (tf.is_tensor(value) and not _is_eager(value))


def _is_eager(value: Any) -> bool:
    return isinstance(value, tf.Tensor) and hasattr(value, "numpy")


def copied(value: Any) -> Any:
    """Return plain data of its own: containers without Keras's trackers, arrays that share no memory."""
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(copied, value))
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(map(copied, value))
    return value.copy() if isinstance(value, np.ndarray) else value


def same_data(one: Any, other: Any) -> bool:
    """Whether two pieces of plain data are equal, with their types: 1 is neither ``True`` nor 1.0."""
    if isinstance(one, Mapping):
        keys = isinstance(other, Mapping) and one.keys() == other.keys()
        return keys and all(same_data(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        alike = isinstance(other, list | tuple) and isinstance(one, list) == isinstance(other, list)
        return alike and len(one) == len(other) and all(map(same_data, one, other))
    if isinstance(one, Set):
        return isinstance(other, Set) and set(one) == set(other)
    if type(one) is not type(other):
        return False
    if is_array(one) and hasattr(one, "shape") and hasattr(one, "dtype"):
        return _same_array(one, other)
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - NaN is not itself


def _same_array(one: Any, other: Any) -> bool:
    a, b = np.asarray(one), np.asarray(other)
    return a.dtype == b.dtype and a.shape == b.shape and (a.tobytes() == b.tobytes() or bool(np.all(a == b)))


class Copies:
    """The layers and variables of a model, and what each has become in the copy.

    Args:
        pairs: original and copy.
        widened: whether the copy computes in float64: floats of other widths are then the same if they are
            equal as float32.
    """

    def __init__(self, pairs: list[tuple[Any, Any]], *, widened: bool = False) -> None:
        self._widened = widened
        self._copies = {id(original): (original, copy) for original, copy in pairs}
        self._compared: dict[tuple[int, int], bool] = {}

    def owns(self, thing: Any) -> bool:
        """Whether ``thing`` is part of the original."""
        return id(thing) in self._copies

    def alike(self, one: Any, other: Any) -> bool:
        """Whether ``other`` is to the copy what ``one`` is to the original; ``False`` where none can tell."""
        if self.owns(one):
            return self._copies[id(one)][1] is other
        if is_data(one):
            return is_data(other) and (same_data(one, other) or self._same_but_wider(one, other))
        if is_symbolic(one) or (is_state(one) and type(one) is type(other)):
            return True
        if one is other:
            return self.read_by(one) is None
        key = (id(one), id(other))
        if key not in self._compared:
            self._compared[key] = True  # in a cycle the outer comparison decides
            self._compared[key] = type(one) is type(other) and self._alike_inside(one, other)
        return self._compared[key]

    def _same_but_wider(self, one: Any, other: Any) -> bool:
        if not self._widened:
            return False
        if isinstance(one, str):
            return one in _FLOATS and other in _FLOATS
        if isinstance(one, list | tuple) and type(one) is type(other) and len(one) == len(other):
            return all(map(self.alike, one, other))
        return _both_floats(one, other) and _same_array(_narrow(one), _narrow(other))

    def as_wide(self, value: Any, present: Any) -> Any:
        """Return plain data for the copy: a float array in the dtype of the one there, else in float64."""
        if not (self._widened and _both_floats(value, value)):
            return value
        dtype = present.dtype if _both_floats(value, present) else "float64"
        return tf.cast(value, dtype) if tf.is_tensor(value) else value.astype(dtype)

    def _alike_inside(self, one: Any, other: Any) -> bool:
        if isinstance(one, Mapping):
            return one.keys() == other.keys() and all(self.alike(one[key], other[key]) for key in one)
        if isinstance(one, list | tuple):
            return len(one) == len(other) and all(map(self.alike, one, other))
        if isinstance(one, types.FunctionType):
            return self._alike_functions(one, other)
        if isinstance(one, types.MethodType):
            return self.alike(one.__func__, other.__func__) and self.alike(one.__self__, other.__self__)
        if isinstance(one, functools.partial):
            parts = ((one.func, other.func), (one.args, other.args), (one.keywords, other.keywords))
            return all(self.alike(a, b) for a, b in parts)
        return self._alike_objects(one, other)

    def _alike_functions(self, one: Any, other: Any) -> bool:
        if one.__code__ is not other.__code__:
            label = digest(one)
            return label == digest(other) and not is_opaque(label)
        defaults = self.alike(one.__defaults__, other.__defaults__)
        return defaults and all(map(self.alike, cells_of(one), cells_of(other)))

    def _alike_objects(self, one: Any, other: Any) -> bool:
        if isinstance(one, tf.Variable):
            return _same_array(one.numpy(), other.numpy())
        root = type(one).__module__.split(".")[0]
        if root == "keras" and hasattr(one, "get_config"):
            return _same_config(one, other)
        if root in LIBRARIES:
            return True  # locks, lookup tables and their like, made by the same constructor
        if hasattr(one, "__dict__"):
            mine, theirs = vars(one), vars(other)
            return mine.keys() == theirs.keys() and all(self.alike(mine[n], theirs[n]) for n in mine)
        return _equal(one, other) or _same_pickle(one, other)

    def read_by(self, thing: Any) -> Any:
        """Return a layer or variable of the original that a function reads; ``None`` if it reads none."""
        return next((found for found in reached_from(thing) if self._part(found)), None)

    def _part(self, found: Any) -> bool:
        if isinstance(found, keras.Layer):
            parts = [*found._flatten_layers(), *found.variables]
            return any(map(self.owns, parts))
        return self.owns(found)


def _both_floats(one: Any, other: Any) -> bool:
    """Whether both are float arrays or tensors of one class."""
    if type(one) is not type(other) or not (hasattr(one, "shape") and hasattr(one, "dtype")):
        return False
    return {getattr(each.dtype, "name", "") for each in (one, other)} <= _FLOATS


def _narrow(array: Any) -> Any:
    return np.asarray(array).astype("float32")


def _same_config(one: Any, other: Any) -> bool:
    try:
        mine, theirs = fields_of(one.get_config())[0], fields_of(other.get_config())[0]
    except Exception:  # an object of the user's inside it may refuse to be written down
        return False
    return mine == theirs and not is_opaque(mine)


def _equal(one: Any, other: Any) -> bool:
    try:
        return (one == other) is True
    except Exception:  # what cannot be compared cannot be told to be equal
        return False


def _same_pickle(one: Any, other: Any) -> bool:
    try:
        return pickle.dumps(one) == pickle.dumps(other)
    except Exception:  # what cannot be written down cannot be told to be equal
        return False
