"""The words of an answer."""

from __future__ import annotations

import json

import pytest
from tests.common.results import result

from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Report, Verdict


def sample_report() -> Report:
    checks = {
        "graph": result("graph", Verdict.DIFFERENT),
        "outputs": CheckResult("outputs", Verdict.EQUIVALENT, Evidence.MEASURED, (), {"headroom": 7.5}, 0.25),
    }
    return Report("pair", Verdict.EQUIVALENT, Evidence.MEASURED, checks, {"seed": 0})


def test_a_report_survives_json() -> None:
    report = sample_report()
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_a_report_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 99"):
        Report.from_dict(sample_report().to_dict() | {"format": 99})


def test_a_check_that_did_not_run_is_named_with_those_that_did() -> None:
    with pytest.raises(KeyError, match="'gradients' is not in this report; it has: graph, outputs"):
        sample_report()["gradients"]


def test_saving_goes_by_suffix(tmp_path) -> None:
    path = sample_report().save(tmp_path / "r.json")
    assert Report.from_dict(json.loads(path.read_text())) == sample_report()
    with pytest.raises(ValueError, match=r"saved as \.json or \.html"):
        sample_report().save(tmp_path / "r.pdf")


def test_a_result_without_a_picture_says_so(tmp_path) -> None:
    with pytest.raises(ValueError, match="'outputs' has no picture"):
        sample_report()["outputs"].plot(tmp_path / "x.svg")


def test_differences_come_before_notes() -> None:
    note = Finding("summary", None, None, "layer", None, None, "a note", "note")
    first = CheckResult("summary", Verdict.EQUIVALENT, Evidence.MEASURED, (note,), kind=Kind.INFORMING)
    report = Report(
        "p", Verdict.DIFFERENT, None, {"summary": first, "graph": result("graph", Verdict.DIFFERENT)}
    )
    assert [f.severity for f in report.findings] == ["difference", "note"]
