"""Floating-point dtypes: their roundoff, the least precise one of a model, arrays wide enough to compare."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.keras_access.layers import layers_within

UNIT_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Half the distance from 1 to the next number: the relative error of one rounding."""


def least_precise_dtype(model: keras.Model) -> str:
    """Return the coarsest float dtype that any layer of the model computes in."""
    found = {str(layer.compute_dtype) for layer in layers_within(model, itself=True) if layer.compute_dtype}
    return max(found & set(UNIT_ROUNDOFF), key=UNIT_ROUNDOFF.__getitem__, default="float32")


def widened(array: Any) -> NDArray[np.generic]:
    """Return an array to form differences with: float16 and bfloat16 become float32, bool becomes int8."""
    values = np.asarray(array)
    if values.dtype.kind == "f" and values.dtype.itemsize >= 4:
        return values
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    if values.dtype.kind == "b":
        return values.astype(np.int8)
    return values.astype(np.float32) if values.dtype.kind in "fV" else values
