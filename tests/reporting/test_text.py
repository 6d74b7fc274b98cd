from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_kerasequiv import CheckResult, Evidence, Finding, Report, Verdict
from pytest_kerasequiv.reporting import html
from pytest_kerasequiv.reporting.causes import culprit
from pytest_kerasequiv.reporting.text import headline, metric_table, metrics, next_step, render
from pytest_kerasequiv.verdict import Kind


def test_lines_are_at_most_100_columns(equivalent: Report, different: Report, inconclusive: Report) -> None:
    for report in (equivalent, different, inconclusive):
        assert max(len(line) for line in render(report).splitlines()) <= 100


def test_a_failure_fits_a_screen(different: Report) -> None:
    finding = Finding("outputs", "m/a", "m/a", "value", 1, 2, "\n".join(["many"] * 30))
    findings = tuple(replace(finding, reference=number) for number in range(40))
    outputs = replace(different["outputs"], findings=findings)
    long = replace(different, checks={**different.checks, "outputs": outputs})
    text = render(long)
    assert len(text.splitlines()) <= 60
    assert "and 36 more differences: see report.findings" in text


def test_a_finding_is_cut_between_the_lines_of_its_message(different: Report) -> None:
    def told(message: str) -> list[str]:
        finding = Finding("outputs", "m/x", "m/x", "mask", 1, 2, message)
        outputs = replace(different["outputs"], findings=(*different["outputs"].findings, finding))
        text = render(replace(different, checks={**different.checks, "outputs": outputs})).splitlines()
        start, end = (
            next(i for i, line in enumerate(text) if mark in line) for mark in ("m/x: ", "other findings")
        )
        return [line.strip() for line in text[start:end]]

    assert told("one\ntwo\nthree\nfour") == ["outputs: m/x: one", "two", "three ..."]
    assert told("one\ntwo") == ["outputs: m/x: one", "two"]
    long = told(f"one\n{'two ' * 60}")
    assert long == ["outputs: m/x: one ..."], "a line that has no room is left out as a whole"


def test_a_setting_that_several_checks_name_is_said_once(different: Report) -> None:
    found = different["graph"].findings[0]
    blamed = replace(found, check="gradients", message="computes other numbers")
    gradients = CheckResult("gradients", Verdict.DIFFERENT, Evidence.MEASURED, (blamed,))
    text = render(replace(different, checks={**different.checks, "gradients": gradients}))
    assert "computes other numbers" not in text
    other = replace(gradients, findings=(replace(blamed, candidate=0.4),))
    assert "computes other numbers" in render(
        replace(different, checks={**different.checks, "gradients": other})
    )


def test_what_the_table_of_metrics_says_is_not_said_twice(inconclusive: Report) -> None:
    said = Finding("training", None, None, "loss", 1.0, 1.1, "loss: in words", "note")
    outlier = Finding("training", None, None, "loss", None, None, "loss: a run far from the others", "note")
    for verdict, twice in (("EQUIVALENT", False), ("INCONCLUSIVE", True)):
        metric = {**metrics(inconclusive)["loss"], "verdict": verdict}
        training = replace(
            inconclusive["training"], findings=(said, outlier), figures={"metrics": {"loss": metric}}
        )
        text = render(replace(inconclusive, checks={"training": training}))
        assert ("in words" in text) is twice
        assert "far from the others" in text


def test_the_headline_names_pair_verdict_evidence_and_sides(equivalent: Report) -> None:
    line = "EQUIVALENT (statistical): forecaster [models:sequential against models:functional]"
    assert headline(equivalent) == line
    assert render(equivalent).splitlines()[0] == line


def test_one_line_says_for_which_entries_a_proof_holds(equivalent: Report) -> None:
    def proved(entries: list[str]) -> Report:
        program = CheckResult(
            "program", Verdict.EQUIVALENT, Evidence.PROVED, (), {"entries": entries}, kind=Kind.PROVING
        )
        return replace(equivalent, checks={"program": program})

    assert "\n  proved for: inference, training\n" in f"{render(proved(['inference', 'training']))}\n"
    many = [f"free axes of {size}" for size in range(10)]
    (line,) = (line for line in render(proved(many)).splitlines() if "proved for" in line)
    assert line.endswith("free axes of 3 and 6 more")
    assert len(line) <= 100
    assert all(entry in html.render(proved(many)) for entry in many)


def test_nothing_is_said_to_be_proved_where_it_was_not(different: Report) -> None:
    assert "proved for" not in render(different)


def test_a_long_headline_drops_the_sides(equivalent: Report) -> None:
    assert headline(replace(equivalent, name="x" * 60)) == f"EQUIVALENT (statistical): {'x' * 60}"


def test_sides_of_one_name_tell_nothing(equivalent: Report) -> None:
    lambdas = {**equivalent.context, "reference": "<lambda>", "candidate": "<lambda>"}
    assert headline(replace(equivalent, context=lambdas)) == "EQUIVALENT (statistical): forecaster"


def test_the_setting_that_explains_the_numbers_is_the_culprit(different: Report) -> None:
    first = culprit(different)
    assert first is not None
    assert (first.check, first.field) == ("graph", "rate")


def test_a_changed_layer_that_no_number_accuses_is_not(different: Report) -> None:
    elsewhere = replace(different["graph"].findings[0], reference_layer="m/other", candidate_layer="m/other")
    checks = {**different.checks, "graph": replace(different["graph"], findings=(elsewhere,))}
    first = culprit(replace(different, checks=checks))
    assert first is not None
    assert first.check == "graph", "numbers that differ somewhere follow from what is changed anywhere"
    blamed = replace(different["outputs"].findings[0], message="computes other numbers from the same inputs")
    checks["outputs"] = replace(different["outputs"], findings=(blamed,))
    first = culprit(replace(different, checks=checks))
    assert first is not None
    assert first.check == "outputs"


