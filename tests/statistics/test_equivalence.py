import json
import time
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_kerasequiv import InputError, Verdict, equivalence_test

SAME, OTHER, OPEN = Verdict.EQUIVALENT, Verdict.DIFFERENT, Verdict.INCONCLUSIVE
MARGINS = (None, "0.5sd", "10%", 0.3)
few = settings(max_examples=25, deadline=None)


def runs(seed, n=20, centre=5.0, sd=1.0):
    return np.random.default_rng(seed).normal(centre, sd, n)


@few
@given(
    st.integers(0, 10**6),
    st.integers(9, 24),
    st.sampled_from(MARGINS),
    st.sampled_from([0.0, 1e-6, 3.0, 1e4]),
)
def test_bitwise_equal_pairs_are_equivalent_with_difference_zero(seed, n, margin, centre):
    x = runs(seed, n, centre)
    test = equivalence_test(x, x.copy(), paired=True, margin=margin)
    assert test.verdict is SAME
    assert test.difference == 0
    assert test.ci95 == (0, 0)
    assert test.p_equivalence <= 2.0**-n * 1.01
    assert test.certified_bound == 0
    assert not test.detectable


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("value", [0.0, 0.25, -3.0, 1e-9, 1e20])
def test_equal_constants_are_equivalent(value, margin, paired):
    test = equivalence_test([value] * 9, [value] * 9, margin=margin, paired=paired)
    assert test.verdict is SAME
    assert test.difference == test.effect_size == 0
    assert test.sd_ratio == 1
    assert test.recommended_runs == 9


def test_constants_apart_are_infinitely_many_standard_deviations_apart():
    lower, higher = [1.0] * 9, [2.0] * 9
    assert equivalence_test(lower, higher).effect_size == np.inf
    assert equivalence_test(higher, lower).effect_size == -np.inf


def test_eight_equal_pairs_are_too_few():
    x = runs(1, 8)
    test = equivalence_test(x, x, paired=True)
    assert test.verdict is OPEN
    assert test.failures_differ
    assert any("at least 9 runs" in reason for reason in test.reasons)


@pytest.mark.parametrize(
    ("shift", "verdict"),
    [(0.25, SAME), (-0.25, SAME), (0.375, OTHER), (-0.375, OTHER), (0.5, OTHER), (4.0, OTHER)],
)
def test_constant_paired_difference_against_a_known_margin(shift, verdict):
    """A difference of the very margin is not inside it."""
    x = np.arange(12.0)
    test = equivalence_test(x, x + shift, margin=0.375, paired=True)
    assert test.verdict is verdict
    assert test.p_equivalence == (2.0**-12 if verdict is SAME else 1.0)
    assert test.detectable == (verdict is SAME)
    assert test.certified_bound == abs(shift)


def test_constant_paired_difference_against_a_margin_in_standard_deviations():
    """No smaller p than that of the sign test, however far inside the margin."""
    x = np.arange(12.0)
    test = equivalence_test(x, x + 0.25, paired=True)
    assert (test.p_lower, test.p_upper, test.verdict) == (2.0**-12, 2.0**-12, SAME)


def test_constants_apart_have_the_p_of_the_permutation_test():
    test = equivalence_test([0.0] * 5, [1.0] * 5, margin=2)
    assert (test.p_lower, test.p_upper) == (1 / 252, 1 / 252)


@pytest.mark.parametrize("candidate", [5.0, 5.0 + 4e-5, 5.1])
def test_constant_reference_has_a_margin_of_one_hundred_thousandth(candidate):
    test = equivalence_test([5.0] * 12, [candidate] * 12)
    assert test.margin == pytest.approx(5e-5)
    assert "constant" in test.margin_label
    assert test.verdict is (OTHER if candidate == 5.1 else SAME)


@pytest.mark.parametrize(("ulps", "alike"), [(16, True), (17, False)])
def test_runs_are_constant_up_to_sixteen_units_in_the_last_place(ulps, alike):
    test = equivalence_test([1.0, 1 - ulps * 2.0**-52] * 6, [1.0] * 12)
    assert (test.reference.sd == 0) is alike
    assert ("constant" in test.margin_label) is alike


def test_varying_candidate_of_a_constant_reference_is_not_equivalent():
    assert equivalence_test([5.0] * 20, runs(1, 20, 5.0, 0.1)).verdict is not SAME


