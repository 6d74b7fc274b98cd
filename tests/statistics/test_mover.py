"""The test within a number of standard deviations, against its formulas written down plainly."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_kerasequiv.statistics.mover import p_values, sd_margin

CASES = [  # seed, runs of the reference, of the candidate, difference, paired
    (0, 6, 9, 0.0, False),
    (1, 12, 12, 0.4, False),
    (2, 20, 5, -0.6, False),
    (3, 8, 8, 0.3, True),
    (4, 20, 20, -0.2, True),
]


def arms(seed, n, m, shift, paired):
    rng = np.random.default_rng(seed)
    x = rng.lognormal(0, 0.6, n)
    return x, (x * rng.normal(1, 0.3, n) if paired else rng.lognormal(0, 0.6, m)) + shift


def plain(x, y, paired, k, level):
    """The lower limit of the deviation, both estimates, and how far above 0 each must lie."""
    n, s = len(x), x.std(ddof=1)
    pseudo = [n * s - (n - 1) * np.delete(x, i).std(ddof=1) for i in range(n)]
    error = stats.sem(pseudo)
    low = min(
        s * math.exp(stats.t.ppf(level, n - 1) * error / s),
        s * math.sqrt((n - 1) / stats.chi2.ppf(1 - level, n - 1)),
    )
    found = stats.ttest_rel(y, x) if paired else stats.ttest_ind(y, x, equal_var=False)
    gap = y.mean() - x.mean()
    se = abs(gap / found.statistic)
    h, e = stats.t.ppf(1 - level, found.df) * se, k * (s - low)
    cross = 2 * np.cov(y - x if paired else -x, pseudo)[0, 1] / n / (se * error) * h * e
    return (
        low,
        (gap + k * s, k * s - gap),
        (math.sqrt(h**2 + e**2 + cross), math.sqrt(h**2 + e**2 - cross)),
    )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("k", "level"), [(1.0, 0.05), (2.5, 0.005), (0.3, 0.2)])
def test_limits_are_the_formulas(case, k, level):
    x, y = arms(*case)
    margin = sd_margin(x, y, paired=case[-1])
    low, estimates, widths = plain(x, y, case[-1], k, level)
    assert float(margin.lower_sd(level)) == pytest.approx(low)
    assert tuple(map(float, margin.half_widths(k, level))) == pytest.approx(widths)
    assert bool(margin.passes(k, level)) is all(e > w for e, w in zip(estimates, widths, strict=True))


@pytest.mark.parametrize("unit", [2.0**-40, 2.0**40])
def test_the_unit_of_the_metric_does_not_matter(unit):
    x, y = arms(*CASES[0])
    one, other = sd_margin(x, y, paired=False), sd_margin(unit * x, unit * y, paired=False)
    assert float(one.correlation) != 0
    assert float(other.correlation) == pytest.approx(float(one.correlation))
    assert float(other.certified(0.05)) == pytest.approx(float(one.certified(0.05)))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("level", [0.05, 0.005, 0.2])
def test_at_the_certified_margin_one_side_just_passes(case, level):
    x, y = arms(*case)
    k = float(sd_margin(x, y, paired=case[-1]).certified(level))
    _, estimates, widths = plain(x, y, case[-1], k, level)
    over = [e - w for e, w in zip(estimates, widths, strict=True)]
    assert min(over) == pytest.approx(0, abs=1e-9)
    assert max(over) > 0


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("k", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_p_is_the_level_at_which_a_side_just_passes(case, k, level):
    """Beyond the margin it is one minus the level at which the opposite is just shown."""
    x, y = arms(*case)
    for side, p in enumerate(p_values(sd_margin(x, y, paired=case[-1]), k, level)):
        _, estimates, _ = plain(x, y, case[-1], k, 0.5)
        at = p if estimates[side] > 0 else 1 - p
        assert 1e-12 <= at <= 0.5
        if 1e-9 < at < 0.499:
            assert plain(x, y, case[-1], k, at)[2][side] == pytest.approx(abs(estimates[side]), rel=1e-6)
