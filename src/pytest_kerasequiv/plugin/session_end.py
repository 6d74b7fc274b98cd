"""The end of a session: gather the results, shut the gate, write the report, print the section."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kerasequiv.plugin.command_line import repeatable, without_user
from pytest_kerasequiv.plugin.ledger import Ledger
from pytest_kerasequiv.plugin.recordings import Renewals
from pytest_kerasequiv.plugin.records import carries_record
from pytest_kerasequiv.plugin.settings import Settings
from pytest_kerasequiv.plugin.then_and_now import revision_of
from pytest_kerasequiv.reporting.outcome import CONDONED
from pytest_kerasequiv.reporting.printable import name_in, printable, printable_line
from pytest_kerasequiv.reporting.revisions import against_revision, revision_lines
from pytest_kerasequiv.reporting.text import cause_lines, in_form_only, luck_lines, metric_table, metrics
from pytest_kerasequiv.verdict import Report, Verdict

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_kerasequiv.reporting.outcome import EndedSession, Outcome


NOTHING_RAN = (
    "--kerasequiv was given but no equivalence check ran: nothing was compared, so nothing was shown.\n"
    "What a test or one of its fixtures compares counts, not what a module compares when it is imported.\n"
    "Use the keras_twins fixture, assert_equivalent, parametrize_with_checks or [[tool.kerasequiv.twins]],\n"
    "select the tests that do, or drop --kerasequiv."
)
NOTHING_AGAINST = (
    "no builder was compared with that revision, so nothing was shown.\n"
    "Declared twins are, and keras_twins(build) with one builder; select these, or drop the option."
)
NOTHING_DECIDED = (
    "differences that summary, graph or program found were left to numeric checks, but none of these ran:\n"
)
GATE = "kerasequiv-gate"
GOOD_SO_FAR = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


class SessionEnd:
    """What happens where a session ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger = Ledger()
        self._failures = Failures()
        self._renewals = Renewals()
        self._written: list[Path] = []

    def begin(self, session: pytest.Session) -> None:
        """Replace the report of an earlier session, so that one that is killed leaves none of these."""
        if self._settings.report is None:
            return
        from pytest_kerasequiv.reporting.files import announce_session
        from pytest_kerasequiv.reporting.outcome import RUNNING

        report = self._session_report(session, "running", RUNNING)
        announce_session(report, session.config.invocation_params.dir / self._settings.report)

    def absorb(self, report: pytest.TestReport) -> None:
        """Take the results off a test's report."""
        self._renewals.absorb(report)
        self._failures.absorb(report)
        self._ledger.absorb(report)

    def note_uncollected(self, nodeid: str) -> None:
        """Note what could not be collected; with xdist each worker tells of it."""
        self._failures.uncollected[nodeid] = None

    def finish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a session that is good so far but has not shown what it was asked for; write the report."""
        why = self._why_shut() if exitstatus in GOOD_SO_FAR else ""
        if why:
            _fail(session, why)
        if self._settings.report is not None:
            self._write(session, self._settings.report, why)

    def summarise(self, terminal: TerminalReporter) -> None:
        """Print the section, and where the report was written."""
        for line in self._renewals.told(terminal.config):
            terminal.write_line(printable_line(line))
        pairs = self._ledger.pairs() if self._settings.enabled else []
        against = list(revision_lines(self._against(terminal.config)))
        if not pairs and not against and not self._written:
            return
        terminal.write_sep("=", "equivalence of Keras models")
        for line in section(pairs, not_failed=self._ledger.not_failed()):
            terminal.write_line(line)
        for line in against:
            terminal.write_line(printable_line(line))
        for path in self._written:
            terminal.write_line(f"written: {path}")

    def _why_shut(self) -> str:
        if self._settings.enabled and not self._ledger.executed and not self._ledger.new:
            return NOTHING_RAN
        if self._settings.enabled and self._settings.against and not self._against():
            return f"--kerasequiv-against {self._settings.against}: {NOTHING_AGAINST}"
        unsettled = self._ledger.unsettled()
        return NOTHING_DECIDED + "\n".join(str(report) for report in unsettled) if unsettled else ""

    def _against(self, config: pytest.Config | None = None) -> dict[str, Any]:
        revision = None if config is None else revision_of(config)
        told = "" if revision is None else revision.told()
        return against_revision(self._ledger.pairs(), self._ledger.new, told)

    def _write(self, session: pytest.Session, folder: Path, why: str) -> None:
        from pytest_kerasequiv.reporting.files import append_summary, write_session

        ending = self._failures.outcome(session.exitstatus, why)
        report = self._session_report(session, ending.how, ending)
        try:
            self._written = write_session(report, session.config.invocation_params.dir / folder)
        except OSError as error:
            _fail(
                session,
                f"--kerasequiv-report {folder}: the report cannot be written: {error}\n"
                "What lies there is not the report of this session.",
            )
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if not summary:
            return
        try:
            append_summary(report, Path(summary))
        except OSError as error:
            _fail(
                session,
                f"GITHUB_STEP_SUMMARY={summary}: the summary cannot be appended to this file: {error}\n"
                "Make it writable, or unset the variable.",
            )

    def _session_report(self, session: pytest.Session, outcome: str, ending: Outcome) -> EndedSession:
        from pytest_kerasequiv.reporting.outcome import EndedSession

        return EndedSession(
            pairs=tuple(self._ledger.pairs()),
            command=repeatable(session.config),
            outcome=outcome,
            settings={
                name: without_user(value) if isinstance(value, str) else value
                for name, value in self._settings.shown.items()
            },
            ending=ending,
            not_failed=tuple(self._ledger.not_failed()),
            against=self._against(session.config),
        )


class Failures:
    """The tests of a session that failed, and which of them compared something."""

    def __init__(self) -> None:
        self.uncollected: dict[str, None] = {}
        self._failed: dict[str, int] = {}
        """Node id of a failed test -> how many of its subtests failed."""
        self._compared: set[str] = set()

    def absorb(self, report: pytest.TestReport) -> None:
        """Note a test's outcome; its last run counts."""
        if report.when == "setup":
            self._failed.pop(report.nodeid, None)
            self._compared.discard(report.nodeid)
        if report.failed and report.nodeid != GATE:
            is_subtest = getattr(report, "context", None) is not None
            self._failed[report.nodeid] = self._failed.get(report.nodeid, 0) + is_subtest
        if carries_record(report):
            self._compared.add(report.nodeid)

    def outcome(self, exitstatus: int, why: str) -> Outcome:
        """Return how the session came out.

        Args:
            exitstatus: pytest's exit code.
            why: why the gate is shut, empty where it is open.
        """
        from pytest_kerasequiv.reporting.outcome import Outcome

        if exitstatus == pytest.ExitCode.OK:
            return Outcome("passed")
        return Outcome(
            how="interrupted" if exitstatus == pytest.ExitCode.INTERRUPTED else "failed",
            failed=tuple(self._failed),
            uncompared=tuple(test for test in self._failed if test not in self._compared),
            uncollected=tuple(self.uncollected),
            subtests=sum(self._failed.values()),
            reason=why.partition("\n")[0].rstrip(".:") or _rare(exitstatus),
        )


