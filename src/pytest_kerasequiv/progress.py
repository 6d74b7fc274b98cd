"""The progress line while trainings run: on a terminal only, and never from a worker of xdist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def progress_of(config: pytest.Config, name: str) -> Iterator[Callable[[Any], None] | None]:
    """Yield what a training of the pair ``name`` reports its progress to, ``None`` where nobody watches."""
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    if hasattr(config, "workerinput") or terminal is None or not terminal.isatty:
        yield None
        return
    line = ProgressLine(config, terminal, name)
    try:
        yield line
    finally:
        line.clear()


class ProgressLine:
    """One line that is written over and over, past pytest's capturing."""

    def __init__(self, config: pytest.Config, terminal: Any, name: str) -> None:
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._terminal = terminal
        self._name = name
        self._shown = False

    def __call__(self, progress: Any) -> None:
        """Show how far a training is."""
        text = (
            f"{self._name}: {progress.side} {progress.done}/{progress.total} runs, {progress.seconds:.0f} s"
        )
        self._write(text if not progress.message else f"{text}, {progress.message}")
        self._shown = True

    def clear(self) -> None:
        """Wipe the line."""
        if self._shown:
            self._write("")

    def _write(self, text: str) -> None:
        width = self._terminal._tw.fullwidth - 1
        if self._capture is None:
            self._terminal.rewrite(text[:width], erase=True)
            return
        with self._capture.global_and_fixture_disabled():
            self._terminal.rewrite(text[:width], erase=True)
            self._terminal.flush()
