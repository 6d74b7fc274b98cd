"""Means of two arms: differences, intervals and two one-sided tests (TOST), one experiment or a batch.

Every array may carry leading axes: runs are the last axis, and the result has the leading axes. Degenerate
data are decided first, where t statistics do not exist: a constant paired difference on the right side has p
= 2^-n (the sign test), two constant arms p = 1 / C(n + m, n) (the permutation test).

Sources: Schuirmann 1987 (TOST); Welch 1947; Fieller 1954 for the relative margin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


_ROUNDING = 16 * 2.0**-52


@dataclass(frozen=True)
class MeanDifference:
    """Mean of candidate minus reference, its standard error and degrees of freedom."""

    difference: Array
    se: Array
    df: Array

    def interval(self, level: float) -> tuple[Array, Array]:
        """Return the two-sided confidence interval of the given level."""
        half = self.quantile((1 - level) / 2) * self.se
        return self.difference - half, self.difference + half

    def quantile(self, tail: float) -> Array:
        """Return the t quantile that leaves ``tail`` above it."""
        below: Any = special.stdtrit(self.df, tail)
        result: Array = -below
        return result


def constant(values: Array, scale: Array) -> NDArray[np.bool_]:
    """Return whether ``values`` are equal up to rounding in numbers as large as ``scale`` (same shape)."""
    spread: Array = values.max(axis=-1) - values.min(axis=-1)
    size: Array = np.abs(scale).max(axis=-1)
    result: NDArray[np.bool_] = np.less_equal(spread, _ROUNDING * size)
    return result


def mean_difference(x: Array, y: Array, *, paired: bool) -> MeanDifference:
    """Return the mean of y - x with its paired or Welch standard error; se = 0 where data are degenerate."""
    if paired:
        n = x.shape[-1]
        w = y - x
        flat = constant(w, np.maximum(np.abs(x), np.abs(y)))
        se = np.where(flat, 0.0, w.std(axis=-1, ddof=1) / math.sqrt(n))
        return MeanDifference(w.mean(axis=-1), se, np.full_like(se, n - 1))
    vx, vy = _variance_of_mean(x), _variance_of_mean(y)
    return MeanDifference(
        y.mean(axis=-1) - x.mean(axis=-1), np.sqrt(vx + vy), welch_df(vx, vy, x.shape[-1], y.shape[-1])
    )


def welch_df(vx: Array, vy: Array, n: int, m: int) -> Array:
    """Return Welch's degrees of freedom from the variances of the two means; n + m - 2 where both are 0."""
    total = vx + vy
    share = np.divide(vx, total, out=np.full_like(total, 0.5), where=total > 0)
    df: Array = 1 / (share**2 / (n - 1) + (1 - share) ** 2 / (m - 1))
    return df


def _variance_of_mean(values: Array) -> Array:
    variance: Array = np.where(constant(values, values), 0.0, values.var(axis=-1, ddof=1)) / values.shape[-1]
    return variance


def tost_absolute(x: Array, y: Array, margin: float | Array, *, paired: bool) -> tuple[Array, Array]:
    """Return p of "difference <= -margin" and of "difference >= margin"; equivalence rejects both.

    ``margin`` is known, in units of the metric, one number or one per experiment.
    """
    d = np.asarray(margin, dtype=np.float64)[..., None]
    return p_above(y + d, x, paired=paired), p_above(x + d, y, paired=paired)


def tost_relative(x: Array, y: Array, share: float | Array, *, paired: bool) -> tuple[Array, Array]:
    """Return p of both sides for a margin of ``share`` of the reference mean.

    The contrasts y - (1 - share) x and (1 + share) x - y are tested above 0, so that the uncertainty of the
    reference mean counts. Both p are at least that of the reference mean against 0: a share of a mean that
    may be 0 says nothing. A negative reference mean is mirrored.
    """
    r = np.asarray(share, dtype=np.float64)[..., None]
    sign = np.where(x.mean(axis=-1, keepdims=True) < 0, -1.0, 1.0)
    u, v = sign * x, sign * y
    apart = p_above(u, np.zeros_like(u), paired=True)
    low = np.maximum(p_above(v, (1 - r) * u, paired=paired), apart)
    high = np.maximum(p_above((1 + r) * u, v, paired=paired), apart)
    mirrored = sign[..., 0] < 0
    return np.where(mirrored, high, low), np.where(mirrored, low, high)


def p_above(upper: Array, lower: Array, *, paired: bool) -> Array:
    """Return the one-sided p of "mean of upper <= mean of lower"."""
    means = mean_difference(lower, upper, paired=paired)
    n, m = lower.shape[-1], upper.shape[-1]
    smallest = 2.0**-n if paired else 1 / math.comb(n + m, n)
    flat = means.se == 0
    ratio = np.divide(means.difference, means.se, out=np.zeros_like(means.difference), where=~flat)
    p: Array = np.where(flat, np.where(means.difference > 0, smallest, 1.0), special.stdtr(means.df, -ratio))
    return p
