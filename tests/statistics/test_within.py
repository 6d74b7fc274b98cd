"""The smallest margin that passes, and what p values cannot fall below."""

import numpy as np
import pytest
from scipy import stats

from pytest_kerasequiv.statistics.margin import parse_margin
from pytest_kerasequiv.statistics.samples import read_arms
from pytest_kerasequiv.statistics.within import mean_test


def arms_of(seed, n=12, gap=0.0, centre=5.0):
    rng = np.random.default_rng(seed)
    return rng.normal(centre, 1, n), rng.normal(centre + gap, 1, n)


@pytest.mark.parametrize(("seed", "gap"), [(0, 0.0), (1, 0.6), (2, -0.6)])
@pytest.mark.parametrize("margin", ["3%", "90%"])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_the_smallest_share_of_the_mean_that_passes(seed, gap, margin, alpha):
    """Found from below as from above; Welch's test of the contrasts then has a p of alpha."""
    x, y = arms_of(seed, gap=gap)
    found = mean_test(read_arms(x, y, paired=False, fail_value=None), parse_margin(margin), alpha)
    share = found.certified / x.mean()
    low = stats.ttest_ind(y, (1 - share) * x, equal_var=False, alternative="greater").pvalue
    high = stats.ttest_ind(y, (1 + share) * x, equal_var=False, alternative="less").pvalue
    assert max(low, high) == pytest.approx(alpha, rel=1e-6)
    assert max(low, high) <= alpha * (1 + 1e-9)
    assert found.certified_label == f"{100 * share:.4g}%"


@pytest.mark.parametrize("margin", ["3%", "90%"])
@pytest.mark.parametrize("arms", [{"centre": 0.2}, {"gap": 6.0}, {"gap": -4.8}], ids=str)
def test_of_a_mean_near_zero_or_far_away_no_share_below_all_of_it_passes(margin, arms):
    arms = read_arms(*arms_of(3, **arms), paired=False, fail_value=None)
    found = mean_test(arms, parse_margin(margin), 0.05)
    assert (found.certified, found.certified_label) == (None, None)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("gap", [-0.5, 0.8])
def test_the_smallest_known_margin_is_the_far_end_of_the_interval(alpha, gap):
    x, y = arms_of(4, gap=gap)
    found = mean_test(read_arms(x, y, paired=False, fail_value=None), parse_margin(2.0), alpha)
    ends = stats.ttest_ind(y, x, equal_var=False).confidence_interval(1 - 2 * alpha)
    assert found.certified == pytest.approx(max(map(abs, ends)))
    assert found.certified_label == f"{found.certified:.4g}"


@pytest.mark.parametrize(("margin", "size"), [("2sd", 2 * np.sqrt(0.5)), ("50%", 0.75), (0.4, 0.4)])
@pytest.mark.parametrize("paired", [True, False])
def test_two_runs_show_nothing(margin, size, paired):
    """The margin is told all the same, in units of the metric."""
    found = mean_test(
        read_arms([1.0, 2.0], [1.0, 2.5], paired=paired, fail_value=None), parse_margin(margin), 0.05
    )
    assert found.margin == pytest.approx(size)
    assert max(found.lower, found.upper) > 0.1


@pytest.mark.parametrize(("margin", "label"), [("2sd", "0 sd"), ("50%", "0%"), (0.4, "0")])
def test_equal_pairs_certify_no_margin_at_all(margin, label):
    x = np.arange(1.0, 5.0)
    arms = read_arms(x, x, paired=True, fail_value=None)
    for alpha, certified in ((1 / 16, (0.0, label)), (1 / 17, (None, None))):
        found = mean_test(arms, parse_margin(margin), alpha)
        assert (found.certified, found.certified_label) == certified
        assert (found.lower, found.upper) == (1 / 16, 1 / 16)
        sizes = {"2sd": 2 * x.std(ddof=1), "50%": 1.25, 0.4: 0.4}
        assert found.margin == pytest.approx(sizes[margin])
