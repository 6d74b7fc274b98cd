"""Equivalence within k reference standard deviations, estimated from the same runs.

Plugging the estimate in would call twins at the margin EQUIVALENT in up to 37 % of cases. Instead the limits
of the mean difference and of the standard deviation are combined into limits of ``difference -+ k sd`` by
the method of variance estimates recovery (MOVER: Zou and Donner 2008; with correlation, Zou 2008). The lower
limit of the standard deviation is the smaller of the chi-square limit (exact for normal metrics) and a
jackknife limit on the log scale (heavy tails and collapsed runs; Miller 1974).

Every array may carry leading axes: runs are the last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from pytest_kerasequiv.statistics.means import MeanDifference, mean_difference

Array = NDArray[np.float64]


NO_SPREAD = 1e-9
"""Jackknife standard error, in standard deviations, up to which it is the rounding of none at all."""


@dataclass(frozen=True)
class SdMargin:
    """What the test needs to know of the data.

    Attributes:
        means: the mean difference, candidate minus reference.
        sd: standard deviation of the reference.
        sd_se: its jackknife standard error.
        correlation: between the errors of the mean difference and of ``sd``.
        n: runs of the reference.
    """

    means: MeanDifference
    sd: Array
    sd_se: Array
    correlation: Array
    n: int

    def lower_sd(self, alpha: float) -> Array:
        """Return the lower confidence limit, of level 1 - alpha, of the reference's standard deviation."""
        jackknife = self.sd * np.exp(special.stdtrit(self.n - 1, alpha) * self.sd_se / self.sd)
        chi_square = self.sd * np.sqrt((self.n - 1) / special.chdtri(self.n - 1, alpha))
        result: Array = np.minimum(jackknife, chi_square)
        return result

    def half_widths(self, k: float, alpha: float) -> tuple[Array, Array]:
        """Return how far "difference + k sd" and "k sd - difference" must lie above 0 to pass."""
        h = self.means.quantile(alpha) * self.means.se
        e = k * (self.sd - self.lower_sd(alpha))
        both, cross = h**2 + e**2, 2 * self.correlation * h * e
        return np.sqrt(np.maximum(both + cross, 0)), np.sqrt(np.maximum(both - cross, 0))

    def passes(self, k: float, alpha: float) -> NDArray[np.bool_]:
        """Return whether the means are equivalent within k reference standard deviations, at level alpha."""
        low, high = self.half_widths(k, alpha)
        difference = self.means.difference
        result: NDArray[np.bool_] = (difference + k * self.sd > low) & (k * self.sd - difference > high)
        return result

    def certified(self, alpha: float) -> Array:
        """Return the smallest k that passes: the larger root of the quadratic in ``passes``, per side."""
        h = self.means.quantile(alpha) * self.means.se
        u = self.sd - self.lower_sd(alpha)
        a, c = self.sd**2 - u**2, self.means.difference**2 - h**2
        half = self.sd * self.means.difference - self.correlation * h * u
        root = np.sqrt(np.maximum(half**2 - a * c, 0))
        result: Array = np.maximum((np.abs(half) + root) / a, 0)
        return result


def sd_margin(x: Array, y: Array, *, paired: bool) -> SdMargin:
    """Return what the test within k reference sds needs; ``x`` must not be constant, n >= 3."""
    n = x.shape[-1]
    means = mean_difference(x, y, paired=paired)
    pseudo = jackknife_sd(x)
    sd = x.std(axis=-1, ddof=1)
    sd_se = pseudo.std(axis=-1, ddof=1) / np.sqrt(n)
    w = y - x if paired else -x
    covariance = ((w - w.mean(axis=-1, keepdims=True)) * (pseudo - pseudo.mean(axis=-1, keepdims=True))).sum(
        axis=-1
    )
    scale = means.se * sd_se
    # Of as many runs at one value as at another, all pseudo-values are one: what is left is rounding.
    varies = (scale > 0) & (sd_se > NO_SPREAD * sd)
    correlation = np.divide(covariance / (n * (n - 1)), scale, out=np.zeros_like(scale), where=varies)
    return SdMargin(means, sd, sd_se, np.clip(correlation, -1, 1), n)


def jackknife_sd(x: Array) -> Array:
    """Return the jackknife pseudo-values of the standard deviation along the last axis."""
    n = x.shape[-1]
    squares = (x - x.mean(axis=-1, keepdims=True)) ** 2
    total = squares.sum(axis=-1, keepdims=True)
    without = np.sqrt(np.maximum(total - n / (n - 1) * squares, 0) / (n - 2))
    result: Array = n * np.sqrt(total / (n - 1)) - (n - 1) * without
    return result


def p_values(margin: SdMargin, k: float, alpha: float) -> tuple[float, float]:
    """Return p of both sides of one experiment: the smallest level at which the side passes.

    Found by bisection away from ``alpha``, so that p <= alpha exactly where the side passes at alpha. Where
    the estimate lies beyond the margin, p is one minus the level at which the opposite would be shown.
    """
    difference, reach = float(margin.means.difference), k * float(margin.sd)
    lower = _p_of_side(margin, k, alpha, 0, difference + reach)
    return lower, _p_of_side(margin, k, alpha, 1, reach - difference)


def _p_of_side(margin: SdMargin, k: float, alpha: float, side: int, estimate: float) -> float:
    def shown(level: float) -> bool:
        return abs(estimate) > float(margin.half_widths(k, level)[side])

    if estimate <= 0:
        return 1 - _smallest_level(shown, 1e-12, 0.5)
    return _smallest_level(shown, 1e-12, alpha) if shown(alpha) else _smallest_level(shown, alpha, 0.5)


def _smallest_level(shown: Callable[[float], bool], low: float, high: float) -> float:
    """Bisect on the log scale for the level where ``shown`` turns true."""
    if shown(low):
        return low
    for _ in range(40):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high
