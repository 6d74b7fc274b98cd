"""The end of a session: gather the results, shut the gate, write the report, print the section."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kerasequiv.ledger import Ledger
from pytest_kerasequiv.settings import Settings
from pytest_kerasequiv.terminal import section

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

NOTHING_RAN = (
    "--kerasequiv was given but no equivalence check ran: nothing was compared, so nothing was shown.\n"
    "Use the keras_twins fixture, assert_equivalent, parametrize_with_checks or [[tool.kerasequiv.twins]],\n"
    "select the tests that do, or drop --kerasequiv."
)
NOTHING_DECIDED = (
    "differences that summary, graph or program found were left to numeric checks, but none of these ran:\n"
)
GATE = "kerasequiv-gate"
GOOD_SO_FAR = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


class Ending:
    """What happens where a session ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger = Ledger()
        self._written: list[Path] = []

    def absorb(self, report: pytest.TestReport) -> None:
        """Take the results off a test's report."""
        self._ledger.absorb(report)

    def finish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a session that is good so far but has not shown what it was asked for; write the report."""
        why = self._why_shut() if exitstatus in GOOD_SO_FAR else ""
        if why:
            _log_failure(session.config, why)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._settings.report is not None:
            self._write(session, self._settings.report)

    def summarise(self, terminal: TerminalReporter) -> None:
        """Print the section, and where the report was written."""
        pairs = self._ledger.pairs() if self._settings.enabled else []
        if not pairs and not self._written:
            return
        terminal.write_sep("=", "equivalence of Keras models")
        for line in section(pairs, condoned=self._ledger.condoned()):
            terminal.write_line(line)
        for path in self._written:
            terminal.write_line(f"written: {path}")

    def _why_shut(self) -> str:
        if self._settings.enabled and not self._ledger.executed:
            return NOTHING_RAN
        unsettled = self._ledger.unsettled()
        return NOTHING_DECIDED + "\n".join(str(report) for report in unsettled) if unsettled else ""

    def _write(self, session: pytest.Session, folder: Path) -> None:
        from pytest_kerasequiv.reporting.files import append_summary, write_session
        from pytest_kerasequiv.reporting.session import SessionReport

        report = SessionReport(
            pairs=tuple(self._ledger.pairs()),
            command=shlex.join(["pytest", *map(str, session.config.invocation_params.args)]),
            outcome="passed" if session.exitstatus == pytest.ExitCode.OK else "failed",
            settings=self._settings.shown,
        )
        try:
            self._written = write_session(report, session.config.invocation_params.dir / folder)
            if os.environ.get("GITHUB_STEP_SUMMARY"):
                append_summary(report, Path(os.environ["GITHUB_STEP_SUMMARY"]))
        except OSError as error:
            _log_failure(
                session.config, f"--kerasequiv-report {folder}: the report cannot be written: {error}"
            )
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
