"""A process with the code of a revision, and what it answers."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.revision.export import Export, export
from pytest_kerasequiv.revision.repository import Commit, Repository
from pytest_kerasequiv.revision.start import COMMAND, plugin_folder
from pytest_kerasequiv.revision.surroundings import surroundings
from pytest_kerasequiv.revision.temporary import TemporaryFolder

SECONDS_BETWEEN_LOOKS = 0.5
SHOWN_LINES = 60
"""Of what the process printed, at its end."""

NOISE = re.compile(r"WARNING: All log messages before absl|[IWE]\d{4} |\d{4}-\d\d-\d\d [\d:.]+: [IWE] ")
"""How lines begin that TensorFlow writes when it starts."""


class NoSuchBuilderError(InputError):
    """The revision does not have the builder."""


class RevisionProcess:
    """A process of the same interpreter that imports the project from an export of a revision.

    Args:
        repository: the repository.
        commit: the revision.

    Raises:
        InputError: the revision cannot be exported.
    """

    def __init__(self, repository: Repository, commit: Commit) -> None:
        self._commit = commit
        self._folder = TemporaryFolder()
        try:
            self._export = export(repository, commit, self._folder)
            self._start(repository.top, self._export)
        except BaseException:
            self._folder.close()
            raise

    def _start(self, top: Path, exported: Export) -> None:
        around = surroundings(top, exported)
        ours, theirs = socket.socketpair()
        with theirs, (self._folder.path / "printed").open("wb") as printed:
            self._process = self._folder.start(
                [sys.executable, "-P", "-c", COMMAND, plugin_folder(), str(theirs.fileno())],
                cwd=around.folder,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(around.python_path)},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                pass_fds=[theirs.fileno()],
            )
        self._connection = Connection(ours.detach())
        told = {"place": asdict(around.place), "path": around.path, "conftests": around.conftests}
        self._connection.send_bytes(json.dumps(told).encode())

    def ask(self, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield what the process answers, the last answer among it.

        Raises:
            InputError: it could not; the message says why, and what the process printed.
        """
        packed = _packed(question)
        with contextlib.suppress(BrokenPipeError):
            self._connection.send_bytes(packed)
        while True:
            answer = self._answer()
            if answer.get("end", "done") != "done":
                raise self._refusal(answer)
            yield answer
            if "end" in answer:
                return

    def close(self) -> None:
        """End the process and remove the export."""
        self._connection.close()
        self._folder.close()
        self._process.wait()

    def _answer(self) -> Mapping[str, Any]:
        try:
            while not self._connection.poll(SECONDS_BETWEEN_LOOKS):
                if self._process.poll() is not None:
                    raise EOFError
            answer: Mapping[str, Any] = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            return {"end": "died", "said": f"its process ended with status {self._process.wait()}"}
        return answer

    def _refusal(self, answer: Mapping[str, Any]) -> InputError:
        end, said = answer["end"], answer["said"]
        where = f"at revision {self._commit}"
        if end == "missing":
            return NoSuchBuilderError(f"{said} does not exist {where}")
        if end == "strange":
            return InputError(
                f"code that is not the revision's was imported {where}, so nothing is compared: {said}. "
                "Import the project by its package name, from folders of the repository"
            )
        if end == "input":
            return InputError(f"{where}: {said}{self._pointers()}")
        return InputError(
            f"{where}: {said.rstrip('.')}.{self._pointers()} It sees only files that git tracks; "
            f"its working folder is an export. It printed:\n{self._printed()}"
        )

    def _pointers(self) -> str:
        pointers = self._export.pointers
        if not pointers:
            return ""
        named = ", ".join(pointers[:3]) + (f" and {len(pointers) - 3} more" if len(pointers) > 3 else "")
        return f" (files of Git LFS without their content in this clone: {named}; run git lfs fetch)"

    def _printed(self) -> str:
        lines = (self._folder.path / "printed").read_text(errors="replace").splitlines()
        told = [line for line in lines if not NOISE.match(line)]
        return "\n".join(f"  {line}" for line in told[-SHOWN_LINES:]) or "  nothing"


def _packed(question: Mapping[str, Any]) -> bytes:
    """Pickle a question; what is of the project goes by its name, and is the revision's there.

    Raises:
        InputError: something in it has no such name.
    """
    for what, value in question.items():
        try:
            pickle.dumps(value)
        except Exception as error:
            raise InputError(
                f"{what} cannot be handed to the code of another revision ({type(error).__name__}: {error}); "
                "use functions and classes at the top of a module"
            ) from error
    return pickle.dumps(dict(question))
