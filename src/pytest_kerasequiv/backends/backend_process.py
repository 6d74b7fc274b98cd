"""Processes in which Keras runs on another backend, one for each, and what they answer."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import pickle
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from pytest_kerasequiv.backends.backend_start import COMMAND, plugin_folder
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.supported import OBSERVING
from pytest_kerasequiv.training.executors.shipping import own_files_by_value

SECONDS_BETWEEN_LOOKS = 0.5
SHOWN_LINES = 30
"""Of what the process printed, at its end."""

NOISE = re.compile(r"WARNING: All log messages before absl|[IWE]\d{4} |\d{4}-\d\d-\d\d [\d:.]+: [IWE] ")
"""How lines begin that TensorFlow writes when it starts."""

NAMES: Mapping[str, str] = {"jax": "JAX", "torch": "PyTorch"}


class TheirTrace(Exception):  # noqa: N818 - shown as the cause of an error, never raised
    """The trace of what the user's code raised in the process."""


class BackendProcess:
    """A process of the same interpreter in which Keras runs on another backend.

    Args:
        backend: the backend.

    Raises:
        InputError: it is not installed.
    """

    def __init__(self, backend: str) -> None:
        if importlib.util.find_spec(backend) is None:
            raise InputError(
                f"backend={backend!r} needs {NAMES[backend]}, which is not installed here; install it: "
                f"pip install 'pytest-kerasequiv[{backend}]'"
            )
        self.backend = backend
        self._path = list(sys.path)
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", COMMAND, plugin_folder(), str(theirs.fileno())],
                env=os.environ | {"KERAS_BACKEND": backend, OBSERVING: backend},
                stdin=subprocess.DEVNULL,
                stdout=self._printed,
                stderr=self._printed,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        self._connection = Connection(ours.detach())
        self._connection.send_bytes(json.dumps(self._path).encode())

    def ask(self, question: bytes) -> Iterator[Any]:
        """Yield the answers to a question.

        Raises:
            InputError: there is none; the message says why.
        """
        try:
            self._connection.send_bytes(question)
            while True:
                kind, answer = self._answer()
                if kind == "done":
                    return
                if kind != "answer":
                    raise self._refusal(kind, *answer)
                yield answer
        except InputError:
            raise
        except BaseException:  # what was asked may still be answered, later and out of turn
            self.close()
            raise

    @property
    def runs(self) -> bool:
        """Whether it can be asked, and finds the modules that this process would."""
        alive = not self._connection.closed and self._process.poll() is None
        return alive and self._path == sys.path

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.kill()
        self._process.wait()
        self._printed.close()

    def _answer(self) -> tuple[str, Any]:
        try:
            while not self._connection.poll(SECONDS_BETWEEN_LOOKS):
                if self._process.poll() is not None:
                    raise EOFError
            kind, answer = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            said = f"its process ended with status {self._process.wait()}; it printed:\n{self._last_lines()}"
            return "raised", (said, "")
        return kind, answer

    def _refusal(self, kind: str, said: str, trace: str) -> InputError:
        error = InputError(f"with Keras on {self.backend}: {said}" if kind == "raised" else said)
        error.__cause__ = TheirTrace(f"with Keras on {self.backend}:\n{trace}") if trace else None
        return error

    def _last_lines(self) -> str:
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").splitlines()
        told = [line for line in lines if not NOISE.match(line)]
        return "\n".join(f"  {line}" for line in told[-SHOWN_LINES:]) or "  nothing"


_PROCESSES: dict[str, BackendProcess] = {}


def process_of(backend: str) -> BackendProcess:
    """Return the process of a backend, started when it is first asked for or ``sys.path`` is another.

    Raises:
        InputError: the backend is not installed.
    """
    known = _PROCESSES.get(backend)
    if known is None or not known.runs:
        if known is not None:
            known.close()
        known = _PROCESSES[backend] = BackendProcess(backend)
    return known


@atexit.register
def close_all() -> None:
    """End all processes."""
    while _PROCESSES:
        _PROCESSES.popitem()[1].close()


def shipped(what: str, value: Any) -> bytes:
    """Pickle what the process needs.

    Raises:
        InputError: it cannot be pickled.
    """
    with own_files_by_value():
        try:
            packed: bytes = cloudpickle.dumps(value)
        except Exception as error:
            raise InputError(
                f"{what} cannot be handed to the process of another backend ({type(error).__name__}: "
                f"{error}); make it of functions of an importable module that hold no open files or locks"
            ) from error
    return packed
