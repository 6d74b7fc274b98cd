"""The arrangements that a permutation test looks at: all where they are few, draws where they are many.

They come in blocks, so that thousands of runs do not take the memory of all arrangements at once; the usual
few dozen runs are one block, made once and kept.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


ENUMERATE_UP_TO = 20_000
DRAWS = 9_999
_SEED = 20_231_105
_BLOCK = 4_000_000
"""Numbers in a block."""
_KEPT_RUNS = 200
"""Runs of both arms together up to which the default draws are kept."""


@dataclass(frozen=True)
class Labels:
    """Arrangements of two unpaired arms over the sorted pooled runs.

    Attributes:
        chosen: 1 where a run of the candidate stands, shape (arrangements, n + m).
        gaps: squared gap of both distribution functions behind each but the last run.
        complete: whether these are all arrangements, the observed one among them.
    """

    chosen: Array
    gaps: Array
    complete: bool

    def other_than(self, observed: Array) -> NDArray[np.bool_] | slice:
        """Return which arrangements to count beside the observed one, which must not count twice."""
        return (self.chosen != observed).any(axis=1) if self.complete else slice(None)


def squared_gaps(chosen: Array) -> Array:
    """Return the squared gap of both distribution functions behind each but the last of the sorted runs."""
    m = chosen[0].sum()
    n = chosen.shape[1] - m
    gaps: Array = np.cumsum(chosen * (1 / m + 1 / n) - 1 / n, axis=1)[:, :-1] ** 2
    return gaps


def label_blocks(n: int, m: int, rng: np.random.Generator | None) -> Iterator[Labels]:
    """Yield the arrangements of n and m unpaired runs: all of them, or draws beside the observed one."""
    if math.comb(n + m, n) <= ENUMERATE_UP_TO:
        yield _all_labels(n, m)
    elif rng is None and n + m <= _KEPT_RUNS:
        yield _kept_labels(n, m)
    else:
        source = np.random.default_rng(_SEED) if rng is None else rng
        for count in _block_sizes(DRAWS, n + m):
            yield _drawn_labels(n, m, count, source)


def sign_blocks(n: int, rng: np.random.Generator | None) -> Iterator[Array]:
    """Yield the arrangements of n pairs, -1 swaps a pair; the first row, the observed one, swaps none."""
    if 2**n <= ENUMERATE_UP_TO:
        yield _all_signs(n)
    elif rng is None and n <= _KEPT_RUNS:
        yield _kept_signs(n)
    else:
        source = np.random.default_rng(_SEED) if rng is None else rng
        for index, count in enumerate(_block_sizes(DRAWS + 1, 2 * n)):
            signs = _drawn_signs(n, count, source)
            yield _observed_first(signs) if index == 0 else signs


def _block_sizes(total: int, width: int) -> Iterator[int]:
    step = max(1, _BLOCK // width)
    for start in range(0, total, step):
        yield min(step, total - start)


@lru_cache(maxsize=8)
def _all_labels(n: int, m: int) -> Labels:
    places = np.array(list(itertools.combinations(range(n + m), m)))
    chosen = np.zeros((len(places), n + m))
    np.put_along_axis(chosen, places, 1.0, axis=1)
    return Labels(chosen, squared_gaps(chosen), complete=True)


@lru_cache(maxsize=8)
def _kept_labels(n: int, m: int) -> Labels:
    return _drawn_labels(n, m, DRAWS, np.random.default_rng(_SEED))


def _drawn_labels(n: int, m: int, count: int, rng: np.random.Generator) -> Labels:
    first = np.zeros((count, n + m))
    first[:, :m] = 1.0
    chosen = rng.permuted(first, axis=1)
    return Labels(chosen, squared_gaps(chosen), complete=False)


@lru_cache(maxsize=8)
def _all_signs(n: int) -> Array:
    return np.array(list(itertools.product((1.0, -1.0), repeat=n)))


@lru_cache(maxsize=8)
def _kept_signs(n: int) -> Array:
    return _observed_first(_drawn_signs(n, DRAWS + 1, np.random.default_rng(_SEED)))


def _observed_first(signs: Array) -> Array:
    signs[0] = 1.0
    return signs


def _drawn_signs(n: int, count: int, rng: np.random.Generator) -> Array:
    signs: Array = rng.choice(np.array([-1.0, 1.0]), size=(count, n))
    return signs
