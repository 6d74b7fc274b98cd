"""What the constraint of a weight makes of values of every size, reached in training or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.weights.variables import peek

SIZES = (0.1, 1.0, 10.0, 1000.0)
"""Standard deviations of the values that are tried; both signs occur in each."""

TOLERANCE = 1e-3
"""Relative difference from which on results are others: far above rounding, far below what a bound does."""


def constrained(variable: keras.Variable) -> tuple[float, ...] | None:
    """Return a sketch of what the constraint of a variable makes of values; ``None`` where it has none."""
    constraint = getattr(variable, "constraint", None)
    if constraint is None or not np.issubdtype(peek(variable).dtype, np.floating):
        return None

    def kept(value: NDArray[np.float32]) -> NDArray[np.generic]:
        return np.asarray(
            keras.ops.convert_to_numpy(constraint(keras.ops.convert_to_tensor(value, variable.dtype)))
        )

    with preserved_state():
        return _sketch(kept, tuple(variable.shape))


def alike(
    ours: Sequence[float] | None,
    theirs: Sequence[float] | None,
    shapes: Sequence[tuple[int, ...]],
    *,
    transposed: bool = False,
) -> bool:
    """Tell whether two constraints do the same; a variable without one keeps every value.

    Args:
        ours: what `constrained` returned for one variable.
        theirs: the same for the other.
        shapes: the shapes of both. The values tried are the same numbers in the same order, so that variables
            of which one is the other reshaped are compared as they are.
        transposed: whether axes change places on the way: values of one number throughout are compared then.
    """
    if ours is None and theirs is None:
        return True
    first = _sketch(lambda value: value, shapes[0]) if ours is None else ours
    second = _sketch(lambda value: value, shapes[1]) if theirs is None else theirs
    one, other = (np.reshape(sketch, (len(SIZES), -1)) for sketch in (first, second))
    size = np.maximum(one[:, :1], other[:, :1])  # the root mean square stands first
    from_column = _ORDERED if transposed else 0
    return bool(np.all(np.abs(one - other)[:, from_column:] <= TOLERANCE * size))


_ORDERED = 3
"""Numbers of a sketch, for each size, that depend on the order of elements; they stand first."""


def _sketch(
    kept: Callable[[NDArray[np.float32]], NDArray[np.generic]], shape: tuple[int, ...]
) -> tuple[float, ...]:
    """Return, for each size, what is kept of drawn values in numbers, then of one number throughout."""
    found: list[float] = []
    for size in SIZES:
        drawn = (size * np.random.default_rng(0).normal(size=shape)).astype("float32")
        found += _numbers(kept(drawn))
        for sign in (1, -1):
            found.append(_numbers(kept(np.full(shape, sign * size, "float32")))[0])
    return tuple(found)


def _numbers(array: NDArray[np.generic]) -> list[float]:
    """Return the root mean square and two projections of an array, each of the size of its elements."""
    flat = np.asarray(array, "float64").reshape(-1)
    count = max(flat.size, 1)
    directions = np.random.default_rng(1).choice([-1.0, 1.0], size=(_ORDERED - 1, flat.size))
    return [float(np.sqrt(np.sum(flat**2) / count)), *(directions @ flat / np.sqrt(count)).tolist()]
