"""Are the means of one experiment within the margin? The three kinds of margin, behind one function."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_kerasequiv.statistics import means, mover
from pytest_kerasequiv.statistics.margin import Margin, label_of
from pytest_kerasequiv.statistics.samples import Arms

CONSTANT_MARGIN = 1e-5
"""Share of the reference mean that is the margin where the reference does not vary at all."""


@dataclass(frozen=True)
class MeanTest:
    """The equivalence test of the means.

    Attributes:
        kind: of the margin.
        label: the margin as asked for.
        margin: in units of the metric.
        lower: p of "the candidate is lower by the margin or more".
        upper: p of "the candidate is higher by the margin or more".
        certified: smallest margin that would pass, in units of the metric; ``None`` where none would.
        certified_label: the same in the unit of the margin.
    """

    kind: str
    label: str
    margin: float
    lower: float
    upper: float
    certified: float | None
    certified_label: str | None


def mean_test(arms: Arms, margin: Margin, alpha: float) -> MeanTest:
    """Test whether the means are within the margin; for a constant reference, "sd" is 1e-5 of its mean."""
    x = arms.reference
    if margin.kind == "sd" and bool(means.constant(x, x)):
        size = CONSTANT_MARGIN * abs(float(x.mean()))
        found = mean_test(arms, Margin("absolute", size), alpha)
        return replace(found, label=f"{size:.4g} (constant)")
    gap = means.mean_difference(arms.reference, arms.candidate, paired=arms.paired)
    if float(gap.se) == 0 and float(gap.difference) == 0:
        return _identical(arms, margin, alpha)
    if margin.kind == "relative":
        return _relative(arms, margin, alpha)
    if margin.kind == "absolute":
        return _absolute(arms, margin, alpha)
    if len(x) < 3:
        return MeanTest("sd", margin.label, margin.size * float(x.std(ddof=1)), 1.0, 1.0, None, None)
    return _deviations(arms, margin, alpha)


def _identical(arms: Arms, margin: Margin, alpha: float) -> MeanTest:
    """Equal pairs, or two equal constants: no margin is too small."""
    unit = {
        "sd": float(arms.reference.std(ddof=1)),
        "relative": abs(float(arms.reference.mean())),
        "absolute": 1.0,
    }
    p = _smallest_p(arms)
    bound = 0.0 if p <= alpha else None
    label = None if bound is None else label_of(margin.kind, bound)
    return MeanTest(margin.kind, margin.label, margin.size * unit[margin.kind], p, p, bound, label)


def _absolute(arms: Arms, margin: Margin, alpha: float) -> MeanTest:
    low, high = means.tost_absolute(arms.reference, arms.candidate, margin.size, paired=arms.paired)
    gap = means.mean_difference(arms.reference, arms.candidate, paired=arms.paired)
    hopeless = float(gap.se) == 0 and _smallest_p(arms) > alpha
    bound = None if hopeless else max(abs(end) for end in interval(gap, 1 - 2 * alpha))
    label = None if bound is None else label_of("absolute", bound)
    return MeanTest("absolute", margin.label, margin.size, float(low), float(high), bound, label)


def _smallest_p(arms: Arms) -> float:
    n, m = len(arms.reference), len(arms.candidate)
    return float(2.0**-n) if arms.paired else 1 / math.comb(n + m, n)


def _deviations(arms: Arms, margin: Margin, alpha: float) -> MeanTest:
    parts = mover.sd_margin(arms.reference, arms.candidate, paired=arms.paired)
    sd, k = float(parts.sd), margin.size
    lower, upper = mover.p_values(parts, k, alpha)
    if float(parts.means.se) == 0:
        lower, upper = max(lower, _smallest_p(arms)), max(upper, _smallest_p(arms))
    bound = float(parts.certified(alpha))
    return MeanTest("sd", margin.label, k * sd, lower, upper, bound * sd, label_of("sd", bound))


def _relative(arms: Arms, margin: Margin, alpha: float) -> MeanTest:
    def sides(share: float) -> tuple[float, float]:
        low, high = means.tost_relative(arms.reference, arms.candidate, share, paired=arms.paired)
        return float(low), float(high)

    mean = abs(float(arms.reference.mean()))
    bound = _smallest_share(lambda share: max(sides(share)) <= alpha, margin.size)
    certified = None if bound is None else bound * mean
    label = None if bound is None else label_of("relative", bound)
    return MeanTest("relative", margin.label, margin.size * mean, *sides(margin.size), certified, label)


def _smallest_share(passes: Callable[[float], bool], share: float) -> float | None:
    """Bisect for the smallest relative margin that passes; ``None`` where none below 1 does."""
    low, high = (0.0, share) if passes(share) else (share, 1.0)
    if not passes(high):
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def interval(gap: means.MeanDifference, level: float) -> tuple[float, float]:
    """Return the confidence interval of one mean difference as plain numbers."""
    low, high = gap.interval(level)
    return float(low), float(high)