def test_constant_candidate_of_a_varying_reference_is_not_equivalent():
    x = runs(3)
    test = equivalence_test(x, np.full(20, x.mean()))
    assert test.verdict is OTHER
    assert test.spread_differs
    assert test.sd_ratio == 0


def test_two_runs():
    test = equivalence_test([1.0, 2.0], [1.0, 2.5])
    assert test.verdict is OPEN
    assert test.p_equivalence == 1
    assert equivalence_test([1.0, 2.0], [1.0, 2.5], margin=10).verdict is OPEN
    assert equivalence_test([1.0, 5.0], [1.0, 2.5], margin="3sd").margin == pytest.approx(3 * np.sqrt(8))


@pytest.mark.parametrize(("margin", "label"), [("2sd", "0 sd"), ("5%", "0%"), (0.5, "0")])
def test_of_equal_pairs_the_smallest_margin_is_none_at_all_once_they_are_enough(margin, label):
    enough, few = (equivalence_test(runs(1, n), runs(1, n), paired=True, margin=margin) for n in (9, 4))
    assert (enough.certified_bound, enough.certified_label) == (0.0, label)
    assert (few.certified_bound, few.certified_label) == (None, None)
    assert few.p_equivalence == 1 / 16
    assert "no margin would pass" in str(few)
    assert "means within 0" in str(enough)


@pytest.mark.parametrize("paired", [True, False])
def test_a_clear_difference(paired):
    x = runs(1)
    test = equivalence_test(x, runs(2) + 3, paired=paired)
    assert test.verdict is OTHER
    assert "mean is higher" in test.reasons[0]
    assert "mean is lower" in equivalence_test(x, runs(2) - 3, paired=paired).reasons[0]


def test_a_p_of_the_very_level_is_a_difference():
    """Two of the twenty arrangements are as extreme: p is 0.1, as exact tests have it."""
    x, y = [0.0, 1.0, 2.0], [10.0, 11.0, 12.0]
    assert [equivalence_test(x, y, alpha=level).verdict for level in (0.1, 0.099)] == [OTHER, OPEN]


@pytest.mark.parametrize("paired", [True, False])
def test_a_constant_reference_against_a_share_of_its_mean(paired):
    """That its mean is not 0 is shown by the sign test, which no other p undercuts."""
    test = equivalence_test([5.0] * 9, [5.1] * 9, margin="10%", paired=paired)
    assert (test.p_lower, test.p_upper, test.verdict) == (2.0**-9, 2.0**-9, SAME)


def test_unequal_sizes():
    test = equivalence_test(runs(1, 12), runs(2, 25), margin=3)
    assert (test.n, len(test.candidate.values), test.verdict) == (12, 25, SAME)


def test_a_detectable_difference_inside_the_margin_is_equivalent():
    x = runs(4)
    test = equivalence_test(x, x + runs(5, 20, 0.2, 0.05), paired=True)
    assert test.verdict is SAME
    assert test.detectable
    assert test.p_difference < 0.001
    assert "detectable" in str(test)


def test_says_what_differs():
    rng = np.random.default_rng(1)
    x, noise = rng.normal(size=(2, 80))
    y = np.sign(noise) + 0.01 * noise
    shape = equivalence_test(x, (y - y.mean()) / y.std() * x.std() + x.mean(), margin="0.01sd")
    assert shape.verdict is OTHER
    assert "different shapes" in shape.reasons[0]
    spread = equivalence_test(x, 4 * (noise - noise.mean()) + x.mean())
    assert spread.verdict is OTHER
    assert "standard deviation is" in spread.reasons[0]


def test_spread_veto():
    x = runs(6, 30)
    test = equivalence_test(x, 5 + 4 * (runs(7, 30) - 5), margin=6)
    assert test.equivalent_means
    assert test.verdict is OTHER
    assert test.spread_differs
    assert test.certified_bound is None
    assert "spread differs" in str(test)


@pytest.mark.parametrize("ratio", [1.4, 1 / 1.4])
def test_a_spread_that_is_detectable_but_similar_is_no_objection(ratio):
    x = np.repeat([-1.0, 1.0], 100)
    test = equivalence_test(x, ratio * x, margin=1)
    assert test.p_spread < 0.01
    assert test.verdict is SAME
    assert test.detectable


