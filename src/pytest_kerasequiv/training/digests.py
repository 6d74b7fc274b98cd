"""What tells one start from another: digests of arrays, bit by bit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def feed(digest: Any, array: Any) -> None:
    """Add an array to a digest: dtype, shape and bits; one that is contiguous is not copied."""
    array = np.ascontiguousarray(array)
    digest.update(f"{array.dtype.str}{array.shape}".encode())
    if array.size:
        digest.update(memoryview(array.reshape(-1).view(np.uint8)))


def digests_of(values: Iterable[NDArray[np.generic]]) -> list[bytes]:
    """Return one digest an array."""
    return [_digest_of(value) for value in values]


def start_digest(digests: Sequence[bytes]) -> str:
    """Return the digest of a start from those of its variables, in the order of `variables_of`."""
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _digest_of(value: NDArray[np.generic]) -> bytes:
    digest = hashlib.sha256()
    feed(digest, value)
    return digest.digest()
