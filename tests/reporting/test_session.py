from __future__ import annotations

import json

import pytest

from pytest_kerasequiv import Report
from pytest_kerasequiv.reporting.session import SCHEMA, VERSION, SessionReport


@pytest.fixture(scope="session")
def session(equivalent: Report, different: Report, inconclusive: Report) -> SessionReport:
    return SessionReport((equivalent, different, inconclusive), "pytest --kerasequiv", "failed", {"seeds": 3})


def test_json_comes_back_as_it_went(session: SessionReport) -> None:
    text = session.to_json()
    again = SessionReport.from_json(text)
    assert again.to_json() == text
    assert (again.command, again.outcome, again.settings) == ("pytest --kerasequiv", "failed", {"seeds": 3})
    assert [pair.verdict for pair in again.pairs] == [pair.verdict for pair in session.pairs]
    assert again.pairs[1].findings == session.pairs[1].findings


def test_the_schema(session: SessionReport) -> None:
    data = json.loads(session.to_json())
    assert list(data) == ["schema", "version", "outcome", "command", "settings", "counts", "pairs"]
    assert (data["schema"], data["version"]) == (SCHEMA, VERSION)
    assert data["counts"] == {"EQUIVALENT": 1, "DIFFERENT": 1, "INCONCLUSIVE": 1}


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": "pytest-kerasequiv/session", "version": 99}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="this version reads"):
        SessionReport.from_json(text)