@pytest.mark.parametrize("ratio", [1.6, 1 / 1.6])
def test_a_spread_of_more_than_half_as_much_again_is_an_objection(ratio):
    x = np.repeat([-1.0, 1.0], 100)
    test = equivalence_test(x, ratio * x, margin=1)
    assert test.equivalent_means
    assert test.spread_differs
    assert test.verdict is OTHER


@pytest.mark.parametrize(
    ("failed", "paired", "verdict"), [(1, True, SAME), (2, True, SAME), (4, True, OPEN), (4, False, OPEN)]
)
def test_failure_guard(failed, paired, verdict):
    x = runs(8)
    y = x.copy()
    y[:failed] = np.nan
    test = equivalence_test(x, y, paired=paired, margin=3)
    assert test.equivalent_means
    assert test.verdict is verdict
    assert test.candidate.failed == failed
    assert test.failures_differ == (verdict is OPEN)
    assert f"{failed} of 20 candidate runs failed" in str(test)


def test_many_failures_of_one_twin_are_different():
    x = runs(9)
    y = x.copy()
    y[:9] = np.nan
    test = equivalence_test(x, y, paired=True, margin=100)
    assert test.verdict is OTHER
    assert "0 reference runs failed and 9 candidate runs" in test.reasons[0]


def test_failures_in_the_same_pairs_are_equivalent_until_half():
    x = runs(10)
    x[:10] = np.inf
    assert equivalence_test(x, x, paired=True).verdict is SAME
    x[:11] = np.inf
    test = equivalence_test(x, x, paired=True)
    assert test.verdict is OPEN
    assert any("more than half" in reason for reason in test.reasons)


@pytest.mark.parametrize("arms", [lambda x, y: (x, y), lambda x, y: (y, x)], ids=["candidate", "reference"])
def test_more_than_half_of_one_twin_is_enough(arms):
    """Failure rates of 9 and 11 in 20 pairs are near enough, but little is known of a twin that fails."""
    x, y = runs(10), runs(10)
    x[:9], y[:11] = np.inf, np.inf
    test = equivalence_test(*arms(x, y), paired=True, margin=10)
    assert test.p_failure < test.failure_level
    assert test.equivalent_means
    assert test.verdict is OPEN
    assert test.reasons[0].startswith("more than half of the runs failed")


@pytest.mark.parametrize("paired", [True, False])
def test_all_failed(paired):
    nothing = [np.nan] * 12
    assert equivalence_test(nothing, nothing, paired=paired).verdict is OPEN
    assert equivalence_test(runs(1, 12), nothing, paired=paired).verdict is OTHER


def test_relative_margin_of_a_mean_near_zero():
    x, y = runs(11, 20, 0.0), runs(12, 20, 0.0)
    test = equivalence_test(x, y, margin="50%")
    assert test.verdict is OPEN
    assert test.certified_bound is None
    assert any("reference mean is too near 0" in reason for reason in test.reasons)


def test_relative_margin_of_a_negative_mean():
    x, y = runs(13, 20, 50.0), runs(14, 20, 51.0)
    plus, minus = equivalence_test(x, y, margin="5%"), equivalence_test(-x, -y, margin="5%")
    assert plus.verdict is minus.verdict is SAME
    assert (plus.p_lower, plus.p_upper) == pytest.approx((minus.p_upper, minus.p_lower))
    assert plus.margin == pytest.approx(minus.margin)


def test_relative_margin_allows_for_the_uncertain_mean():
    x, y = runs(15, 12, 5.0, 2.0), runs(16, 12, 5.0, 2.0)
    relative = equivalence_test(x, y, margin="40%")
    plugged = equivalence_test(x, y, margin=0.4 * x.mean())
    assert relative.p_equivalence > plugged.p_equivalence


@pytest.mark.parametrize("alpha", [0, 1, 0.5, -0.05, "5%", None, True, float("nan")])
def test_refuses_alpha(alpha):
    with pytest.raises(InputError, match="alpha="):
        equivalence_test(runs(1), runs(2), alpha=alpha)


@pytest.mark.parametrize("rng", ["seed", -1, 0.5, True, np.random.RandomState(0)])
def test_refuses_rng(rng):
    with pytest.raises(InputError, match="rng="):
        equivalence_test(runs(1), runs(2), rng=rng)


