"""The rule that makes one verdict of many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.common.results import result

from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.deciding import overall
from pytest_kerasequiv.verdict import CONTRADICTED, CheckResult, Evidence, Finding, Kind, Report, Verdict

DECIDING = tuple(check.name for check in LADDER if check.kind.decides)


def decide(**verdicts: str) -> tuple[Verdict, Evidence | None]:
    short = {"E": Verdict.EQUIVALENT, "D": Verdict.DIFFERENT, "I": Verdict.INCONCLUSIVE}
    evidence = {"program": Evidence.PROVED, "training": Evidence.STATISTICAL}
    results = [
        result(name, short[letter], evidence.get(name, Evidence.MEASURED) if letter != "I" else None)
        for name, letter in verdicts.items()
    ]
    verdict, shown, _ = overall(results)
    return verdict, shown


def test_a_proved_program_with_equal_initialisation_is_equivalent_whatever_the_structure_says() -> None:
    assert decide(summary="D", graph="D", program="E", weights="E", outputs="I") == (
        Verdict.EQUIVALENT,
        Evidence.PROVED,
    )


@pytest.mark.parametrize("name", DECIDING)
def test_a_difference_in_numbers_or_weights_wins_over_a_proof(name: str) -> None:
    verdicts = {"program": "E", "weights": "E"} | {name: "D"}
    assert decide(**verdicts)[0] is Verdict.DIFFERENT


def test_without_a_proof_every_numeric_check_must_agree() -> None:
    assert decide(program="I", weights="E", outputs="E", gradients="E") == (
        Verdict.EQUIVALENT,
        Evidence.MEASURED,
    )
    assert decide(program="I", weights="E", outputs="E", gradients="I")[0] is Verdict.INCONCLUSIVE
    assert decide(program="I", weights="I", outputs="E")[0] is Verdict.INCONCLUSIVE


def test_a_proof_does_not_hide_a_check_that_broke() -> None:
    proof = [result("program", Verdict.EQUIVALENT, Evidence.PROVED), result("weights", Verdict.EQUIVALENT)]
    broken = replace(result("updates", Verdict.INCONCLUSIVE, None), figures={"traceback": "OSError: gone"})
    assert overall([*proof, broken])[0] is Verdict.INCONCLUSIVE
    assert overall([*proof, broken, result("outputs", Verdict.DIFFERENT)])[0] is Verdict.DIFFERENT


def test_a_proof_does_not_hide_a_training_that_is_undecided() -> None:
    assert decide(program="E", weights="E", training="I") == (Verdict.INCONCLUSIVE, None)
    assert decide(program="E", weights="E", training="E")[0] is Verdict.EQUIVALENT


def test_what_contradicts_a_proof_makes_the_whole_inconclusive() -> None:
    found = Finding.difference("program", CONTRADICTED, "outputs differ")
    program = CheckResult("program", Verdict.INCONCLUSIVE, None, (found,), kind=Kind.PROVING)
    numbers = [result("weights", Verdict.EQUIVALENT), result("outputs", Verdict.DIFFERENT)]
    assert overall([program, *numbers])[:2] == (Verdict.INCONCLUSIVE, None)


def test_training_makes_the_evidence_statistical() -> None:
    assert decide(weights="E", outputs="E", training="E") == (Verdict.EQUIVALENT, Evidence.STATISTICAL)
    assert decide(training="I") == (Verdict.INCONCLUSIVE, None)


def test_a_refactored_structure_becomes_notes_where_the_numbers_agree() -> None:
    results = [result("graph", Verdict.DIFFERENT), result("outputs", Verdict.EQUIVALENT)]
    verdict, _, checks = overall(results)
    assert verdict is Verdict.EQUIVALENT
    assert [f.severity for f in checks[0].findings] == ["note"]
    assert checks[0].verdict is Verdict.DIFFERENT


def test_structure_alone_decides_where_nothing_else_was_asked() -> None:
    assert decide(summary="E", graph="D")[0] is Verdict.DIFFERENT
    assert decide(summary="E", graph="E") == (Verdict.EQUIVALENT, Evidence.MEASURED)
    assert decide(graph="I")[0] is Verdict.INCONCLUSIVE
    assert decide(program="E") == (Verdict.EQUIVALENT, Evidence.PROVED)


def test_nothing_checked_is_not_equivalent() -> None:
    assert overall([])[0] is Verdict.INCONCLUSIVE


@given(st.dictionaries(st.sampled_from(LADDER.names), st.sampled_from("EDI"), min_size=1))
def test_equivalent_needs_a_deciding_check_that_says_so(verdicts: dict[str, str]) -> None:
    verdict, evidence = decide(**verdicts)
    deciding = [letter for name, letter in verdicts.items() if name in DECIDING]
    if verdict is Verdict.EQUIVALENT:
        assert "D" not in deciding
        assert "E" in verdicts.values()
        assert evidence is not None
    if "D" in deciding:
        assert verdict is Verdict.DIFFERENT


def of_one_skeleton(severity: str, numbers: Verdict, **tolerance: Any) -> list[CheckResult]:
    message = "the programs are the same but for 50 against 100 at Minimum in a/clip"
    found = Finding("program", "a/clip", "b/clip", "constant", "50", "100", message, severity)  # type: ignore[arg-type]
    return [
        CheckResult("program", Verdict.INCONCLUSIVE, None, (found,), kind=Kind.PROVING),
        CheckResult("weights", Verdict.EQUIVALENT, Evidence.MEASURED, kind=Kind.START),
        replace(result("outputs", numbers), figures=tolerance),
    ]


def test_one_skeleton_whose_constants_no_number_shows_is_inconclusive() -> None:
    verdict, evidence, checks = overall(of_one_skeleton("difference", Verdict.EQUIVALENT))
    assert (verdict, evidence) == (Verdict.INCONCLUSIVE, None)
    (finding,) = checks[0].findings
    assert "no input tried reaches it" in finding.message
    assert "accept=('clip.constant',)" in finding.message


def test_what_no_number_shows_is_told_to_be_so_where_float64_is_missing() -> None:
    tolerance = {"origin": "default", "only": "float32", "why": "'cast' rounds to float32 inside the model"}
    verdict, _, checks = overall(of_one_skeleton("difference", Verdict.EQUIVALENT, tolerance=tolerance))
    assert verdict is Verdict.INCONCLUSIVE
    told = "no number shows it in float32 alone ('cast' rounds to float32 inside the model)"
    assert told in checks[0].findings[0].message


def test_one_skeleton_whose_constants_rounding_explains_is_equivalent() -> None:
    verdict, evidence, _ = overall(of_one_skeleton("note", Verdict.EQUIVALENT))
    assert (verdict, evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED)


def test_one_skeleton_whose_numbers_differ_is_different_and_the_constant_comes_first() -> None:
    verdict, _, checks = overall(of_one_skeleton("difference", Verdict.DIFFERENT))
    assert verdict is Verdict.DIFFERENT
    report = Report("pair", verdict, Evidence.MEASURED, {one.name: one for one in checks})
    assert report.findings[0].field == "constant"
    assert "no input" not in report.findings[0].message


@pytest.mark.parametrize(("headroom", "verdict"), [(2.0, "EQUIVALENT"), (None, "INCONCLUSIVE")])
def test_a_tolerance_that_was_given_covers_a_constant_whose_effect_was_measured(
    headroom: float | None, verdict: str
) -> None:
    results = of_one_skeleton(
        "difference", Verdict.EQUIVALENT, tolerance={"origin": "given"}, headroom=headroom
    )
    assert overall(results)[0] == verdict


def test_what_is_accepted_is_no_proof() -> None:
    program, *others = of_one_skeleton("note", Verdict.EQUIVALENT)
    accepted = replace(program, verdict=Verdict.EQUIVALENT, evidence=Evidence.MEASURED)
    assert overall([accepted, *others])[:2] == (Verdict.EQUIVALENT, Evidence.MEASURED)