def test_advice_on_tolerances_is_given_for_values_alone(different: Report) -> None:
    value = Finding("outputs", "m/a", "m/a", "value", 1, 2, "m/a is off")
    for finding, advised in ((value, True), (replace(value, field="training"), False)):
        advice = "mend it or pass rtol"
        outputs = replace(different["outputs"], findings=(finding,), kind=Kind.NUMERIC, next_step=advice)
        told = next_step(replace(different, checks={"outputs": outputs}))
        assert told == (advice if advised else "")


@pytest.mark.parametrize("field", ["shape", "outputs"])
def test_no_tolerance_is_advised_for_another_form(different: Report, field: str) -> None:
    finding = Finding("outputs", None, None, field, 1, 2, "the candidate returns something else")
    outputs = replace(different["outputs"], findings=(finding,), next_step="mend it or pass rtol")
    told = next_step(replace(different, checks={"outputs": outputs}))
    assert told
    assert "rtol" not in told


def test_notes_are_no_culprit(equivalent: Report) -> None:
    assert culprit(equivalent) is None
    assert "- note, graph: layer a/relu (ReLU) has no counterpart" in render(equivalent)


def test_a_message_without_its_layer_gets_it() -> None:
    finding = Finding("outputs", "m/a", "m/b", "value", 1, 2, "far off")
    result = CheckResult("outputs", Verdict.DIFFERENT, Evidence.MEASURED, (finding,))
    report = Report("pair", Verdict.DIFFERENT, Evidence.MEASURED, {"outputs": result})
    assert "outputs: m/a / m/b: far off" in render(report)


def test_the_table_of_metrics(inconclusive: Report) -> None:
    head, row = metric_table(metrics(inconclusive))
    assert head.split() == [
        "metric",
        "reference",
        "candidate",
        "difference",
        "[90",
        "%",
        "interval]",
        "margin",
        "verdict",
    ]
    cells = ["loss", "2", "±", "1", "2.5", "±", "1", "0.5", "[-1,", "2]", "±1", "(1", "sd)", "INCONCLUSIVE"]
    assert row.split() == cells


def test_a_table_that_is_too_wide_has_fewer_digits(inconclusive: Report) -> None:
    wide = {**metrics(inconclusive)["loss"], "difference": -0.0012345, "ci90": [-0.0123456, 0.0012345]}
    row = metric_table({"loss": wide})[1]
    assert "-0.001234 [-0.01235, 0.001234]" in row
    assert "-0.00123 [-0.0123, 0.00123]" in metric_table({"loss": wide}, len(row) - 1)[1]
    assert "-0.0012 [-0.012, 0.0012]" in metric_table({"loss": wide}, len(row) - 5)[1]


def test_the_name_of_a_metric_stays_in_its_cell(inconclusive: Report) -> None:
    figures = metrics(inconclusive)["loss"]
    head, forged, long = metric_table({"mae\nEQUIVALENT\x1b[2J": figures, "y" * 10_000: figures})
    assert forged.startswith("mae\\nEQUIVALENT\\x1")
    assert long.startswith("y" * 15)
    assert max(len(line) for line in (head, forged, long)) <= 100


def test_names_of_pair_and_sides_forge_no_line(different: Report) -> None:
    named = replace(different, name="pair\nEQUIVALENT", context={"reference": "a\nb", "candidate": "c\td"})
    assert headline(named).endswith("pair\\nEQUIVALENT [a\\nb against c\\td]")


def test_next_steps(equivalent: Report, different: Report, inconclusive: Report) -> None:
    assert next_step(equivalent) == ""
    assert next_step(different) == "", "the setting and both its values are named"
    unexplained = replace(
        different, checks={"outputs": replace(different["outputs"], next_step="look there")}
    )
    assert next_step(unexplained) == "look there"
    assert "neither a pass nor a difference" in next_step(inconclusive)
    assert "about 18 are recommended" in next_step(inconclusive)


def test_what_broke_is_named_in_the_next_step() -> None:
    finding = Finding("outputs", None, None, "error", None, None, "the check could not run: OSError: gone")
    result = CheckResult("outputs", Verdict.INCONCLUSIVE, None, (finding,), {"traceback": "..."})
    report = Report("pair", Verdict.INCONCLUSIVE, None, {"outputs": result})
    assert "The check outputs could not run" in next_step(report)
    assert "OSError: gone" in render(report)


def test_metrics_of_failed_runs_and_constants(inconclusive: Report) -> None:
    failed = {"values": ["nan", "nan"], "failed": 2, "mean": 0.0, "sd": 0.0}
    metric = {**metrics(inconclusive)["loss"], "margin": 5e-06, "margin_label": "5e-06 (constant)"}
    _, row = metric_table({"loss": {**metric, "candidate": failed}})
    assert "all runs failed" in row
    assert "±5e-06 (constant)" in row
    assert len(row) < 100


def test_more_seeds_are_not_the_advice_where_most_runs_failed(inconclusive: Report) -> None:
    failed = {"values": [1.0, "nan", "nan"], "failed": 2}
    metric = {**metrics(inconclusive)["loss"], "candidate": failed}
    training = replace(inconclusive["training"], figures={"metrics": {"loss": metric}})
    step = next_step(replace(inconclusive, checks={"training": training}))
    assert "find out why they do" in step
    assert "recommended" not in step
