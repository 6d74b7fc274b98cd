import math

import numpy as np
import pytest
from scipy import stats

from pytest_kerasequiv.statistics.arrangements import DRAWS
from pytest_kerasequiv.statistics.permutation import permutation_test
from pytest_kerasequiv.statistics.samples import read_arms


def run(x, y, paired=False, rng=None):
    return permutation_test(read_arms(x, y, paired=paired, fail_value=None), rng)


def test_counts_arrangements():
    rng = np.random.default_rng(0)
    small, large = rng.normal(size=(2, 7)), rng.normal(size=(2, 20))
    assert run(*small).arrangements == math.comb(14, 7)
    assert run(*small).enumerated
    assert run(*small, paired=True).arrangements == 2**7
    assert run(*large).arrangements == run(*large, paired=True).arrangements == DRAWS + 1
    assert not run(*large).enumerated
    most = rng.normal(size=(2, 14))
    assert run(*most, paired=True).arrangements == 2**14
    assert run(*most, paired=True).enumerated
    assert not run(*rng.normal(size=(2, 15)), paired=True).enumerated


@pytest.mark.parametrize("paired", [True, False])
def test_identical_samples(paired):
    x = np.random.default_rng(0).normal(size=20)
    found = run(x, x, paired)
    assert found.difference == found.spread == found.means == 1


@pytest.mark.parametrize(("n", "paired"), [(5, True), (5, False), (20, True), (20, False)])
def test_separated_constants_have_the_smallest_p(n, paired):
    found = run([0.0] * n, [1.0] * n, paired)
    least = 2 / (2**n if paired else math.comb(2 * n, n))
    assert found.difference == pytest.approx(max(least, 1 / (DRAWS + 1)) if n > 9 else least)
    assert found.spread == 1, "both do not vary"


def test_the_observed_arrangement_counts_once():
    found = run(range(4), range(10, 15))
    assert found.arrangements == math.comb(9, 4)
    assert found.difference == found.means == 1 / math.comb(9, 4)


def test_sees_what_the_mean_does_not():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40))
    y = np.sign(y) * (2 + 0.1 * y)
    y -= y.mean() - x.mean()
    found = run(x, y)
    assert found.means > 0.5
    assert found.difference < 0.02


def test_sees_failures_that_the_values_hide():
    x = np.concatenate([np.zeros(10), np.ones(10)])
    y = x.copy()
    y[10:19] = np.nan  # counted as 1, the worst value: the values agree, only the failures differ
    arms = read_arms(x, y, paired=True, fail_value=None)
    assert (arms.reference == arms.candidate).all()
    assert permutation_test(arms).difference == pytest.approx(2 / 2**9, abs=0.003)
    assert permutation_test(read_arms(x, y, paired=False, fail_value=None)).difference < 0.01


@pytest.mark.parametrize(("x", "y"), [(0, 4), (4, 0), (1, 4), (5, 1), (2, 3)])
def test_failures_alone_are_judged_by_the_gap_of_their_rates(x, y):
    """Of 7 runs of the reference and 5 of the candidate some failed: the exact test over all tables."""
    arms = [np.where(np.arange(n) < failed, np.nan, 1.0) for n, failed in ((7, x), (5, y))]
    gaps = {k: abs(k / 5 - (x + y - k) / 7) for k in range(6)}
    tables = stats.hypergeom(12, x + y, 5)
    exact = sum(tables.pmf(k) for k, gap in gaps.items() if gap >= gaps[y] - 1e-9)
    assert run(*arms).difference == pytest.approx(exact)


@pytest.mark.parametrize("paired", [True, False])
def test_holds_its_level_exactly_where_enumerated(paired):
    """Over all arrangements of one data set, the p is at most .05 in at most 5 % of them."""
    rng = np.random.default_rng(4)
    values = rng.lognormal(0, 2, 10)
    hits = total = 0
    for code in range(2**5) if paired else range(2**10):
        bits = [(code >> i) & 1 for i in range(5 if paired else 10)]
        if paired:
            x = np.where(bits, values[:5], values[5:])
            y = np.where(bits, values[5:], values[:5])
        elif sum(bits) == 5:
            mask = np.array(bits, bool)
            x, y = values[mask], values[~mask]
        else:
            continue
        total += 1
        hits += run(x, y, paired).difference <= 0.1
    assert 0 < hits / total <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False])
def test_holds_its_level_where_drawn(paired):
    rng = np.random.default_rng(9)
    p = np.array([run(*rng.lognormal(0, 1, (2, 16)), paired).difference for _ in range(800)])
    for level in (0.005, 0.05, 0.2):
        assert np.mean(p <= level) == pytest.approx(level, abs=4 * math.sqrt(level / 800))


@pytest.mark.parametrize("paired", [True, False])
def test_ties_by_rounding_count(paired):
    """Sums of 0.1 and 0.2 in another order differ in the last bit; they are the same arrangement."""
    x, y = np.array([0.1, 0.2, 0.3, 0.1]), np.array([0.3, 0.1, 0.2, 0.2])
    assert run(x, y, paired).difference == run(10 * x, 10 * y, paired).difference
    far, near = run(x + 1e6, y + 1e6, paired), run(10 * x, 10 * y, paired)
    assert (far.difference, far.spread, far.means) == (near.difference, near.spread, near.means)


@pytest.mark.parametrize("paired", [True, False])
def test_many_runs_are_looked_at_in_blocks(paired, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 300))
    whole = run(x, y + 0.2, paired)
    monkeypatch.setattr("pytest_kerasequiv.statistics.arrangements._BLOCK", 300_000)
    assert run(x, y + 0.2, paired) == whole
    assert whole.arrangements == DRAWS + 1
    z = abs(y.mean() + 0.2 - x.mean()) / math.sqrt(2 / 300)
    assert whole.means == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.01)


@pytest.mark.parametrize(("factor", "shift"), [(1.0, 0.3), (3.0, 0.0)])
def test_energy_of_many_pairs_is_that_of_few(monkeypatch, factor, shift):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 30))
    form = run(x, factor * y + shift, paired=True)
    monkeypatch.setattr("pytest_kerasequiv.statistics.permutation._LARGEST_FORM", 10)
    assert run(x, factor * y + shift, paired=True).difference == form.difference


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False])
def test_thousands_of_runs_fit_in_memory(paired):
    from pytest_kerasequiv import Verdict, equivalence_test

    x, y = np.random.default_rng(0).normal(size=(2, 3000))
    test = equivalence_test(x, y, paired=paired, margin="0.2sd")
    assert test.verdict is Verdict.EQUIVALENT