def _rare(exitstatus: int) -> str:
    """Return what an exit code means where it says more than failed and interrupted do."""
    rare = {
        pytest.ExitCode.INTERNAL_ERROR: "an internal error of pytest",
        pytest.ExitCode.USAGE_ERROR: "pytest was called wrongly",
        pytest.ExitCode.NO_TESTS_COLLECTED: "no test ran",
    }
    return {int(code): meaning for code, meaning in rare.items()}.get(int(exitstatus), "")


def _fail(session: pytest.Session, why: str) -> None:
    _log_failure(session.config, why)
    session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _log_failure(config: pytest.Config, why: str) -> None:
    """Log the gate as a failed test, so that the terminal, JUnit XML and the exit code say the same.

    The plugins that remember failed tests for the next session are left out: there is no such test to repeat.
    The terminal has shown 100 % already, so it is told without another letter in its row.
    """
    report = pytest.TestReport(
        nodeid=GATE,
        location=(GATE, None, GATE),
        keywords={},
        outcome="failed",
        longrepr=why,
        when="call",
    )
    manager = config.pluginmanager
    names = ("lfplugin", "stepwiseplugin", "terminalreporter")
    left_out = [plugin for name in names if (plugin := manager.get_plugin(name))]
    manager.subset_hook_caller("pytest_runtest_logreport", left_out)(report=report)
    terminal: TerminalReporter | None = manager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.stats.setdefault("failed", []).append(report)


WIDTH = 100


def section(pairs: Iterable[Report], not_failed: Collection[Report] = ()) -> Iterator[str]:
    """Yield the section: per pair its verdict, evidence, checks and seconds, then its metrics.

    Args:
        pairs: the pairs.
        not_failed: those of them that are not EQUIVALENT though no test failed over them.
    """
    for report in pairs:
        yield _headline(report)
        yield from (f"    {printable(line)}" for line in cause_lines(report, WIDTH - 4))
        yield from _answers(report)
        if report.not_run:
            why = ", ".join(dict.fromkeys(report.not_run.values()))
            yield f"    {'not run:':<14}{' '.join(report.not_run)} ({why})"
        if report in not_failed:
            yield f"    {CONDONED}"
        yield from (f"    {printable(line)}" for line in metric_table(metrics(report), WIDTH - 4))
        seen = luck_lines(metrics(report), WIDTH - 4, seen_only=True)
        yield from (f"    {printable(line)}" for line in seen)


def _answers(report: Report) -> Iterator[str]:
    """Yield for each answer the checks that gave it."""
    form = [name for name, result in report.checks.items() if in_form_only(report, result)]
    for verdict in Verdict:
        names = [n for n, result in report.checks.items() if result.verdict is verdict and n not in form]
        if names:
            yield f"    {verdict.value + ':':<14}{' '.join(names)}"
    if form:
        yield f"    {'other form:':<14}{' '.join(form)} (the function is the same)"


def _headline(report: Report) -> str:
    seconds = sum(result.seconds for result in report.checks.values())
    evidence = f" ({report.evidence.value.lower()})" if report.evidence else ""
    checks = f"{len(report.checks)} check{'s' if len(report.checks) != 1 else ''}"
    right = f"{checks}, {seconds:.1f} s"
    left = f"{report.verdict.value}{evidence}"
    room = WIDTH - 26 - len(right) - 1
    return f"{left:<26}{name_in(report.name, room):<{room}} {right}"
