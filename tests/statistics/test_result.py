"""The sentences that a decision gives for itself, and its text."""

from dataclasses import replace

import numpy as np
import pytest

from pytest_kerasequiv.statistics.equivalence import equivalence_test
from pytest_kerasequiv.statistics.result import bound_text, margin_text, p_text, reasons_for
from pytest_kerasequiv.verdict import Verdict

RUNS = np.random.default_rng(0).normal(10, 1, (2, 12))
PLAIN = replace(
    equivalence_test(*RUNS, paired=True),
    difference=0.5,
    level=0.05,
    margin=0.25,
    margin_kind="absolute",
    margin_label="0.25",
    p_lower=0.01,
    p_upper=0.2,
    p_difference_holm=0.003,
    p_means=0.1,
    p_spread=0.1,
    p_failure=0.2,
    failure_level=0.05,
    sd_ratio=1.5,
    certified_bound=None,
    certified_label=None,
    recommended_runs=None,
    runs_at_difference=None,
    detectable=False,
    spread_differs=False,
    failures_differ=False,
)


def arm(failed, runs=12):
    return replace(PLAIN.reference, values=(1.0,) * runs, failed=failed)


SHOWN = "the means are shown to differ by less than the margin of 0.25"
NOT_ONE = "the runs do not have one distribution (p = 0.003): "
NOT_SHOWN = "12 runs do not show the means to be within 0.25 (p = 0.2)"
NO_NUMBER = "no feasible number of runs shows equivalence within this margin; choose a larger one"
EQUAL = "twins with equal means and this spread pass with 30 runs in 80 % of cases"
SPREAD = (
    "the spread differs: the candidate's standard deviation is 1.5 times the reference's (p = 0.1), so equal "
    "means would not make the twins equivalent"
)
WITHOUT = (
    "12 runs without a failure cannot exclude that one twin fails 30 % more often than the other; EQUIVALENT "
    "needs at least 9 runs"
)
MANY = "more than half of the runs failed (reference 7, candidate 0, of 12)"
SOME = (
    "failures: 6 reference and 2 candidate runs of 12 failed, so that failure rates 30 percentage points "
    "apart are not excluded (p = 0.2, level 0.05)"
)
TOO_NEAR = "; the reference mean is too near 0, or the twins too far apart, for any relative margin"
PERCENT = NOT_SHOWN.replace("0.25", "0.25 (10% of the reference mean)")


@pytest.mark.parametrize(
    ("verdict", "told", "reasons"),
    [
        ("EQUIVALENT", {}, [SHOWN]),
        (
            "EQUIVALENT",
            {"detectable": True},
            [SHOWN, "a difference is detectable (p = 0.003) but lies inside the margin"],
        ),
        ("DIFFERENT", {}, [f"{NOT_ONE}the candidate's mean is higher by 0.5"]),
        ("DIFFERENT", {"difference": -0.5}, [f"{NOT_ONE}the candidate's mean is lower by 0.5"]),
        (
            "DIFFERENT",
            {"p_means": 0.11},
            [f"{NOT_ONE}the candidate's standard deviation is 1.5 times the reference's"],
        ),
        (
            "DIFFERENT",
            {"p_means": 0.11, "p_spread": 0.11},
            [f"{NOT_ONE}the two distributions have different shapes"],
        ),
        (
            "DIFFERENT",
            {"reference": arm(1), "failures_differ": False},
            [f"{NOT_ONE}the candidate's mean is higher by 0.5"],
        ),
        (
            "DIFFERENT",
            {"reference": arm(7), "failures_differ": True},
            [f"{NOT_ONE}7 reference runs failed and 0 candidate runs", MANY],
        ),
        (
            "DIFFERENT",
            {"failures_differ": True, "spread_differs": True},
            [f"{NOT_ONE}the candidate's mean is higher by 0.5", SPREAD, WITHOUT],
        ),
        ("INCONCLUSIVE", {}, [NOT_SHOWN, NO_NUMBER]),
        ("INCONCLUSIVE", {"spread_differs": True}, [SPREAD, NOT_SHOWN, NO_NUMBER]),
        ("INCONCLUSIVE", {"spread_differs": True, "p_upper": 0.05}, [SPREAD]),
        (
            "INCONCLUSIVE",
            {"reference": arm(6), "candidate": arm(2), "failures_differ": True, "p_upper": 0.0},
            [SOME],
        ),
        (
            "INCONCLUSIVE",
            {"certified_bound": 0.5, "certified_label": "0.5", "recommended_runs": 30},
            [
                f"{NOT_SHOWN}; they do show them to be within 0.5",
                f"{EQUAL}, but the difference observed lies beyond the margin; more runs may show DIFFERENT",
            ],
        ),
        ("INCONCLUSIVE", {"recommended_runs": 30, "runs_at_difference": 30}, [NOT_SHOWN, EQUAL]),
        (
            "INCONCLUSIVE",
            {"recommended_runs": 30, "runs_at_difference": 31},
            [NOT_SHOWN, f"{EQUAL}; were the observed difference the true one, with 31"],
        ),
        (
            "INCONCLUSIVE",
            {"margin_kind": "relative", "margin_label": "10%"},
            [PERCENT + TOO_NEAR, NO_NUMBER],
        ),
        (
            "INCONCLUSIVE",
            {"margin_kind": "relative", "margin_label": "10%", "spread_differs": True},
            [SPREAD, PERCENT, NO_NUMBER],
        ),
    ],
)
def test_the_reasons(verdict, told, reasons):
    test = replace(PLAIN, reference=arm(0), candidate=arm(0), verdict=Verdict(verdict))
    assert list(reasons_for(replace(test, **told))) == reasons


