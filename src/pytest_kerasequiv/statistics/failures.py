"""The failure guard: evidence that the twins' failure rates differ by less than 30 percentage points.

A twin that collapses in every fifth run must not pass because no collapse was seen. Paired runs: the
discordant failures are binomial. Unpaired: an exact unconditional test, tables ordered by the Agresti-Caffo
z and the p maximised over the nuisance rate (Chan 1998; Agresti and Caffo 2000).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pytest_kerasequiv.statistics.samples import Arms

Array = NDArray[np.float64]


_EXACT_UP_TO = 500
"""Runs per twin up to which the unconditional test is exact; beyond, its z is compared with the normal."""
GAP = 0.30
"""The difference of failure rates that must be excluded."""


def failure_p(arms: Arms, gap: float = GAP) -> float:
    """Return p of "the failure rates differ by ``gap`` or more", the larger of both directions."""
    x, y = arms.reference_failed, arms.candidate_failed
    if arms.paired:
        return paired_failure_p(int((x & ~y).sum()), int((y & ~x).sum()), len(x), gap)
    return unpaired_failure_p(int(x.sum()), int(y.sum()), len(x), len(y), gap)


def paired_failure_p(only_reference: int, only_candidate: int, n: int, gap: float = GAP) -> float:
    """Return the binomial p of the discordant failures among n pairs."""
    return float(stats.binom.cdf(max(only_reference, only_candidate), n, gap))


@lru_cache(maxsize=256)
def unpaired_failure_p(reference: int, candidate: int, n: int, m: int, gap: float = GAP) -> float:
    """Return the exact unconditional p of ``reference`` failures among n and ``candidate`` among m."""
    return max(_one_sided(reference, candidate, n, m, gap), _one_sided(candidate, reference, m, n, gap))


def undetected_rate(n: int, alpha: float) -> float:
    """Return the largest failure rate that n runs without a failure cannot exclude at level alpha."""
    return float(1 - alpha ** (1 / n))


def _one_sided(low: int, high: int, n: int, m: int, gap: float) -> float:
    """Return p of "rate of the second exceeds that of the first by ``gap`` or more"."""
    z = _agresti_caffo(n, m, gap)
    if max(n, m) > _EXACT_UP_TO:
        return float(stats.norm.cdf(z[low, high]))
    extreme = z <= z[low, high] + 1e-9
    rates = np.linspace(0, 1 - gap, 281)
    first = stats.binom.pmf(np.arange(n + 1)[:, None], n, rates)
    second = stats.binom.pmf(np.arange(m + 1)[:, None], m, rates + gap)
    tail = (first * (extreme.astype(np.float64) @ second)).sum(axis=0)
    return float(min(tail.max(), 1.0))


def _agresti_caffo(n: int, m: int, gap: float) -> Array:
    p = ((np.arange(n + 1) + 1) / (n + 2))[:, None]
    q = ((np.arange(m + 1) + 1) / (m + 2))[None, :]
    z: Array = (q - p - gap) / np.sqrt(p * (1 - p) / (n + 2) + q * (1 - q) / (m + 2))
    return z
