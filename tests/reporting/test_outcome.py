from __future__ import annotations

import pytest

from pytest_kerasequiv import Report
from pytest_kerasequiv.plugin.session_end import section
from pytest_kerasequiv.reporting.outcome import CONDONED, RUNNING, SHOWN_TESTS, EndedSession, Outcome
from pytest_kerasequiv.reporting.session import SessionReport


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (Outcome(), ""),
        (Outcome("passed"), ""),
        (Outcome("failed"), "Session failed"),
        (
            RUNNING,
            "Session running: this is replaced when it ends; where it stays, the session was killed",
        ),
        (Outcome("failed", ("a",), ("a",)), "Session failed: 1 test failed; it compared nothing"),
        (
            Outcome("failed", ("a", "b"), ("b",)),
            "Session failed: 2 tests failed; 1 of them compared nothing",
        ),
        (Outcome("interrupted", uncollected=("a", "b")), "Session interrupted: 2 errors during collection"),
        (Outcome("failed", ("a",), subtests=2), "Session failed: 1 test and 2 subtests failed"),
        (Outcome("failed", reason="no test ran"), "Session failed: no test ran"),
    ],
)
def test_one_sentence(outcome: Outcome, sentence: str) -> None:
    assert str(outcome) == sentence


def test_no_more_tests_are_named_than_there_is_room_for() -> None:
    tests = tuple(f"test_{i}" for i in range(SHOWN_TESTS + 3))
    (named,) = Outcome("failed", tests, tests).named.values()
    assert named == [*tests[:SHOWN_TESTS], "and 3 more"]


def test_the_terminal_says_the_same_of_a_condoned_pair(different: Report) -> None:
    assert f"    {CONDONED}" in list(section([different], not_failed=[different]))


def test_the_json_form_is_that_of_every_session(different: Report) -> None:
    outcome = Outcome("interrupted", ("a",), ("a",))
    session = EndedSession((different,), "pytest", "failed", ending=outcome, not_failed=(different,))
    assert session.to_json() == SessionReport((different,), "pytest", "failed").to_json()
