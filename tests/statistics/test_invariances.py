"""What must not change the decision, and what must change it in one direction only."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_kerasequiv import Verdict, equivalence_test, required_runs
from pytest_kerasequiv.statistics.margin import parse_margin
from pytest_kerasequiv.statistics.mover import p_values, sd_margin
from pytest_kerasequiv.statistics.planning import detectable_difference
from pytest_kerasequiv.statistics.samples import read_arms
from pytest_kerasequiv.statistics.within import mean_test

some = settings(max_examples=40, deadline=None)
margins = st.sampled_from([None, "0.5sd", "2sd", 0.5, 2.0])
any_margin = st.sampled_from([None, "0.5sd", "2sd", 0.5, 2.0, "5%", "30%"])


@st.composite
def experiments(draw, largest=24):
    """Two samples on a grid of eighths (so that shifting them is exact), and whether they are paired."""
    n = draw(st.integers(3, largest))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    x, y = np.round(8 * rng.normal(draw(st.sampled_from([0, 8])), 1, (2, n))) / 8
    y = y + draw(st.sampled_from([0, 0.25, 1, 3]))
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    return x, y, draw(st.booleans())


def figures(test):
    return (test.p_lower, test.p_upper, test.p_difference, test.p_spread)


@some
@given(experiments(), margins, st.sampled_from([-64.0, 0.125, 1024.0]))
def test_shift(experiment, margin, shift):
    x, y, paired = experiment
    before = equivalence_test(x, y, margin=margin, paired=paired)
    after = equivalence_test(x + shift, y + shift, margin=margin, paired=paired)
    assert figures(after) == pytest.approx(figures(before), rel=1e-6, abs=1e-9)
    assert after.verdict is before.verdict


@some
@given(experiments(), any_margin, st.sampled_from([0.25, 8.0, 2.0**40, 2.0**-40]))
def test_scale(experiment, margin, scale):
    x, y, paired = experiment
    scaled = margin * scale if isinstance(margin, float) else margin
    before = equivalence_test(x, y, margin=margin, paired=paired)
    after = equivalence_test(x * scale, y * scale, margin=scaled, paired=paired)
    assert figures(after) == pytest.approx(figures(before), rel=1e-6, abs=1e-9)
    assert after.verdict is before.verdict
    assert after.margin == pytest.approx(before.margin * scale)
    assert after.recommended_runs == before.recommended_runs


@some
@given(experiments(), any_margin)
def test_sign(experiment, margin):
    x, y, paired = experiment
    assume(x.mean() != 0)  # a share of a mean of 0 has no sides
    before = equivalence_test(x, y, margin=margin, paired=paired)
    after = equivalence_test(-x, -y, margin=margin, paired=paired)
    assert (after.p_upper, after.p_lower) == pytest.approx(
        (before.p_lower, before.p_upper), rel=1e-6, abs=1e-9
    )
    assert after.difference == -before.difference
    # The drawn arrangements are counted from the other end, so p moves within their sampling error.
    assert after.p_difference == pytest.approx(before.p_difference, abs=0.03)


@some
@given(experiments(), st.sampled_from([0.5, 2.0]))
def test_swapped_arms(experiment, margin):
    x, y, paired = experiment
    before = equivalence_test(x, y, margin=margin, paired=paired)
    after = equivalence_test(y, x, margin=margin, paired=paired)
    assert (after.p_upper, after.p_lower) == pytest.approx(
        (before.p_lower, before.p_upper), rel=1e-6, abs=1e-9
    )
    exact = paired or len(x) <= 7
    assert after.p_difference == pytest.approx(before.p_difference, abs=1e-12 if exact else 0.03)
    assert after.ci90 == pytest.approx((-before.ci90[1], -before.ci90[0]))


@some
@given(experiments(), any_margin, st.integers(0, 100))
def test_order_of_runs(experiment, margin, seed):
    x, y, paired = experiment
    rng = np.random.default_rng(seed)
    first = rng.permutation(len(x))
    second = first if paired else rng.permutation(len(y))
    before = equivalence_test(x, y, margin=margin, paired=paired)
    after = equivalence_test(x[first], y[second], margin=margin, paired=paired)
    assert (after.p_lower, after.p_upper) == pytest.approx(
        (before.p_lower, before.p_upper), rel=1e-6, abs=1e-9
    )
    assert after.p_difference == pytest.approx(before.p_difference, abs=0.03 if paired else 1e-12)


@some
@given(experiments(), st.sampled_from(["{}sd", "{}%", "{}"]), st.floats(0.01, 90), st.floats(1.0, 10.0))
def test_a_wider_margin_is_never_harder(experiment, form, size, factor):
    x, y, paired = experiment
    assume(form != "{}%" or size * factor < 100)
    small = equivalence_test(x, y, margin=form.format(size), paired=paired)
    large = equivalence_test(x, y, margin=form.format(size * factor), paired=paired)
    assume(small.p_equivalence < 0.5)  # beyond, a wider relative margin also makes its own limit less certain
    assert large.p_equivalence <= small.p_equivalence * (1 + 1e-6) + 1e-9
    assert not (small.verdict is Verdict.EQUIVALENT and large.verdict is not Verdict.EQUIVALENT)


@some
@given(experiments(), st.sampled_from(["sd", "%", ""]), st.sampled_from([0.05, 0.005]))
def test_the_certified_bound_is_the_smallest_margin_that_passes(experiment, unit, alpha):
    x, y, paired = experiment
    arms = read_arms(x, y, paired=paired, fail_value=None)
    found = mean_test(arms, parse_margin(f"5{unit}"), alpha)
    if found.certified is None:
        assert unit == "%"
        return
    one = {"sd": x.std(ddof=1), "%": abs(x.mean()) / 100, "": 1.0}[unit]
    bound = float(found.certified / one)
    assume(1e-3 < bound < 95)
    above, below = (
        mean_test(arms, parse_margin(f"{bound * factor!r}{unit}"), alpha) for factor in (1.0001, 0.9999)
    )
    assert max(above.lower, above.upper) <= alpha < max(below.lower, below.upper)


@pytest.mark.parametrize(("shift", "label"), [(0.0, "0"), (1.5, "1.5")])
def test_a_level_that_is_just_reached_certifies(shift, label):
    """Four pairs that differ by the same show it at the level 1/16, not below."""
    x = np.arange(4.0)
    arms = read_arms(x, x + shift, paired=True, fail_value=None)
    found, none = (mean_test(arms, parse_margin(2.0), level) for level in (1 / 16, 1 / 17))
    assert (found.certified, found.certified_label) == (shift, label)
    assert (none.certified, none.certified_label) == (None, None)


@some
@given(experiments(12), st.sampled_from(["1sd", "2.0", "30%"]))
def test_the_same_runs_seen_twice_are_stronger_evidence(experiment, margin):
    x, y, paired = experiment
    once = equivalence_test(x, y, margin=margin, paired=paired)
    assume(once.p_equivalence < 0.1)
    twice = equivalence_test(np.tile(x, 2), np.tile(y, 2), margin=margin, paired=paired)
    assert twice.p_equivalence <= once.p_equivalence + 1e-12
    assert twice.detectable_difference <= once.detectable_difference


@some
@given(st.floats(0.2, 2.0), st.floats(1.0, 3.0), st.floats(0.5, 0.9), st.booleans())
def test_required_runs_grow_with_power_and_fall_with_the_margin(margin, factor, power, estimated):
    runs = required_runs(margin, power=power, estimated=estimated)
    assert required_runs(margin * factor, power=power, estimated=estimated) <= runs
    assert required_runs(margin, power=power + 0.09, estimated=estimated) >= runs
    assert required_runs(margin, power=power, paired=True, correlation=0.8, estimated=estimated) <= runs


def test_detectable_difference_falls_with_n():
    for paired in (True, False):
        found = [detectable_difference(n, paired=paired) for n in range(2, 40)]
        assert found == sorted(found, reverse=True)


@some
@given(experiments(), any_margin)
def test_the_verdict_follows_from_the_figures(experiment, margin):
    x, y, paired = experiment
    test = equivalence_test(x, y, margin=margin, paired=paired)
    same = test.p_equivalence <= 0.05 and not test.spread_differs and not test.failures_differ
    other = test.p_difference_holm <= 0.05
    assert test.verdict is (
        Verdict.EQUIVALENT if same else Verdict.DIFFERENT if other else Verdict.INCONCLUSIVE
    )
    assert test.detectable == (same and other)
    assert 0 < test.p_difference <= 1
    assert all(0 <= p <= 1 for p in (test.p_lower, test.p_upper, test.p_means, test.p_spread, test.p_failure))
    assert test.reasons
    assert max(len(line) for line in str(test).splitlines()) <= 100


@some
@given(experiments(), st.floats(0.1, 4.0), st.sampled_from([0.001, 0.005, 0.04, 0.05, 0.3]))
def test_the_p_of_a_margin_in_sds_agrees_with_its_decision(experiment, k, alpha):
    x, y, paired = experiment
    margin = sd_margin(x, y, paired=paired)
    assume(float(margin.means.se) > 0)
    assert (max(p_values(margin, k, alpha)) <= alpha) == bool(margin.passes(k, alpha))
    assert bool(margin.passes(k, alpha)) == (k > float(margin.certified(alpha)))


@pytest.mark.parametrize("shift", [0.2, 0.0, 1.0, 1 / 3])
def test_as_many_runs_at_one_value_as_at_another_tell_nothing_by_their_rounding(shift):
    """All pseudo-values are one then; the correlation with their rounding errors once was 2/3."""
    x, y = np.repeat([0.0, 1.0], 3) + shift, np.array([0.0, 1.0, 1.0, 1.0])
    assert float(sd_margin(x, y, paired=False).correlation) == 0.0
