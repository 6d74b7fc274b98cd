"""How far two single runs of one model differ, and how sure that is."""

import json
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.statistics.luck import luck_of_one_run, shares


def test_the_pairs_of_three_runs_counted_by_hand():
    luck = luck_of_one_run([1.0, 2.0, 4.0], (10.0, 8.0))
    assert luck.differences == (1.0, 2.0, 3.0)
    assert (luck.n, luck.half, luck.gap) == (3, 2.0, 2.0)
    assert luck.share == pytest.approx(2 / 3)


def test_a_pair_that_differs_by_exactly_as_much_counts():
    luck = luck_of_one_run([0.1, 0.3], (0.3, 0.5))
    assert luck.share == luck.share_interval[1] == 1.0
    assert luck.share_interval[0] == pytest.approx(0.025), "two runs are one pair"


def plain_shares(runs, gap):
    """The share of pairs and its interval as the module tells them, run by run."""

    def share_of(some):
        return float(np.mean([abs(a - b) >= gap for a, b in combinations(some, 2)]))

    n, share = len(runs), share_of(runs)
    without = [share_of(np.delete(runs, i)) for i in range(n)]
    variance = (n - 1) / n * sum((one - np.mean(without)) ** 2 for one in without)
    pairs = np.clip(share * (1 - share) / variance, n / 2, n)
    hits = share * pairs
    return share, stats.beta.ppf(0.025, hits, pairs - hits + 1), stats.beta.ppf(0.975, hits + 1, pairs - hits)


@pytest.mark.parametrize(
    ("seed", "n", "gap"), [(0, 3, 0.5), (1, 8, 0.8), (2, 12, 1.5), (3, 20, 2.0), (4, 20, 0.3)]
)
def test_the_interval_is_that_of_the_jackknife_over_runs(seed, n, gap):
    runs = np.random.default_rng(seed).lognormal(size=n)
    luck = luck_of_one_run(runs, (1.0, 1.0 + gap))
    assert (luck.share, *luck.share_interval) == pytest.approx(plain_shares(runs, gap))


TIED = [0.0] * 19 + [1.0], [0.0] * 15 + [1.0] * 5, [0.0] * 20, [0.0] * 5, [0.0, 1.0, 1.0, 3.0] * 5


@pytest.mark.parametrize("runs", [*(np.random.default_rng(n).normal(size=n) for n in (4, 8, 20)), *TIED])
def test_the_interval_of_half_of_all_pairs_ends_where_the_share_is_surely_more_or_less(runs):
    """Tried are the differences that were seen, and numbers between and beyond them."""
    luck = luck_of_one_run(runs)
    seen = np.unique(luck.differences)
    tried = np.sort([*seen, *(seen[1:] + seen[:-1]) / 2, seen[-1] + 1])
    _, lows, highs = shares(runs, tried)
    surely, perhaps = tried[: np.argmax(lows <= 0.5)], tried[highs >= 0.5]
    low, high = luck.half_interval
    assert low == (surely[-1] if len(surely) else 0.0)
    assert high == (np.inf if perhaps[-1] > seen[-1] else perhaps[-1])
    assert low <= luck.half <= high


def test_what_ties_tell():
    """Nineteen runs in twenty alike: half of all pairs do not differ; five alike: nobody knows."""
    almost, some, all_alike, few, _ = (luck_of_one_run(runs).half_interval for runs in TIED)
    assert (almost, some, all_alike, few) == ((0.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.0, np.inf))


def test_unit_and_origin_do_not_matter():
    runs = np.random.default_rng(0).normal(size=12)
    one, other = luck_of_one_run(runs, (0.0, 0.7)), luck_of_one_run(5 - 3 * runs, (2.0, 4.1))
    assert other.half == pytest.approx(3 * one.half)
    assert other.rare == pytest.approx(3 * one.rare)
    assert other.half_interval == pytest.approx([3 * end for end in one.half_interval])
    assert (other.share, other.share_interval) == (one.share, one.share_interval)


def test_figures_can_be_written():
    luck = luck_of_one_run([1.0, 2.0], (1.0, 2.0))
    told = json.loads(json.dumps(luck.to_dict(), allow_nan=False))
    assert (told["half"], told["half_interval"], told["observed"]) == (1.0, [0.0, "inf"], [1.0, 2.0])


def test_without_a_pair_that_was_seen_nothing_is_said_of_one():
    luck = luck_of_one_run([1.0, 2.0, 4.0])
    assert (luck.observed, luck.gap, luck.share, luck.share_interval) == (None, None, None, None)


DISTRIBUTIONS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "skewed": lambda rng, n: rng.lognormal(size=n),
    "collapsing": lambda rng, n: rng.normal(0, 0.1, n) + 2.0 * (rng.random(n) < 0.15),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize("true", [0.5, 0.2, 0.05])
def test_the_interval_holds_the_true_share_at_least_as_often_as_it_says(name, n, true):
    draw, rng = DISTRIBUTIONS[name], np.random.default_rng(1)
    many = draw(rng, 2000)
    differences = np.abs(many[:, None] - many)[np.triu_indices(2000, 1)]
    gap = np.quantile(differences, 1 - true)
    true = float((differences >= gap).mean())
    held = 0
    for _ in range(400):
        _, low, high = shares(draw(rng, n), [gap])
        held += bool(low[0] <= true <= high[0])
    assert held / 400 >= 0.94


def test_intervals_of_a_share_and_of_its_complement_mirror_each_other():
    """One of 15 pairs reaches the gap, or all but one: shares are as sure, and not beyond 0 and 1."""
    one, all_but_one = [0.0, 2.0, *[1.0] * 4], [0.0, 0.1, 2.0, 4.0, 6.0, 8.0]
    (share, low, high), (others, least, most) = shares(one, [2.0]), shares(all_but_one, [1.0])
    assert (share[0], others[0]) == pytest.approx((1 / 15, 14 / 15))
    assert (low[0], high[0]) == pytest.approx((1 - most[0], 1 - least[0]))
    assert 0 < low[0] < share[0] < high[0] < 1


def test_more_runs_make_the_interval_narrower():
    def width(n):
        low, high = luck_of_one_run(np.random.default_rng(2).normal(size=n), (0.0, 1.0)).share_interval
        return high - low

    assert width(100) < 0.6 * width(20) < 0.6 * width(8)


def test_half_of_all_pairs_is_bounded_by_its_interval():
    luck = luck_of_one_run(np.random.default_rng(3).normal(size=20))
    low, high = luck.half_interval
    assert low <= luck.half <= high <= luck.differences[-1]
    assert luck_of_one_run([1.0, 2.0]).half_interval == (0.0, float("inf"))


@pytest.mark.parametrize("values", [[1.0], [[1.0, 2.0]], [1.0, np.nan]])
def test_bad_values_are_refused(values):
    with pytest.raises(InputError, match="at least 2 finite numbers"):
        luck_of_one_run(values)