@pytest.mark.parametrize(
    ("kind", "label", "text"),
    [
        ("absolute", "0.25", "0.25"),
        ("sd", "1 sd", "0.25 (1 reference sd)"),
        ("relative", "10%", "0.25 (10% of the reference mean)"),
    ],
)
def test_margins_are_told_in_units_of_the_metric_and_as_asked_for(kind, label, text):
    assert margin_text(replace(PLAIN, margin_kind=kind, margin_label=label)) == text
    bound = replace(PLAIN, margin_kind=kind, certified_bound=0.25, certified_label=label)
    assert bound_text(bound) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.0123, "= 0.012"), (1e-4, "= 0.0001"), (9.9e-5, "< 0.0001"), (0.0, "< 0.0001")]
)
def test_tiny_p_values_are_told_by_their_bound(p, text):
    assert p_text(p) == text


def test_the_text_of_a_decision():
    test = replace(
        PLAIN,
        verdict=Verdict.INCONCLUSIVE,
        ci90=(-0.1, 1.1),
        ci95=(-0.2, 1.2),
        p_difference=0.00001,
        effect_size=0.4567,
        superiority=0.625,
        alpha=0.05,
        detectable_difference=0.75,
        undetected_failure_rate=0.2209,
        reference=replace(arm(1), mean=1.0, sd=2.0, median=3.0, min=4.0, max=5.0),
        candidate=arm(0),
        fail_value=9.0,
        looks=(10, 12),
        reasons=("first", "word " * 30),
        unusual=("run 3 failed",),
    )
    lines = str(test).splitlines()
    assert lines[0] == "INCONCLUSIVE: candidate - reference = +0.5, margin 0.25"
    assert lines[1:4] == ["  first", "  " + "word " * 18 + "word", "  " + "word " * 10 + "word"]
    head, row = lines[5], lines[6]
    assert head.split() == ["runs", "failed", "mean", "sd", "median", "min", "max"]
    assert row.split() == ["reference", "12", "1", "1", "2", "3", "4", "5"]
    assert len(head) == len(row) == 84
    assert lines[8:] == [
        "",
        "difference   +0.5, 90 % CI [-0.1, 1.1], 95 % CI [-0.2, 1.2]",
        "equivalence  p = 0.2 (not lower: p = 0.01, not higher: p = 0.2), alpha = 0.05",
        "difference   p < 0.0001, Holm p = 0.003 (exact permutation test)",
        "effect       d = 0.457, P(candidate > reference) = 0.62, sd ratio 1.5",
        "certified    no margin would pass",
        "power        finds a mean difference of 0.75 in 80 % of cases; equal twins need more runs than",
        "             feasible",
        "blind spot   a failure in up to 22.1 % of runs can stay unseen in 12 runs",
        "note         run 3 failed",
        "note         failed runs are counted as 9, the worst value seen or given",
        "note         paired by seed, 12 runs, looks at 10, 12",
    ]
    other = str(
        replace(
            test,
            level=0.02,
            paired=False,
            looks=(12,),
            fail_value=None,
            recommended_runs=30,
            certified_bound=0.5,
            certified_label="0.5",
        )
    )
    for part in ("level 0.02 of alpha = 0.05", "unpaired, 12 runs", "equal twins need 30 runs a twin"):
        assert part in other
    assert "means within 0.5: the smallest margin that would pass" in other
    assert "looks at" not in other
    assert "counted as" not in other
