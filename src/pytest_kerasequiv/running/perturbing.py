"""Moving weights, inputs and constants by one roundoff: what any backward stable program may do to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF
from pytest_kerasequiv.weights.adapted import learned_statistics
from pytest_kerasequiv.weights.variables import buffer_view, variables_of

Array = NDArray[np.generic]

LARGEST_LEVEL = 64.0
"""A constant weight beyond it drowns what the inputs bring: it is drawn as one that starts at 1 or 0."""


def perturbed_values(model: keras.Model, values: Sequence[Array], dtype: str, seed: int) -> list[Array]:
    """Return float64 values in which every float is changed by up to one roundoff, relatively, at random.

    A variable that is given one of them shares its buffer.

    Args:
        model: the model whose `variables_of` the values belong to.
        values: the values; seed states, counters and other integers stay as they are.
        dtype: the dtype whose roundoff is used.
        seed: equal seeds give equal changes.
    """
    rng = np.random.default_rng([seed, 1])
    floats = ["float" in str(variable.dtype) for variable in variables_of(model)]
    pairs = zip(values, floats, strict=True)
    return [buffer_view(tf.constant(_moved(value, dtype, rng))) if moves else value for value, moves in pairs]


def generic_values(model: keras.Model, values: Sequence[Array], seed: int) -> list[Array]:
    """Return values in which every float variable that is constant is random: what starts at 0 or 1.

    Under zero biases and the statistics of a fresh BatchNorm, layers commute that otherwise do not; under a
    bias of -1e6 a relu is dead, and with it all before it. What a Normalization has learned stays: the
    other twin may hold it as numbers in its code.

    Args:
        model: the model whose `variables_of` the values belong to.
        values: the values.
        seed: equal seeds give equal values.
    """
    rng = np.random.default_rng([seed, 4])
    learned = learned_statistics(model)
    drawn = []
    for variable, value in zip(variables_of(model), values, strict=True):
        constant = "float" in str(variable.dtype) and value.size > 0 and bool(np.all(value == value.flat[0]))
        if constant and id(variable) not in learned:
            value = about(float(value.flat[0]), value.shape, rng).astype(value.dtype)  # noqa: PLW2901
        drawn.append(value)
    return drawn


def about(level: float, shape: Sequence[int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw numbers about what a constant weight starts from."""
    noise = rng.uniform(0.5, 1.5, shape)
    if level == 0 or level < -LARGEST_LEVEL:
        return noise - 1
    return noise * (level if level <= LARGEST_LEVEL else 1.0)


def perturbed_inputs(inputs: Sequence[Array], dtype: str, seed: int) -> list[Array]:
    """Return float64 inputs in which every float is changed likewise, but for whole numbers.

    Those (pixels, ids, labels given as floats) are exact in every dtype, and code may branch on them.
    """
    rng = np.random.default_rng([seed, 2])
    return [
        np.where(whole(array), array, _moved(array, dtype, rng)) if array.dtype.kind == "f" else array
        for array in inputs
    ]


def perturbed_constant(dtype: str, rng: np.random.Generator, values: NDArray[Any]) -> NDArray[Any]:
    """Return a float constant of a model's code with one roundoff added or taken, at random.

    Left alone is what is not finite, and what every dtype holds exactly: in the float64 program numbers of
    few digits (2, 0.5, 127.5), in a part that is written to compute in float32 the smallest whole ones alone
    (an exponent, a step), since the rounding of that part has nothing else to stand for it.
    """
    exact = few_digits if values.dtype == np.float64 else smallest_whole
    wide = values.astype(np.float64)
    moved = wide * (1 + UNIT_ROUNDOFF[dtype] * rng.choice([-1.0, 1.0], wide.shape))
    kept: NDArray[Any] = ~np.isfinite(wide) | exact(values)
    changed: NDArray[Any] = np.where(kept, wide, moved).astype(values.dtype)
    return changed


def whole(values: NDArray[Any]) -> NDArray[Any]:
    """Tell which elements are whole numbers."""
    return np.asarray(values == np.floor(values))


def few_digits(values: NDArray[Any]) -> NDArray[Any]:
    """Tell which elements have at most 11 binary digits, as float16 has."""
    digits = np.ldexp(np.frexp(values)[0], 11)
    return whole(digits)


def smallest_whole(values: NDArray[Any]) -> NDArray[Any]:
    """Tell which elements are 0, 1 or 2, with either sign."""
    return np.asarray(whole(values) & (np.abs(values) <= 2))


def _moved(values: Array, dtype: str, rng: np.random.Generator) -> Array:
    wide = np.asarray(values, np.float64)
    moved: Array = wide * (1 + UNIT_ROUNDOFF[dtype] * rng.uniform(-1, 1, wide.shape))
    return moved