def test_draws_are_repeatable_and_leave_global_state_alone():
    x, y = runs(1), runs(2) + 0.5
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert equivalence_test(x, y) == equivalence_test(x, y)
    p = [equivalence_test(x, y, rng=seed).p_difference for seed in (1, 1, 2)]
    assert p[0] == p[1] != p[2]
    assert p[2] == pytest.approx(p[0], abs=0.02)
    assert equivalence_test(x, y, rng=np.random.default_rng(1)).p_difference == p[0]
    assert equivalence_test(x, y, paired=True, rng=1).p_difference == pytest.approx(p[0], abs=0.2)
    paired = [equivalence_test(x, y, paired=True, rng=seed).p_spread for seed in (1, 1, 2)]
    assert paired[0] == paired[1] != paired[2]
    assert equivalence_test(x, y, rng=0).p_difference == pytest.approx(p[0], abs=0.02)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_looks_decide_on_growing_prefixes():
    x = runs(1)
    test = equivalence_test(x, x + 3, paired=True, looks=(10, 15, 20))
    assert (test.verdict, test.n, test.looks) == (OTHER, 10, (10, 15, 20))
    assert test.level == pytest.approx(0.005)
    assert test.alpha == pytest.approx(0.05)
    assert len(test.reference.values) == 10
    undecided = equivalence_test(x, runs(3) + 0.8, looks=(10, 15, 20))
    assert undecided.n == 20


def test_one_look_spends_all_of_alpha():
    test = equivalence_test(runs(1), runs(3), looks=(20,))
    assert (test.n, test.level, test.failure_level, test.looks) == (20, 0.05, 0.05, (20,))


def test_looks_on_an_unfinished_plan():
    x = runs(1)
    assert equivalence_test(x[:12], runs(3)[:12] + 0.8, looks=(10, 15, 20)).n == 10


@pytest.mark.parametrize(
    ("looks", "part"),
    [
        ((), "grow"),
        ((10, 10), "grow"),
        ((20, 10), "grow"),
        ((1, 20), "grow"),
        ((10, 15), "end at 15 runs but 20"),
        ((5, 10, 15), "end at 15 runs but 20"),
        ((25, 30), "start at 25 runs"),
        ((10.5, 20), "whole numbers"),
        (("10", 20), "whole numbers"),
        (20, r"looks=20 must be run counts, for example looks=\(10, 15, 20\)"),
    ],
)
def test_refuses_looks(looks, part):
    with pytest.raises(InputError, match=part):
        equivalence_test(runs(1), runs(2), looks=looks)


def test_json_form():
    x = runs(1)
    y = x.copy()
    y[2] = np.nan
    for test in (
        equivalence_test(x, y, paired=True),
        equivalence_test([0.0] * 9, [1.0] * 9),
        equivalence_test([1, 2], [1, 3]),
    ):
        data = json.loads(json.dumps(test.to_dict(), allow_nan=False))
        assert data["verdict"] == test.verdict.value
        for name in (
            "n",
            "difference",
            "margin",
            "margin_label",
            "p_equivalence",
            "p_difference",
            "certified_bound",
        ):
            assert data[name] == getattr(test, name)
        assert tuple(data["ci90"]) == test.ci90
        assert set(data["reference"]) == {"values", "mean", "sd", "median", "min", "max", "failed"}
        assert len(data["candidate"]["values"]) == len(test.candidate.values)


def test_is_frozen():
    test = equivalence_test([1, 2], [1, 3])
    with pytest.raises(FrozenInstanceError):
        test.verdict = SAME


def test_takes_less_than_a_third_of_a_second():
    x, y = runs(1, 40), runs(2, 40)
    equivalence_test(x, y)
    for margin in MARGINS:
        for paired in (True, False):
            started = time.process_time()
            equivalence_test(x, y, margin=margin, paired=paired)
            assert time.process_time() - started < 0.3


def test_values_near_the_limits_of_floats():
    tiny = np.linspace(1, 2, 12) * 1e-200
    assert equivalence_test(tiny, -tiny, paired=True).difference == 0
    small = np.linspace(1, 2, 12) * 1e-140
    assert equivalence_test(small, small + 3e-140, paired=True).verdict is OTHER
    x = np.linspace(1, 2, 12)
    assert equivalence_test(x * 1e38, x[::-1] * 1e38).verdict is equivalence_test(x, x[::-1]).verdict
