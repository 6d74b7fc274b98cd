"""Keeping the essence of a large array, so that many states of a large model fit into memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_KEPT = 65_536
"""Most elements of an array that is kept whole, unless fewer are asked for."""

SAMPLED = 512
PROJECTIONS = 8

_ROW = 256 * PROJECTIONS
"""Elements that are summed column by column; an even multiple of the projections keeps their signs."""


def sketch(values: Any, largest: int = LARGEST_KEPT) -> NDArray[np.generic]:
    """Return a copy of an array; of a large one, evenly spread elements and projections of the whole.

    Projection ``k`` is the sum of every `PROJECTIONS`-th element from the ``k``-th on, signs alternating,
    over the square root of their number: a change of any one element changes one of them.

    Args:
        values: an array or tensor of any shape.
        largest: most elements of an array that is kept whole.

    Returns:
        The array, or a vector of `SAMPLED` + `PROJECTIONS` numbers if it has more than ``largest`` elements.
    """
    array: NDArray[Any] = np.asarray(values)
    if array.size <= largest:
        return array.copy()
    flat = array.reshape(-1)
    picked = flat[np.linspace(0, array.size - 1, SAMPLED).astype(np.int64)].astype(np.float64)
    return np.concatenate([picked, projections(flat)])


def projections(flat: NDArray[Any]) -> NDArray[np.float64]:
    """Return the projections, by column sums: no float64 copy of the whole is made."""
    whole = flat.size - flat.size % _ROW
    sums = flat[:whole].reshape(-1, _ROW).sum(axis=0, dtype=np.float64)
    sums[: flat.size - whole] += flat[whole:]
    folded = sums.reshape(-1, 2, PROJECTIONS).sum(axis=0)
    lengths = [(flat.size - k + PROJECTIONS - 1) // PROJECTIONS for k in range(PROJECTIONS)]
    projected: NDArray[np.float64] = (folded[0] - folded[1]) / np.sqrt(lengths)
    return projected
