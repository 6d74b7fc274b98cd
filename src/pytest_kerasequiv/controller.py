"""The hooks of the process that ends the session: the only one, or the controller of xdist's workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kerasequiv.options import settings_of
from pytest_kerasequiv.travelling import carries_record

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_kerasequiv.ending import Ending


class Controller:
    """Loads what ends a session where there is something to end: results, or options of this plugin."""

    def __init__(self, config: pytest.Config, *, needed: bool) -> None:
        self._config = config
        self._needed = needed
        self._loaded: Ending | None = None

    @property
    def _ending(self) -> Ending | None:
        """What ends the session; ``None`` as long as nothing has come in that it would be needed for."""
        if self._loaded is None and self._needed:
            from pytest_kerasequiv.ending import Ending

            self._loaded = Ending(settings_of(self._config))
        return self._loaded

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a test's results before other plugins read its properties."""
        self._needed = self._needed or carries_record(report)
        if self._ending is not None:
            self._ending.absorb(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a session that is good so far but has not shown what it was asked for; write the report."""
        if self._ending is not None and not session.config.getoption("collectonly"):
            self._ending.finish(session, exitstatus)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print the section, and where the report was written."""
        if self._ending is not None:
            self._ending.summarise(terminalreporter)
