"""Planning: the power of the equivalence test, the runs it needs, and the difference that n runs can find.

The power of TOST is exact for normal metrics: the normal probability of passing, given the estimated
standard deviation, is integrated over the chi distribution of that estimate (Phillips 1990; the values are
those of PASS).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from pytest_kerasequiv import arguments
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.statistics.failures import GAP
from pytest_kerasequiv.statistics.margin import Margin, parse_margin

Array = NDArray[np.float64]


MOST_RUNS = 1_000_000
_POWER_DIGITS = 5e-4
"""A power that rounds to the one asked for, at three digits, reaches it."""


def equivalence_power(
    n: int,
    margin: float,
    sd: float,
    *,
    difference: float = 0.0,
    paired: bool = False,
    alpha: float = 0.05,
    estimated: float | None = None,
) -> float:
    """Return the probability that n runs a twin pass TOST, for a normal metric.

    Args:
        n: runs per twin, at least 2.
        margin: the absolute margin.
        sd: standard deviation of the runs of one twin; paired: of the paired differences.
        difference: the true mean difference.
        paired: whether the test is paired.
        alpha: level of each side.
        estimated: where the margin is k estimated reference standard deviations, the reference's true one;
            the uncertainty of the estimate then counts (its correlation with that of the difference is
            neglected).
    """
    df = n - 1 if paired else 2 * n - 2
    true_se = max(sd * math.sqrt((1 if paired else 2) / n), 1e-300)
    nodes, weights = _nodes(160 if estimated is None else 40)
    half = stats.t.isf(alpha, df) * true_se * np.sqrt(stats.chi2.ppf(nodes, df) / df)
    reach, joint = np.full_like(half, margin), weights
    if estimated is not None:
        half, reach, joint = _with_estimated_margin(n, margin, half, alpha)
    room = np.maximum(reach - half, 0)
    inside = stats.norm.cdf((room - difference) / true_se) - stats.norm.cdf((-room - difference) / true_se)
    return float(np.clip((np.where(reach > half, inside, 0) * joint).sum(), 0, 1))


def _with_estimated_margin(n: int, margin: float, half: Array, alpha: float) -> tuple[Array, Array, Array]:
    """Return half widths, margins and weights over the joint distribution of both estimated deviations."""
    nodes, weights = _nodes(40)
    # Of a normal metric the jackknife limit is below the chi-square one, whatever n and alpha are.
    shrunk = math.exp(-stats.t.isf(alpha, n - 1) / math.sqrt(2 * (n - 1)))
    reach = margin * np.sqrt(stats.chi2.ppf(nodes, n - 1) / (n - 1))[:, None]
    joint = np.sqrt(half[None, :] ** 2 + (reach * (1 - shrunk)) ** 2)
    return joint, np.broadcast_to(reach, joint.shape), weights[:, None] * weights[None, :]


@lru_cache(maxsize=4)
def _nodes(count: int = 160) -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes and weights on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def required_runs(
    margin: float | str | Margin | None = None,
    *,
    power: float = 0.8,
    paired: bool = False,
    correlation: float = 0.0,
    alpha: float = 0.05,
    sd: float = 1.0,
    mean: float | None = None,
    difference: float = 0.0,
    estimated: bool = False,
) -> int:
    """Return the runs per twin after which equal twins are called EQUIVALENT with the given probability.

    Normal metrics; at least the 9 runs (at alpha = 0.05) below which the failure guard never lets EQUIVALENT
    pass.

    Args:
        margin: as `parse_margin` reads it; a number is in units of ``sd``, which is 1 unless told.
        power: the probability, between 0 and 1.
        paired: whether run i of both twins shares its seeds.
        correlation: between the paired runs, from -1 to below 1; for paired only.
        alpha: level of the test.
        sd: standard deviation between the runs of one twin.
        mean: the reference mean; needed for a relative margin.
        difference: the true mean difference, inside the margin.
        estimated: the margin is a number of standard deviations that the same runs estimate, as in the
            default margin; this takes somewhat more runs than a known one.

    Raises:
        InputError: an argument is out of range, or more than a million runs would be needed.
    """
    size = _margin_size(parse_margin(margin), sd, mean)
    arguments.share("power", power)
    arguments.alpha(alpha)
    _check_correlation(correlation, paired=paired)
    _check_difference(difference, size)
    spread = sd * math.sqrt(2 * (1 - correlation)) if paired else sd
    scale = sd if estimated else None
    runs = runs_for(
        size, spread, power=power, paired=paired, alpha=alpha, difference=difference, estimated=scale
    )
    if runs is None:
        raise InputError(f"margin={margin!r} needs more than {MOST_RUNS:,} runs; give a larger one")
    return runs


def runs_for(
    margin: float,
    sd: float,
    *,
    power: float = 0.8,
    paired: bool = False,
    alpha: float = 0.05,
    difference: float = 0.0,
    estimated: float | None = None,
) -> int | None:
    """Return the fewest runs with that power (see `equivalence_power`); ``None`` for over a million."""

    def enough(n: int) -> bool:
        reached = equivalence_power(
            n, margin, sd, difference=difference, paired=paired, alpha=alpha, estimated=estimated
        )
        return reached >= power - _POWER_DIGITS

    low, high = fewest_runs(alpha), fewest_runs(alpha)
    if abs(difference) >= margin:
        return low if difference == 0 == sd else None
    if sd == 0 and estimated is None:
        return low
    while not enough(high):
        low, high = high + 1, 2 * high
        if high > MOST_RUNS:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def fewest_runs(alpha: float) -> int:
    """Return the fewest runs per twin with which the failure guard can pass: 9 at alpha = 0.05."""
    return max(2, math.ceil(math.log(alpha) / math.log(1 - GAP) - 1e-9))


def detectable_difference(n: int, *, paired: bool, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the mean difference, in standard deviations, that the two-sided t-test on n runs a twin finds.

    Unpaired: standard deviations of the runs (2.02, 1.33, .91, .74 for n = 5, 10, 20, 30); paired: of the
    paired differences.
    """
    df, root = (n - 1, math.sqrt(n)) if paired else (2 * n - 2, math.sqrt(n / 2))
    nodes, weights = _nodes()
    bar = stats.t.isf(alpha / 2, df) * np.sqrt(stats.chi2.ppf(nodes, df) / df)

    def missing(shift: float) -> float:
        found = stats.norm.sf(bar - shift) + stats.norm.cdf(-bar - shift)
        return float((found * weights).sum()) - power

    return float(optimize.brentq(missing, 0.0, float(bar.max()) + 10.0, xtol=1e-6)) / root


def _margin_size(margin: Margin, sd: float, mean: float | None) -> float:
    if not (math.isfinite(sd) and sd > 0):
        raise InputError(
            f"sd={sd!r} is not a positive number; give the standard deviation between the runs of a twin"
        )
    if margin.kind != "relative":
        return margin.size * (sd if margin.kind == "sd" else 1.0)
    if mean is None or not math.isfinite(mean) or mean == 0:
        raise InputError(
            f"margin={margin.label!r} is a share of the reference mean, but mean={mean!r}; give mean and sd"
        )
    return margin.size * abs(mean)


def _check_difference(difference: float, margin: float) -> None:
    if not abs(difference) < margin:
        raise InputError(
            f"difference={difference!r} is not inside the margin of {margin:.4g}, so no number of runs shows "
            "equivalence; give a smaller difference or a larger margin"
        )


def _check_correlation(correlation: float, *, paired: bool) -> None:
    if not -1 <= correlation < 1:
        raise InputError(f"correlation={correlation!r} is out of range; give a number from -1 to below 1")
    if not paired and correlation != 0:
        raise InputError(
            f"correlation={correlation!r} means nothing for unpaired runs; give paired=True or leave it out"
        )
