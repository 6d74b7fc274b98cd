"""The plan's arrays as tensors: one copy for both twins, which lives as long as an engine holds it."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.training.data import Split, leaves
from pytest_kerasequiv.training.plan import Training

_ALIGNMENT = 64
"""Bytes at which the memory of a tensor begins."""


class Tensors:
    """Training or test data, each array as a tensor of the dtype that ``fit`` feeds.

    Attributes:
        split: the arrays, each target with its sample weights.
        flat: one tensor an array, in the order of `leaves`.
    """

    def __init__(self, data: Split) -> None:
        self.split = replicated_weights(data)
        arrays = [array for _, array in leaves(tuple(self.split))]
        made = {id(array): tensor(array) for array in arrays}  # one array may be the weights of all targets
        self.flat = [made[id(array)] for array in arrays]

    def packed(self) -> tuple[Any, Any, Any]:
        """Return x, y and sample weights as ``fit`` takes them."""
        return packed(self.split, self.flat)


_KNOWN: WeakKeyDictionary[Training, WeakValueDictionary[str, Tensors]] = WeakKeyDictionary()


def tensors_of(plan: Training, name: str) -> Tensors:
    """Return the data ``name`` of a plan, ``"train"`` or ``"test"``, as tensors."""
    of_plan = _KNOWN.setdefault(plan, WeakValueDictionary())
    known = of_plan.get(name)
    if known is None:
        known = of_plan[name] = Tensors(getattr(plan, name))
    return known


def replicated_weights(data: Split) -> Split:
    """Give every target its sample weights, as Keras does where one array stands for several targets."""
    weight = data.sample_weight
    if weight is None or isinstance(weight, (list, dict)) or not isinstance(data.y, (list, dict)):
        return data
    return data._replace(sample_weight=keras.tree.map_structure(lambda _: weight, data.y))


def tensor(array: NDArray[np.generic]) -> Any:
    """Return an array as a tensor of the dtype that ``fit`` feeds: floats become floatx.

    ``tf.constant`` would take the memory of two copies for a while.
    """
    if array.dtype.kind in "US":
        return tf.constant(array)
    dtype = keras.backend.standardize_dtype(array.dtype)
    dtype = keras.config.floatx() if keras.backend.is_float_dtype(dtype) else dtype
    if np.dtype(dtype).kind not in "iuf" or not array.size:
        return tf.constant(array, dtype)
    taken = tf.experimental.dlpack.from_dlpack(_aligned(array, np.dtype(dtype)).__dlpack__())
    return tf.identity(taken)  # on the device where programs look for it


def _aligned(array: NDArray[np.generic], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a copy whose memory a tensor can take over."""
    octets = np.empty(array.size * dtype.itemsize + _ALIGNMENT, np.uint8)
    begin = -octets.ctypes.data % _ALIGNMENT
    copied = octets[begin : begin + array.size * dtype.itemsize].view(dtype).reshape(array.shape)
    np.copyto(copied, array, casting="unsafe")
    return copied


def packed(structure: Split, flat: list[Any]) -> tuple[Any, Any, Any]:
    """Put tensors into the places of the arrays of ``structure``."""
    left = iter(flat)

    def place(part: Any) -> Any:
        if part is None:
            return None
        if isinstance(part, dict):
            return {key: place(one) for key, one in part.items()}
        if isinstance(part, list):
            return [place(one) for one in part]
        return next(left)

    return place(structure.x), place(structure.y), place(structure.sample_weight)
