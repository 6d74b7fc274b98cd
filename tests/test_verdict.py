"""The words of an answer."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from tests.common.results import result

from pytest_kerasequiv import verdict
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
    assert path.read_text().startswith('{\n  "format": 2,\n  ')
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


@pytest.mark.parametrize(
    ("kind", "decides", "runs"),
    [
        (Kind.INFORMING, False, False),
        (Kind.PROVING, False, False),
        (Kind.START, True, False),
        (Kind.NUMERIC, True, True),
        (Kind.STATISTICAL, True, True),
    ],
)
def test_what_the_answer_of_a_kind_counts_for(kind: Kind, decides: bool, runs: bool) -> None:
    assert (kind.decides, kind.runs) == (decides, runs)


@pytest.mark.parametrize("severity", ["difference", "note"])
def test_findings_are_made_in_two_ways(severity: str) -> None:
    made = getattr(Finding, severity)("graph", "rate", "they differ", layers=("a", "b"), values=(1, 2))
    assert made == Finding("graph", "a", "b", "rate", 1, 2, "they differ", severity)
    assert str(made) == "they differ"
    found = CheckResult("graph", Verdict.DIFFERENT, None, (made,))
    assert (found.differences, found.notes) == (((made,), ()) if severity == "difference" else ((), (made,)))


def test_findings_survive_json_and_no_evidence_stays_none() -> None:
    finding = Finding("graph", None, "b", "rate", 0.5, None, "they differ", "note")
    check = CheckResult("graph", Verdict.INCONCLUSIVE, None, (finding,), {"a": 1}, 2.0, Kind.START, "mend it")
    report = Report("pair", Verdict.INCONCLUSIVE, None, {"graph": check}, {}, {"outputs": "not asked for"})
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_a_check_that_was_not_run_says_why() -> None:
    report = Report("p", Verdict.DIFFERENT, None, {}, {}, {"updates": "outputs already differ"})
    with pytest.raises(KeyError, match="check 'updates' was not run: outputs already differ"):
        report["updates"]
    with pytest.raises(KeyError, match="check 'graph' is not in this report; it has: none"):
        report["graph"]


def test_weights_that_found_no_map_have_none() -> None:
    broken = CheckResult("weights", Verdict.INCONCLUSIVE, None)
    with pytest.raises(KeyError, match="the check 'weights' found no map of the weights"):
        Report("p", Verdict.INCONCLUSIVE, None, {"weights": broken}).weight_map  # noqa: B018


def test_the_map_of_weights_is_read_from_its_check() -> None:
    row = {
        "reference": "a/kernel",
        "candidate": "b/kernel",
        "reference_shape": [2, 1],
        "candidate_shape": [2, 1],
        "carried": "as it is",
        "by": "program",
    }
    figures = {"table": [row], "certain": True, "unmapped_reference": [], "unmapped_candidate": []}
    check = CheckResult("weights", Verdict.EQUIVALENT, None, (), figures)
    (mapped,) = Report("p", Verdict.EQUIVALENT, None, {"weights": check}).weight_map
    assert (mapped.reference, mapped.candidate) == ("a/kernel", "b/kernel")


def test_a_picture_is_written_to_its_path(tmp_path, monkeypatch) -> None:
    drawn: list[Path] = []
    known = {verdict.PICTURE_OF: lambda name: name, "graph": lambda _figures, path: drawn.append(path)}
    monkeypatch.setattr(verdict, "resolve_name", known.__getitem__)
    path = result("graph", Verdict.DIFFERENT).plot(str(tmp_path / "x.svg"))
    assert [path] == drawn == [tmp_path / "x.svg"]


def test_a_picture_of_another_suffix_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"pictures are written as \.svg or \.png"):
        result("graph", Verdict.DIFFERENT).plot(tmp_path / "x.pdf")


def test_a_report_is_shown_as_text_and_saved_as_a_page(tmp_path) -> None:
    assert str(sample_report()).startswith("EQUIVALENT (measured): pair")
    page = sample_report().save(tmp_path / "r.html").read_text(encoding="utf-8")
    assert page == sample_report()._repr_html_()
    assert "<section" in page


def test_answers_cannot_be_changed() -> None:
    report = sample_report()
    finding = Finding.note("graph", "rate", "told")
    for one, field in ((report, "verdict"), (report["graph"], "verdict"), (finding, "severity")):
        with pytest.raises(FrozenInstanceError):
            setattr(one, field, "other")


def test_a_result_of_which_little_is_told_claims_nothing() -> None:
    bare = CheckResult("graph", Verdict.EQUIVALENT, None)
    told = CheckResult("graph", Verdict.EQUIVALENT, None, (), {}, 0.0, Kind.NUMERIC, "")
    assert bare == told
