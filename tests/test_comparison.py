"""The ladder's runner: which checks run, what a crash of one does, what the report says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_kerasequiv import InputError, Report, Training, Twins, Verdict, assert_equivalent, compare
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.comparison import Comparison, asked_checks
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind


def sequential():
    import keras

    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(2)])


def functional(units: int = 3):
    import keras

    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(2)(keras.layers.Dense(units, "relu")(x)))


def test_by_default_the_seven_cheap_checks_run() -> None:
    assert asked_checks(None, None) == LADDER.names[:-1]


def test_checks_run_in_the_order_of_the_ladder() -> None:
    assert asked_checks(["outputs", "summary"], None) == ("summary", "outputs")


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        ("outputs", r"checks='outputs' is one string"),
        (["output"], r"names 'output', which is no check; choose from summary, graph"),
        ([], r"checks=\[\] asks for nothing"),
        (["training"], r"training=None; pass training=Training"),
        (3, r"checks=3 is no list of names; choose from summary"),
        (True, r"checks=True is no list of names"),
    ],
)
def test_checks_that_cannot_be_run_are_refused(checks, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(sequential, functional, checks=checks)


@pytest.mark.parametrize("checks", [None, ["summary"], ["training"]])
@pytest.mark.parametrize("training", [5, True, {"seeds": 3}, (np.zeros(3), np.zeros(3)), Training])
def test_what_is_no_training_plan_is_refused(checks, training) -> None:
    with pytest.raises(InputError, match=r"training=.* is no plan; pass Training\(train, test"):
        compare(sequential, functional, checks=checks, training=training)


def test_the_same_model_twice_is_proved() -> None:
    report = assert_equivalent(sequential, functional)
    assert tuple(report.checks) == LADDER.names[:-1]
    assert report.verdict is Verdict.EQUIVALENT
    assert report.evidence is not None
    assert report.evidence.value == "PROVED"
    assert report.context["versions"]["keras"]


def test_a_difference_fails_with_the_report_as_message() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_equivalent(sequential, lambda: functional(5), checks=["summary", "graph", "weights"])
    assert "DIFFERENT" in str(caught.value)
    assert "units" in str(caught.value)


def test_twins_take_no_second_candidate() -> None:
    with pytest.raises(InputError, match="reference is a Twins already, so candidate, name"):
        compare(Twins(sequential, functional), functional, name="x")


def test_a_check_that_crashes_is_inconclusive_and_keeps_the_others() -> None:
    def crash(pair):
        raise RuntimeError("out of luck")

    comparison = Comparison(Twins(sequential, functional))
    crashing = Check("outputs", Kind.NUMERIC, run=crash)
    with LADDER.replaced([LADDER["summary"], crashing]):
        comparison.check("summary")
        result = comparison.check("outputs")
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "RuntimeError: out of luck" in result.findings[0].message
    report = comparison.report()
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report["summary"].verdict is Verdict.EQUIVALENT


def test_bad_input_is_not_swallowed() -> None:
    with pytest.raises(InputError, match="inputs"):
        compare(sequential, functional, inputs=np.full((2, 4), np.nan, "float32"), checks=["outputs"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("output", {}, r"names 'output', which is no check; choose from summary, graph"),
        (
            "outputs",
            {"rtoll": 1},
            r"option rtoll= is unknown to the check 'outputs'; it takes inputs, rtol",
        ),
        ("summary", {"steps": 1}, r"option steps= is unknown to the check 'summary'; it takes no options"),
        ("training", {}, r"pass training=Training"),
    ],
)
def test_a_misspelt_request_is_no_check_that_could_not_run(name, options, message: str) -> None:
    comparison = Comparison(Twins(sequential, functional))
    with pytest.raises(InputError, match=message):
        comparison.check(name, **options)
    assert comparison.results == {}


def parameters_differ(reference: int, candidate: int, _) -> CheckResult:
    if reference == candidate:
        return CheckResult("size", Verdict.EQUIVALENT, Evidence.MEASURED)
    message = f"{reference} parameters in the reference, {candidate} in the candidate"
    found = Finding("size", None, None, "parameters", reference, candidate, message)
    return CheckResult("size", Verdict.DIFFERENT, Evidence.MEASURED, (found,))


SIZE = Check(
    "size",
    Kind.NUMERIC,
    observe=lambda twin: twin.model.count_params(),
    compare=parameters_differ,
    next_step="count the units.",
)


def test_one_object_adds_a_check_from_outside() -> None:
    with LADDER.replaced(list(LADDER)):
        LADDER.add(SIZE)
        assert LADDER.names[-3:] == ("updates", "size", "training")
        report = compare(sequential, lambda: functional(5), checks=["summary", "size"])
        with pytest.raises(InputError, match="there is a check named 'size' already"):
            LADDER.add(SIZE)
    assert "size" not in LADDER
    assert report.verdict is Verdict.DIFFERENT
    text = str(report)
    assert "size: 23 parameters in the reference, 37 in the candidate" in text
    assert "Next: count the units." in text
    assert "<td>size</td>" in report._repr_html_()
    read = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert read["size"].kind is Kind.NUMERIC
    assert str(read) == text


@pytest.mark.parametrize(
    "parts", [{}, {"observe": len}, {"compare": len}, {"run": len, "observe": len, "compare": len}]
)
def test_a_check_has_two_halves_or_is_whole(parts) -> None:
    with pytest.raises(InputError, match="'size' needs observe= and compare=, or run="):
        Check("size", Kind.NUMERIC, **parts)
