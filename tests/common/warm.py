"""Sessions of pytest as forks of one process that has imported what they need: that takes most of their time.

This file is also what that process runs. It imports TensorFlow, but starts no thread and computes nothing.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Running:
    """One session, as a `subprocess.Popen` whose output goes to a file."""

    def __init__(self, pid: int, output: Path, answers: Any) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._output = output
        self._answers = answers

    def poll(self, seconds: float = 0.0) -> int | None:
        """Return the exit status, or ``None`` where it still runs after some seconds."""
        if self.returncode is None and select.select([self._answers], [], [], seconds)[0]:
            self.returncode = int(self._answers.readline())
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, None]:
        """Wait for the end, and return the output."""
        if self.poll(timeout) is None:
            raise subprocess.TimeoutExpired("pytest", timeout, self.output())
        return self.output(), None

    def output(self) -> str:
        """Return what was printed so far."""
        return self._output.read_text(encoding="utf-8")

    def send_signal(self, number: int) -> None:
        """Send a signal to the session's first process."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, if it still runs."""
        self.send_signal(signal.SIGKILL)
        self.poll(60)


class WarmSessions:
    """Starts sessions, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._last: Running | None = None

    def start(
        self, folder: Path, options: Sequence[str], *, output: Path, environment: Mapping[str, str]
    ) -> Running:
        """Start ``python -m pytest`` in a folder; where the last session still runs, that is ended."""
        self._end_last()
        asked = {"folder": str(folder), "options": [*options], "output": str(output)}
        line = json.dumps(asked | {"environment": dict(environment)})
        stdin, answers = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert answers is not None
        stdin.write(f"{line}\n".encode())
        self._last = Running(int(answers.readline()), output, answers)
        return self._last

    def close(self) -> None:
        """End the process, and the last session."""
        self._end_last()
        self._process.kill()
        self._process.communicate()

    def _end_last(self) -> None:
        if self._last is not None:
            self._last.kill()


def serve() -> int:
    """Fork a session for each line of stdin, print its process id and then its exit status."""
    import pytest

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.common.in_process import load_package

    load_package()
    answers = os.dup(1)
    for line in sys.stdin:
        session = os.fork()
        if not session:
            os.close(answers)
            _become(json.loads(line))
            return pytest.console_main()
        os.write(answers, b"%d\n" % session)
        status = os.waitstatus_to_exitcode(os.waitpid(session, 0)[1])
        os.write(answers, b"%d\n" % status)
    return 0


def _become(asked: dict[str, Any]) -> None:
    """Let this process be as if it had just been started."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    tempfile.tempdir = None
    for path, flags, numbers in (
        (os.devnull, os.O_RDONLY, (0,)),
        (asked["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, (1, 2)),
    ):
        opened = os.open(path, flags, 0o666)
        for number in numbers:
            os.dup2(opened, number)
        os.close(opened)
    sys.path[:2] = [asked["folder"]]
    sys.argv = ["pytest", *asked["options"]]


if __name__ == "__main__":
    sys.exit(serve())
