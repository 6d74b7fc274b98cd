"""Moving weights and inputs by one roundoff: what any backward stable program may do to them."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF
from pytest_kerasequiv.weights.variables import variables_of

Array = NDArray[np.generic]


def perturbed_values(model: keras.Model, values: Sequence[Array], dtype: str, seed: int) -> list[Array]:
    """Return float64 values in which every float is changed by up to one roundoff, relatively, at random.

    Args:
        model: the model whose `variables_of` the values belong to.
        values: the values; seed states, counters and other integers stay as they are.
        dtype: the dtype whose roundoff is used.
        seed: equal seeds give equal changes.
    """
    rng = np.random.default_rng([seed, 1])
    floats = ["float" in str(variable.dtype) for variable in variables_of(model)]
    return [_moved(v, dtype, rng) if moves else v for v, moves in zip(values, floats, strict=True)]


def generic_values(model: keras.Model, values: Sequence[Array], seed: int) -> list[Array]:
    """Return values in which every float variable that is constant is random: what starts at 0 or 1.

    Under zero biases and the statistics of a fresh BatchNorm, layers commute that otherwise do not.

    Args:
        model: the model whose `variables_of` the values belong to.
        values: the values.
        seed: equal seeds give equal values.
    """
    rng = np.random.default_rng([seed, 4])
    drawn = []
    for variable, value in zip(variables_of(model), values, strict=True):
        constant = "float" in str(variable.dtype) and value.size > 0 and bool(np.all(value == value.flat[0]))
        if constant:
            noise = rng.uniform(0.5, 1.5, value.shape)
            level = float(value.flat[0])
            value = (level * noise if level else noise - 1).astype(value.dtype)  # noqa: PLW2901
        drawn.append(value)
    return drawn


def perturbed_inputs(inputs: Sequence[Array], dtype: str, seed: int) -> list[Array]:
    """Return float64 inputs in which every float is changed likewise."""
    rng = np.random.default_rng([seed, 2])
    return [_moved(array, dtype, rng) if array.dtype.kind == "f" else array for array in inputs]


def _moved(values: Array, dtype: str, rng: np.random.Generator) -> Array:
    wide = np.asarray(values, np.float64)
    moved: Array = wide * (1 + UNIT_ROUNDOFF[dtype] * rng.uniform(-1, 1, wide.shape))
    return moved
