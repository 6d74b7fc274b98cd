"""Other people's code as oracle, over random data."""

import math
from itertools import combinations

import numpy as np
import pingouin as pg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from pytest_kerasequiv import equivalence_test
from pytest_kerasequiv.statistics.decision import holm
from pytest_kerasequiv.statistics.failures import unpaired_failure_p
from pytest_kerasequiv.statistics.means import mean_difference, tost_absolute
from pytest_kerasequiv.statistics.mover import jackknife_sd, sd_margin
from pytest_kerasequiv.statistics.permutation import permutation_test
from pytest_kerasequiv.statistics.planning import detectable_difference
from pytest_kerasequiv.statistics.samples import read_arms

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
values = st.floats(-1e3, 1e3, allow_nan=False, width=32)


def samples(smallest=3, largest=12):
    return st.integers(smallest, largest).flatmap(lambda n: arrays(np.float64, n, elements=values))


def spread_out(x):
    return x.std() > 1e-3 * (1 + np.abs(x).max())


@st.composite
def two_samples(draw):
    x, y = draw(samples().filter(spread_out)), draw(samples().filter(spread_out))
    return x, y


@st.composite
def pairs(draw):
    n = draw(st.integers(3, 12))
    x, y = (draw(arrays(np.float64, n, elements=values)) for _ in range(2))
    return x, y


@quick
@given(two_samples(), st.floats(0.01, 1e3))
def test_welch_tost_is_that_of_statsmodels_and_pingouin(arms, margin):
    x, y = arms
    low, high = tost_absolute(x, y, margin, paired=False)
    p, lower, upper = ttost_ind(y, x, -margin, margin, usevar="unequal")
    assert float(low) == pytest.approx(lower[1], rel=1e-6, abs=1e-12)
    assert float(high) == pytest.approx(upper[1], rel=1e-6, abs=1e-12)
    assert max(float(low), float(high)) == pytest.approx(p, rel=1e-6, abs=1e-12)
    table = pg.tost(y, x, bound=margin, correction=True)
    assert max(float(low), float(high)) == pytest.approx(
        float(table.iloc[0]["p_val" if "p_val" in table else "pval"]), abs=1e-9
    )


@quick
@given(pairs(), st.floats(0.01, 1e3))
def test_paired_tost_is_that_of_statsmodels(arms, margin):
    x, y = arms
    if not spread_out(y - x):
        return
    low, high = tost_absolute(x, y, margin, paired=True)
    _, lower, upper = ttost_paired(y, x, -margin, margin)
    assert float(low) == pytest.approx(lower[1], rel=1e-6, abs=1e-12)
    assert float(high) == pytest.approx(upper[1], rel=1e-6, abs=1e-12)


@quick
@given(two_samples(), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_interval_is_that_of_scipy(arms, level):
    x, y = arms
    theirs = stats.ttest_ind(y, x, equal_var=False).confidence_interval(level)
    assert tuple(map(float, mean_difference(x, y, paired=False).interval(level))) == pytest.approx(
        tuple(theirs)
    )


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_that_of_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def naive_min_p(x, y, paired):
    """The difference test, written down plainly."""
    z, n = np.concatenate([x, y]), len(x)
    if paired:
        flips = np.array(np.meshgrid(*[[0, 1]] * n, indexing="ij")).reshape(n, -1).T
        splits = [(np.where(f, y, x), np.where(f, x, y)) for f in flips]
    else:
        splits = []
        for rest in combinations(range(len(z)), n):
            mask = np.zeros(len(z), bool)
            mask[list(rest)] = True
            splits.append((z[mask], z[~mask]))

    def t(a, b):
        gap = b.mean() - a.mean()
        se = (
            (b - a).std(ddof=1) / math.sqrt(n)
            if paired
            else math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        )
        return abs(gap) / se if se > 1e-12 else (math.inf if abs(gap) > 1e-12 else 0.0)

    table = np.array([(t(a, b), stats.energy_distance(a, b) ** 2) for a, b in splits])
    table = np.where(np.isfinite(table), np.round(table, 9), table)
    ranks = np.array([[np.sum(column >= value) for value in column] for column in table.T])
    smallest = ranks.min(axis=0)
    return np.mean(smallest <= smallest[0])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.integers(3, 5))
def test_difference_test_is_the_plain_one(seed, paired, n):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, (2, n)).astype(float)
    found = permutation_test(read_arms(x, y, paired=paired, fail_value=None)).difference
    assert found == pytest.approx(naive_min_p(x, y, paired))


