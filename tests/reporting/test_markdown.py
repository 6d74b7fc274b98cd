from __future__ import annotations

from pytest_kerasequiv import Report
from pytest_kerasequiv.reporting.markdown import escaped, render
from pytest_kerasequiv.reporting.outcome import CONDONED, EndedSession, Outcome
from pytest_kerasequiv.reporting.session import SessionReport


def test_a_line_per_pair_then_what_differs_then_metrics(
    equivalent: Report, different: Report, inconclusive: Report
) -> None:
    text = render(SessionReport((equivalent, different, inconclusive), command="pytest --kerasequiv"))
    lines = text.splitlines()
    assert "| forecaster | EQUIVALENT | statistical | 3 | 12.8 |" in lines
    assert "| shy | **INCONCLUSIVE** |  | 1 | 12.5 |" in lines
    assert any(line.startswith("- layer m/") for line in lines)
    assert "- other findings of outputs follow from it" in lines
    assert sum(line.startswith("- Next:") for line in lines) == 1, "only where there is something to do"
    assert any(line.startswith("| mae |") and line.endswith("| EQUIVALENT |") for line in lines)
    assert "Repeat with `pytest --kerasequiv`" in lines
    assert len(lines) < 60


def test_names_stay_text(different: Report) -> None:
    text = render(SessionReport((different,)))
    assert "<script>" not in text
    assert "\\<script\\>" in text
    row = next(line for line in text.splitlines() if line.startswith("| pair "))
    assert row.replace("\\|", "").count("|") == 6


def test_escaping() -> None:
    assert escaped("a|b\n<i> [x](y) `z`") == "a\\|b \\<i\\> \\[x\\]\\(y\\) \\`z\\`"


def test_nothing_ran() -> None:
    assert "No equivalence check ran." in render(SessionReport(()))


def test_the_outcome_comes_first_and_names_stay_text(equivalent: Report, different: Report) -> None:
    outcome = Outcome("failed", failed=("a", "b[<i>|`]"), uncompared=("b[<i>|`]",))
    session = EndedSession((equivalent, different), ending=outcome, not_failed=(different,))
    lines = render(session).splitlines()
    assert lines[2] == "**Session failed: 2 tests failed; 1 of them compared nothing**"
    assert lines.index("- b\\[\\<i\\>\\|\\`\\]") < lines.index(
        "| pair | verdict | evidence | checks | seconds |"
    )
    assert lines.count(f"- {CONDONED}") == 1


def test_of_a_session_read_from_a_file_the_outcome_is_known(equivalent: Report) -> None:
    written = SessionReport((equivalent,), outcome="failed").to_json()
    assert render(SessionReport.from_json(written)).splitlines()[2] == "**Session failed**"
    assert "Session" not in render(SessionReport((equivalent,), outcome="passed"))
