"""How a session came out: what pytest alone knows at its end, for the pages that people read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_kerasequiv.reporting.session import SessionReport
from pytest_kerasequiv.verdict import Report

CONDONED = "expected failure, or kerasequiv_inconclusive = warn"
"""What is said of a pair that is not EQUIVALENT though no test failed over it."""

SHOWN_TESTS = 20


@dataclass(frozen=True)
class Outcome:
    """How a session came out.

    Attributes:
        how: ``"running"``, ``"passed"``, ``"failed"`` or ``"interrupted"``, ``""`` where that is not known.
        failed: node ids of the failed tests.
        subtests: how many subtests of them failed, which pytest counts beside the tests.
        uncompared: those of them that compared nothing.
        uncollected: node ids of what could not be collected.
        reason: what else there is to say: why the gate is shut, or how pytest calls its exit code.
    """

    how: str = ""
    failed: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()
    uncollected: tuple[str, ...] = ()
    reason: str = ""
    subtests: int = 0

    def __str__(self) -> str:
        """One sentence; nothing of a session that passed."""
        if self.how in {"", "passed"}:
            return ""
        parts = "; ".join(self._parts())
        return f"Session {self.how}: {parts}" if parts else f"Session {self.how}"

    def _parts(self) -> Iterator[str]:
        if self.failed:
            more = f" and {_counted(self.subtests, 'subtest')}" if self.subtests else ""
            yield f"{_counted(len(self.failed), 'test')}{more} failed"
        if self.uncompared:
            yield f"{'it' if len(self.failed) == 1 else f'{len(self.uncompared)} of them'} compared nothing"
        if self.uncollected:
            yield _counted(len(self.uncollected), "error") + " during collection"
        if self.reason:
            yield self.reason

    @property
    def named(self) -> dict[str, list[str]]:
        """Titles of the tests that no pair tells of, and their node ids, so many as there is room for."""
        titles = {
            "Failed without a comparison": self.uncompared,
            "Could not be collected": self.uncollected,
        }
        return {title: _shortened(tests) for title, tests in titles.items() if tests}


RUNNING = Outcome("running", reason="this is replaced when it ends; where it stays, the session was killed")
"""How a session comes out that has only begun."""


@dataclass(frozen=True)
class EndedSession(SessionReport):
    """The report of a session that pytest ran; its JSON form is that of every `SessionReport`.

    Attributes:
        ending: how it came out.
        not_failed: the pairs that are not EQUIVALENT though no test failed over them.
    """

    ending: Outcome = field(default_factory=Outcome)
    not_failed: tuple[Report, ...] = ()


def ended(session: SessionReport) -> EndedSession:
    """Return the session with its end; of one that was read from a file no more is known than its outcome."""
    if isinstance(session, EndedSession):
        return session
    return EndedSession(
        session.pairs,
        session.command,
        session.outcome,
        session.settings,
        session.against,
        Outcome(session.outcome),
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"


def _shortened(tests: tuple[str, ...]) -> list[str]:
    more = [f"and {len(tests) - SHOWN_TESTS} more"] if len(tests) > SHOWN_TESTS else []
    return [*tests[:SHOWN_TESTS], *more]
