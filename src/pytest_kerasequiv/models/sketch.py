"""Keeping the essence of a large array, so that many states of a large model fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST_KEPT = 65_536
"""Most elements of an array that is kept whole."""

SAMPLED = 4_096
PROJECTIONS = 8


def sketch(values: Any) -> NDArray[np.generic]:
    """Return a copy of an array; of a large one, evenly spread elements and projections of the whole.

    Projection ``k`` is the sum of every `PROJECTIONS`-th element from the ``k``-th on, signs alternating,
    over the square root of their number: a change of any one element changes one of them.

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
    parts = [flat[k::PROJECTIONS] for k in range(PROJECTIONS)]
    projected = [(part[::2].sum() - part[1::2].sum()) / np.sqrt(part.size) for part in parts]
    return np.concatenate([picked, projected])
