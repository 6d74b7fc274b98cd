"""What the constraint of a weight makes of values of every size, reached in training or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.keras_access.random_state import preserved_state

SIZES = (0.1, 1.0, 10.0, 1000.0)
"""Standard deviations of the values that are tried; both signs occur in each."""

TOLERANCE = 1e-3
"""Relative difference from which on results are others: far above rounding, far below what a bound does."""


def constrained(variable: keras.Variable) -> tuple[float, ...] | None:
    """Return a sketch of what the constraint of a variable makes of values; ``None`` where it has none."""
    constraint = getattr(variable, "constraint", None)
    if constraint is None or not np.issubdtype(np.dtype(variable.value.numpy().dtype), np.floating):
        return None
    with preserved_state():
        made = [
            keras.ops.convert_to_numpy(constraint(keras.ops.convert_to_tensor(value, variable.dtype)))
            for value in _values(tuple(variable.shape))
        ]
    return tuple(number for array in made for number in _sketch(array))


def alike(
    ours: Sequence[float] | None, theirs: Sequence[float] | None, shapes: Sequence[tuple[int, ...]]
) -> bool:
    """Tell whether two constraints do the same; a variable without one keeps every value.

    Args:
        ours: what `constrained` returned for one variable.
        theirs: the same for the other.
        shapes: the shapes of both. Two constraints on different shapes look at other axes: not compared here.
    """
    if ours is None and theirs is None:
        return True
    if ours is not None and theirs is not None and shapes[0] != shapes[1]:
        return True
    first = _kept(shapes[1]) if ours is None else ours
    second = _kept(shapes[0]) if theirs is None else theirs
    one, other = np.reshape(first, (len(SIZES), -1)), np.reshape(second, (len(SIZES), -1))
    size = np.maximum(one[:, :1], other[:, :1])  # the root mean square stands first
    return bool(np.all(np.abs(one - other) <= TOLERANCE * size))


def _values(shape: tuple[int, ...]) -> Iterator[NDArray[np.float32]]:
    for size in SIZES:
        yield (size * np.random.default_rng(0).normal(size=shape)).astype("float32")


def _sketch(array: NDArray[np.generic]) -> tuple[float, ...]:
    """Return the root mean square and two projections of an array, each of the size of its elements."""
    flat = np.asarray(array, "float64").reshape(-1)
    count = max(flat.size, 1)
    directions = np.random.default_rng(1).choice([-1.0, 1.0], size=(2, flat.size))
    return (float(np.sqrt(np.sum(flat**2) / count)), *(directions @ flat / np.sqrt(count)).tolist())


def _kept(shape: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(number for value in _values(shape) for number in _sketch(value))