@pytest.mark.parametrize(
    ("seed", "n", "m", "paired"), [(0, 4, 6, False), (1, 6, 3, False), (2, 6, 6, True), (3, 5, 5, False)]
)
def test_difference_test_of_arms_of_any_length_is_the_plain_one(seed, n, m, paired):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 1, n), rng.normal(0.8, 2, m)
    found = permutation_test(read_arms(x, y, paired=paired, fail_value=None))
    assert found.difference == pytest.approx(naive_min_p(x, y, paired))


@pytest.mark.parametrize("chosen", list(combinations(range(5), 2)), ids=str)
def test_difference_test_of_every_arrangement_is_the_plain_one(chosen):
    values, others = np.array([0.0, 1.0, 3.0, 7.0, 15.0]), np.ones(5, bool)
    others[list(chosen)] = False
    x, y = values[~others], values[others]
    found = permutation_test(read_arms(x, y, paired=False, fail_value=None)).difference
    assert found == pytest.approx(naive_min_p(x, y, paired=False))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_permutation_of_means_is_that_of_scipy(seed, paired):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 7))
    found = permutation_test(read_arms(x, y, paired=paired, fail_value=None)).means
    theirs = stats.permutation_test(  # type: ignore[call-overload]
        (x, y),
        lambda a, b, axis: np.abs(a.mean(axis=axis) - b.mean(axis=axis)),
        permutation_type="samples" if paired else "independent",
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert found == pytest.approx(theirs.pvalue)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(6, 6, True), (6, 6, False), (4, 7, False)]))
def test_permutation_of_the_spread_is_that_of_scipy(seed, plan):
    n, m, paired = plan
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), rng.normal(0, 3, m)
    found = permutation_test(read_arms(x, y, paired=paired, fail_value=None)).spread
    theirs = stats.permutation_test(  # type: ignore[call-overload]
        (x, y),
        lambda a, b, axis: np.abs(np.log(a.var(axis=axis, ddof=1) / b.var(axis=axis, ddof=1))),
        permutation_type="samples" if paired else "independent",
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert found == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("n", [3, 5, 20])
def test_the_detectable_paired_difference_is_found_in_80_of_100_cases(n):
    reach = detectable_difference(n, paired=True) * math.sqrt(n)
    bar = stats.t.isf(0.025, n - 1)
    assert stats.nct.sf(bar, n - 1, reach) == pytest.approx(0.8, abs=1e-4)  # the other tail is nothing


@pytest.mark.parametrize(("n", "power"), [(3, 0.5), (8, 0.45)])
def test_a_detectable_difference_may_be_found_on_either_side(n, power):
    reach = detectable_difference(n, paired=True, alpha=0.4, power=power) * math.sqrt(n)
    bar = stats.t.isf(0.2, n - 1)
    found = stats.nct.sf(bar, n - 1, reach) + stats.nct.cdf(-bar, n - 1, reach)
    assert found == pytest.approx(power, abs=1e-4)


@quick
@given(two_samples())
def test_jackknife_is_the_plain_one(arms):
    x, _ = arms
    n, s = len(x), x.std(ddof=1)
    plain = [n * s - (n - 1) * np.delete(x, i).std(ddof=1) for i in range(n)]
    assert jackknife_sd(x) == pytest.approx(np.array(plain), rel=1e-6, abs=1e-6)


@quick
@given(two_samples(), st.floats(0.2, 3.0), st.sampled_from([0.005, 0.04, 0.05]))
@example((np.array([0.0, 0, 0, 1, 1, 1]), np.array([0.0, 1, 1, 1])), 2.0, 0.04)
def test_sd_margin_is_the_formula(arms, k, a):
    """The procedure as STATISTICS in the issue writes it down, unpaired."""
    x, y = arms
    n, m, s = len(x), x.mean(), x.std(ddof=1)
    ss = ((x - m) ** 2).sum()
    s_i = np.sqrt(np.maximum(ss - n / (n - 1) * (x - m) ** 2, 0) / (n - 2))
    ps = n * s - (n - 1) * s_i
    ses, tq = ps.std(ddof=1) / math.sqrt(n), stats.t.ppf(1 - a, n - 1)
    low = min(s * math.exp(-tq * ses / s), s * math.sqrt((n - 1) / stats.chi2.ppf(1 - a, n - 1)))
    vx, vy = s**2 / n, y.var(ddof=1) / len(y)
    df = (vx + vy) ** 2 / (vx**2 / (n - 1) + vy**2 / (len(y) - 1))
    se, d = math.sqrt(vx + vy), y.mean() - m
    h, e = stats.t.ppf(1 - a, df) * se, k * (s - low)
    rho = float(np.clip(np.cov(-x, ps)[0, 1] / n / (se * ses), -1, 1)) if ses > 1e-9 * s else 0.0
    upper = d - k * s + math.sqrt(h**2 + e**2 - 2 * rho * h * e)
    lower = d + k * s - math.sqrt(h**2 + e**2 + 2 * rho * h * e)
    if min(abs(upper), abs(lower)) < 1e-6 * s:
        return
    passes = bool(upper < 0 < lower)
    margin = sd_margin(x, y, paired=False)
    assert float(margin.lower_sd(a)) == pytest.approx(low)
    assert bool(margin.passes(k, a)) == passes


@quick
@given(st.integers(0, 10**6), st.integers(4, 12))
def test_the_errors_of_pairs_correlate_as_their_differences_do(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.lognormal(size=n)
    y = x * rng.normal(1, 0.3, n)
    margin, pseudo = sd_margin(x, y, paired=True), jackknife_sd(x)
    assert float(margin.correlation) == pytest.approx(np.corrcoef(y - x, pseudo)[0, 1])
    assert float(margin.sd_se) == pytest.approx(stats.sem(pseudo))


@quick
@given(two_samples(), st.floats(0.02, 0.9))
def test_relative_margin_is_welch_on_contrasts(arms, share):
    x, y = np.abs(arms[0]) + 5000, np.abs(arms[1]) + 5000
    test = equivalence_test(x, y, margin=f"{100 * share!r}%")
    low = stats.ttest_ind(y, (1 - share) * x, equal_var=False, alternative="greater").pvalue
    high = stats.ttest_ind(y, (1 + share) * x, equal_var=False, alternative="less").pvalue
    apart = stats.ttest_1samp(x, 0, alternative="greater").pvalue
    assert test.p_lower == pytest.approx(max(low, apart), rel=1e-5, abs=1e-12)
    assert test.p_upper == pytest.approx(max(high, apart), rel=1e-5, abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "n", "m"),
    [
        (0, 0, 10, 10),
        (1, 0, 20, 20),
        (3, 5, 12, 9),
        (2, 2, 20, 15),
        (3, 1, 20, 5),
        (1, 3, 5, 20),
        (3, 3, 9, 14),
    ],
)
def test_unpaired_failure_guard_is_the_plain_unconditional_test(x, y, n, m):
    def side(low, high, n, m):
        def z(i, j):
            p, q = (i + 1) / (n + 2), (j + 1) / (m + 2)
            return (q - p - 0.3) / math.sqrt(p * (1 - p) / (n + 2) + q * (1 - q) / (m + 2))

        tables = [(i, j) for i in range(n + 1) for j in range(m + 1) if z(i, j) <= z(low, high) + 1e-9]
        return max(
            sum(stats.binom.pmf(i, n, p) * stats.binom.pmf(j, m, p + 0.3) for i, j in tables)
            for p in np.linspace(0, 0.7, 36)
        )

    plain = max(side(x, y, n, m), side(y, x, m, n))
    assert unpaired_failure_p(x, y, n, m) == pytest.approx(plain, rel=2e-3)


@pytest.mark.parametrize(("x", "y"), [(100, 225), (225, 100)])
def test_beyond_500_runs_the_failure_guard_decides_as_below(x, y):
    exact, normal = (unpaired_failure_p(x, y, n, n) for n in (500, 501))
    assert normal == pytest.approx(exact, rel=0.25)


def test_effect_sizes_are_those_of_pingouin():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=15), rng.normal(0.7, 1.5, size=15)
    x[0] = y[0]  # a tie
    x, y = 0.001 * x, 0.001 * y
    test = equivalence_test(x, y)
    assert test.sd_ratio == pytest.approx(y.std(ddof=1) / x.std(ddof=1))
    assert test.effect_size == pytest.approx(pg.compute_effsize(y, x, eftype="cohen"), rel=1e-9)
    u = stats.mannwhitneyu(y, x).statistic
    assert test.superiority == pytest.approx(u / (15 * 15))
