"""Keeping the essence of a large array, so that many states of a large model fit into memory."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST_KEPT = 65_536
"""Most elements of an array that is kept whole."""

SAMPLED = 4_096
PROJECTIONS = 8


def sketch(values: Any) -> NDArray[np.generic]:
    """Return a copy of an array; of a large one, evenly spread elements and random projections of the whole.

    Each projection is the sum of all elements with random signs over the square root of their number, so
    that a change of any one element changes all of them, and rounding errors of the elements average out as
    they should.

    Args:
        values: an array or tensor of any shape.

    Returns:
        The array, or a vector of `SAMPLED` + `PROJECTIONS` numbers if it has more than `LARGEST_KEPT`
        elements.
    """
    import numpy as np

    array: NDArray[Any] = np.asarray(values).copy()
    if array.size <= LARGEST_KEPT:
        return array
    flat = array.reshape(-1).astype(np.float64)
    picked = flat[np.linspace(0, array.size - 1, SAMPLED).astype(np.int64)]
    projected = [flat @ _signs(array.size, k) / np.sqrt(array.size) for k in range(PROJECTIONS)]
    return np.concatenate([picked, projected])


@lru_cache(maxsize=PROJECTIONS)
def _signs(size: int, number: int) -> NDArray[Any]:
    import numpy as np

    signs: NDArray[Any] = np.random.default_rng([size, number]).integers(0, 2, size, dtype=np.int8) * 2 - 1
    return signs
