"""Which integers a model takes: told by its layers, else found out by trying."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHORT = 16
"""Bits up to which every integer of a dtype is tried: code that calculates in it overflows at once."""

WIDE = 10_000
"""Largest magnitude of an integer that is tried: an id of more is rare, and a length of more is dear."""


LARGE = 2**24
"""Largest magnitude of an integer that is tried where it is no length: float32 still holds each one."""

BEYOND = 2**33
"""The same where it must not fit in 32 bits."""


def bounds(dtype: str, most: int = WIDE) -> tuple[int, int]:
    """Return the least and the greatest integer to try: of up to 16 bits any, of more up to ``most``."""
    limits = np.iinfo(dtype)
    most = max(most, int(np.iinfo("uint16").max)) if limits.bits <= SHORT else most
    return max(int(limits.min), -most), min(int(limits.max), most)


def highest_taken(takes: Callable[[int], bool], dtype: str) -> int | None:
    """Return the highest integer that a model takes; ``None`` where it takes all that are tried.

    A gather refuses what lies beyond its table.

    Args:
        takes: tells whether the model takes an integer.
        dtype: dtype of the input.
    """
    refused = bounds(dtype)[1]
    if takes(refused):
        return None
    taken = 0
    while refused - taken > 1:
        middle = (taken + refused) // 2
        taken, refused = (middle, refused) if takes(middle) else (taken, middle)
    return taken


def drawn_integers(
    rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int, near: tuple[float, ...]
) -> NDArray[Any]:
    """Draw integers: a third over the whole range, a third below 10, a third about the constants ``near``.

    The greatest, the least and 0 are among them where there is room.
    """
    small = rng.integers(max(low, -3), min(high, 9) + 1, shape)
    whole = rng.integers(low, high + 1, shape)
    about = [int(c) + d for c in near for d in (-1, 0, 1) if low <= c + d <= high]
    aimed = rng.choice(about, shape) if about else rng.integers(max(low, -255), min(high, 255) + 1, shape)
    drawn = np.choose(rng.integers(0, 3, shape), [small, whole, aimed])
    ends = [high, *about, low, 0][: drawn.size]
    drawn.flat[: len(ends)] = ends
    if drawn.size:
        drawn.flat[-1] = max(low, 0)
    return drawn
