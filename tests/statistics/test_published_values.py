"""Values from the literature and from other software."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_kerasequiv import Verdict, equivalence_test, required_runs
from pytest_kerasequiv.statistics.decision import holm
from pytest_kerasequiv.statistics.failures import paired_failure_p, undetected_rate, unpaired_failure_p
from pytest_kerasequiv.statistics.looks import default_looks
from pytest_kerasequiv.statistics.means import mean_difference
from pytest_kerasequiv.statistics.planning import detectable_difference, equivalence_power

# NCSS, "Two-Sample T-Tests for Equivalence", the data in the tests of the R package TOSTER.
NCSS_A = [452, 874, 554, 447, 356, 754, 558, 574, 664, 682, 547, 435, 245]
NCSS_B = [546, 547, 774, 465, 459, 665, 467, 365, 589, 534, 456, 651, 654, 665, 546, 537]
# R datasets::sleep (Student 1908).
SLEEP_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
# SAS PROC TTEST, AUC of Wellek.
AUC_TEST = [103.4, 59.92, 68.17, 94.54, 69.48, 72.17, 74.37, 84.44, 96.74, 94.26, 48.52, 95.68]
AUC_REFERENCE = [90.11, 77.71, 77.71, 97.51, 58.21, 101.3, 79.84, 96.06, 89.30, 97.22, 61.62, 85.80]


def test_ncss_welch():
    # TOSTER's difference is A - B, so A is the candidate here.
    test = equivalence_test(NCSS_B, NCSS_A, margin=110)
    gap = mean_difference(np.array(NCSS_B, float), np.array(NCSS_A, float), paired=False)
    assert float(gap.df) == pytest.approx(19.1690, abs=5e-5)
    assert (test.difference + 110) / float(gap.se) == pytest.approx(1.900175, abs=5e-7)
    assert (test.difference - 110) / float(gap.se) == pytest.approx(-2.202883, abs=5e-7)
    assert test.p_lower == pytest.approx(0.0362792, abs=5e-8)
    assert test.p_upper == pytest.approx(0.0200160, abs=5e-8)
    assert test.p_equivalence == test.p_lower
    assert test.ci90 == pytest.approx((-100.7872, 84.5564), abs=5e-5)
    assert test.certified_bound == pytest.approx(100.7872, abs=5e-5)
    assert test.verdict is Verdict.EQUIVALENT


def test_sleep_welch():
    test = equivalence_test(SLEEP_2, SLEEP_1, margin=0.5)
    gap = mean_difference(np.array(SLEEP_2), np.array(SLEEP_1), paired=False)
    assert float(gap.df) == pytest.approx(17.77647, abs=5e-6)
    assert test.p_lower == pytest.approx(0.8901100, abs=5e-8)
    assert test.p_upper == pytest.approx(0.0124513, abs=5e-8)
    assert test.ci90 == pytest.approx((-3.053381, -0.106619), abs=5e-7)
    two_sided = 2 * stats.t.sf(abs(float(gap.difference / gap.se)), float(gap.df))
    assert two_sided == pytest.approx(0.0793941, abs=5e-8)
    assert test.verdict is Verdict.INCONCLUSIVE


def test_sleep_paired():
    test = equivalence_test(SLEEP_2, SLEEP_1, margin=0.5, paired=True)
    gap = mean_difference(np.array(SLEEP_2), np.array(SLEEP_1), paired=True)
    assert (test.difference + 0.5) / float(gap.se) == pytest.approx(-2.776644, abs=5e-7)
    assert (test.difference - 0.5) / float(gap.se) == pytest.approx(-5.347611, abs=5e-7)
    assert test.p_lower == pytest.approx(0.9892408, abs=5e-8)
    assert 2 * stats.t.sf(abs(float(gap.difference / gap.se)), 9) == pytest.approx(0.0028329, abs=5e-8)


def enumerate_up_to(monkeypatch, count):
    for module in ("permutation", "arrangements"):
        monkeypatch.setattr(f"pytest_kerasequiv.statistics.{module}.ENUMERATE_UP_TO", count)


def test_sleep_exact_permutation_of_means(monkeypatch):
    enumerate_up_to(monkeypatch, 200_000)
    assert equivalence_test(SLEEP_1, SLEEP_2).p_means == pytest.approx(0.0814480, abs=5e-8)
    assert equivalence_test(SLEEP_1, SLEEP_2, paired=True).p_means == 4 / 1024


# Darwin's maize, cross- minus self-fertilised, in eighths of an inch (Fisher 1935, section 21).
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_fishers_exact_test_of_darwins_maize(monkeypatch):
    enumerate_up_to(monkeypatch, 2**15)
    assert equivalence_test([0] * 15, DARWIN, paired=True).p_means == 1726 / 2**15
    gap = mean_difference(np.zeros(15), np.array(DARWIN, float), paired=True)
    assert float(gap.difference / gap.se) == pytest.approx(2.148, abs=5e-4)


def test_one_standard_deviation_wins_in_76_of_100_pairs():
    # The reason for the default margin: Bouthillier et al. 2021 propose P(A > B) = 0.75.
    quantiles = stats.norm.ppf((np.arange(500) + 0.5) / 500)
    assert equivalence_test(quantiles, quantiles + 1).superiority == pytest.approx(0.76, abs=0.002)


def test_auc_of_wellek_on_logs():
    reference, test_arm = np.log(AUC_REFERENCE), np.log(AUC_TEST)
    gap = mean_difference(reference, test_arm, paired=True)
    assert (float(gap.difference) - math.log(0.8)) / float(gap.se) == pytest.approx(3.382203, abs=5e-7)
    assert (float(gap.difference) - math.log(1.25)) / float(gap.se) == pytest.approx(-5.904174, abs=5e-7)
    test = equivalence_test(reference, test_arm, margin=math.log(1.25), paired=True)
    assert test.p_lower == pytest.approx(0.00305934, abs=5e-9)
    assert test.p_upper == pytest.approx(0.0000512477, abs=5e-11)
    assert math.exp(test.difference) == pytest.approx(0.941199, abs=5e-7)
    assert tuple(map(math.exp, test.ci90)) == pytest.approx((0.863374, 1.026040), abs=5e-7)
    assert test.verdict is Verdict.EQUIVALENT


def test_holm():
    adjusted = holm([0.520957, 0.0150731, 0.182551, 0.0162445, 0.0602940])
    assert adjusted == pytest.approx([0.520957, 0.0753657, 0.365102, 0.0753657, 0.180882], abs=5e-7)


@pytest.mark.parametrize(("n", "power"), [(8, 0.28871), (15, 0.69339), (30, 0.94326), (50, 0.99458)])
def test_power_of_pass(n, power):
    # PASS, "Two-Sample T-Tests for Equivalence": difference -4, sd 18, margin 19.2.
    assert equivalence_power(n, 19.2, 18, difference=-4) == pytest.approx(power, abs=5e-6)


def test_power_of_julious_for_a_crossover():
    # Julious 2004 and R PowerTOST: CV 0.3, ratio 0.95, 0.8 to 1.25, crossover of 40: power 0.816.
    sd = math.sqrt(math.log(1 + 0.3**2))
    # A crossover with N subjects has variance 2 sd^2 / N and N - 2 degrees of freedom: two groups
    # of N / 2 whose values have variance sd^2 / 2.
    power = equivalence_power(20, math.log(1.25), sd / math.sqrt(2), difference=math.log(0.95))
    assert power == pytest.approx(0.8158, abs=5e-4)


@pytest.mark.parametrize(
    ("k", "runs80", "runs90"), [(0.5, 70, 88), (0.75, 32, 40), (1.0, 18, 23), (1.5, 9, 11)]
)
def test_recommended_runs_unpaired(k, runs80, runs90):
    assert (required_runs(k), required_runs(k, power=0.9)) == (runs80, runs90)
    assert required_runs(f"{k}sd", sd=3.0) == runs80


def test_two_sds_take_fewer_runs_than_the_failure_guard():
    # The t-test alone takes 6 runs, 7 for 90 % power; below 9 runs EQUIVALENT is impossible.
    assert (
        equivalence_power(5, 2.0, 1.0)
        < 0.8
        < equivalence_power(6, 2.0, 1.0)
        < 0.9
        < equivalence_power(7, 2.0, 1.0)
    )
    assert required_runs(2.0) == required_runs(2.0, power=0.9) == 9


@pytest.mark.parametrize(
    ("correlation", "k", "runs80", "runs90"),
    [(0.5, 0.5, 36, 45), (0.5, 1.0, 11, 13), (0.9, 0.25, 29, 36), (0.9, 0.5, 9, 11)],
)
def test_recommended_runs_paired(correlation, k, runs80, runs90):
    found = [required_runs(k, power=power, paired=True, correlation=correlation) for power in (0.8, 0.9)]
    assert found == [runs80, runs90]


@pytest.mark.parametrize(("n", "sds"), [(5, 2.02), (10, 1.33), (20, 0.91), (30, 0.74)])
def test_detectable_difference(n, sds):
    assert detectable_difference(n, paired=False) == pytest.approx(sds, abs=0.006)


def test_five_runs():
    assert equivalence_test([0] * 5, [0] * 5, paired=True).p_equivalence == 1 / 32
    assert equivalence_test([0] * 5, [0] * 5).p_equivalence == pytest.approx(1 / 252)
    assert equivalence_test([0] * 5, [1] * 5).p_difference == pytest.approx(2 / 252)


def test_failure_guard_at_nine_and_twenty_runs():
    assert paired_failure_p(0, 0, 9) == pytest.approx(0.7**9)
    assert unpaired_failure_p(0, 0, 9, 9) == pytest.approx(0.7**9, rel=1e-9)
    assert unpaired_failure_p(0, 0, 8, 8) > 0.05
    assert undetected_rate(20, 0.05) == pytest.approx(0.139, abs=5e-4)


@pytest.mark.parametrize(("n", "error"), [(20, 0.0486), (40, 0.0402)])
def test_exact_error_of_the_failure_guard_over_the_looks(n, error):
    """Walk the discordant failures of pairs, each failing with probability .3, through the looks."""
    open_, total, before = {0: 1.0}, 0.0, 0
    for look in default_looks(n):
        step = look.n - before
        reached: dict[int, float] = {}
        for count, mass in open_.items():
            for more in range(step + 1):
                reached[count + more] = reached.get(count + more, 0) + mass * stats.binom.pmf(more, step, 0.3)
        passed = {count for count in reached if paired_failure_p(0, count, look.n) <= look.failure_level}
        total += sum(reached[count] for count in passed)
        open_, before = {count: mass for count, mass in reached.items() if count not in passed}, look.n
    assert total == pytest.approx(error, abs=5e-5)
