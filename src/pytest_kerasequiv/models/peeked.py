"""Arrays that are the buffers of tensors, and know it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Peeked(np.ndarray[Any, Any]):
    """An array that is the buffer of a tensor; what is computed from it are plain arrays.

    Attributes:
        tensor: the tensor, which NumPy's array alone would not give back; ``None`` for views and copies.
    """

    tensor: Any = None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Make results of NumPy's functions plain arrays."""
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain


def peeked(tensor: Any) -> NDArray[np.generic]:
    """Return the buffer of an eager tensor as a read-only array."""
    array = np.asarray(tensor).view(Peeked)
    array.flags.writeable = False
    array.tensor = tensor
    return array
