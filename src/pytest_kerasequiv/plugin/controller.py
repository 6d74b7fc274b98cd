"""The hooks of the process that ends the session: the only one, or the controller of xdist's workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kerasequiv.plugin.records import carries_record

RUNS_NO_TEST = (
    "collectonly",
    "showfixtures",
    "show_fixtures_per_test",
    "setuponly",
    "setupplan",
    "cacheshow",
)
"""Options of pytest (by their names in the code) with which a session shows something and runs no test."""

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_kerasequiv.plugin.session_end import SessionEnd


class Controller:
    """Loads what ends a session where there is something to end: results, or options of this plugin."""

    def __init__(self, config: pytest.Config, *, needed: bool) -> None:
        self._config = config
        self._needed = needed
        self._loaded: SessionEnd | None = None

    @property
    def _ending(self) -> SessionEnd | None:
        """What ends the session; ``None`` as long as nothing has come in that it would be needed for."""
        if self._loaded is None and self._needed:
            from pytest_kerasequiv.plugin.session_end import SessionEnd
            from pytest_kerasequiv.plugin.settings import settings_of

            self._loaded = SessionEnd(settings_of(self._config))
        return self._loaded

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Let the report say that the session runs."""
        if self._ending is not None and not _runs_no_test(session.config):
            self._ending.begin(session)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a test's results before other plugins read its properties."""
        self._needed = self._needed or carries_record(report)
        if self._ending is not None:
            self._ending.absorb(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected."""
        if report.failed and self._ending is not None:
            self._ending.note_uncollected(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a session that is good so far but has not shown what it was asked for; write the report."""
        if self._ending is not None and not _runs_no_test(session.config):
            self._ending.finish(session, exitstatus)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print the section, and where the report was written."""
        if self._ending is not None:
            self._ending.summarise(terminalreporter)


def _runs_no_test(config: pytest.Config) -> bool:
    """Tell whether a session was only to show something; the plugin that has an option may be blocked."""
    return any(config.getoption(name, default=False) for name in RUNS_NO_TEST)
