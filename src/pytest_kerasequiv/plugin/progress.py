"""How far a training is: a bar on a terminal, now and then a line elsewhere, nothing with ``-q``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kerasequiv.reporting.printable import printable_line

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from pytest_kerasequiv.training.runs import Progress

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def progress_of(config: pytest.Config, name: str) -> Iterator[Callable[[Progress], None] | None]:
    """Yield what a training of the pair ``name`` reports its progress to, ``None`` where nobody watches."""
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    if hasattr(config, "workerinput") or terminal is None or terminal.verbosity < 0:
        yield None
    elif not terminal.isatty:
        yield ProgressLines(config, terminal, name)
    else:
        bar = ProgressBar(config, name)
        try:
            yield bar
        finally:
            bar.close()


def past_capture(config: pytest.Config) -> AbstractContextManager[None]:
    """Return a context in which what is written reaches the terminal although pytest captures output."""
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    return nullcontext() if capture is None else capture.global_and_fixture_disabled()


class ProgressBar:
    """A bar with runs done, time left and the decision so far; gone when the training ends."""

    def __init__(self, config: pytest.Config, name: str) -> None:
        self._config = config
        self._name = name
        self._bar: Bar | None = None
        self._task: TaskID

    def __call__(self, progress: Progress) -> None:
        """Show how far a training is."""
        with past_capture(self._config):
            if self._bar is None:
                self._bar = _new_bar()
                self._task = self._bar.add_task(printable_line(self._name))
                self._bar.start()
            text = f"{printable_line(self._name)}: {progress.side}"
            shown = f"{text}, {progress.message}" if progress.message else text
            self._bar.update(self._task, completed=progress.done, total=progress.total, description=shown)
            self._bar.refresh()

    def close(self) -> None:
        """Wipe the bar."""
        if self._bar is not None:
            with past_capture(self._config):
                self._bar.stop()


def _new_bar() -> Bar:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("runs,"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    return Progress(
        *columns, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    )


class ProgressLines:
    """A plain line now and then, so that a long job in CI does not look dead."""

    def __init__(self, config: pytest.Config, terminal: Any, name: str) -> None:
        self._config = config
        self._terminal = terminal
        self._name = name
        self._due = time.monotonic() + SECONDS_BETWEEN_LINES

    def __call__(self, progress: Progress) -> None:
        """Say how far a training is, unless it was said a moment ago."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + SECONDS_BETWEEN_LINES
        done = f"{progress.done} of {progress.total} runs in {progress.seconds:.0f} s"
        line = f"kerasequiv: {printable_line(self._name)}: {done}"
        with past_capture(self._config):
            self._terminal.ensure_newline()
            self._terminal.write_line(f"{line}, {progress.message}" if progress.message else line)
            self._terminal.flush()
