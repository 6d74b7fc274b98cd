"""What a process of an export does when it is asked: record a builder, train its models."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import pickle
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pytest_kerasequiv.building.twins import OneSide
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.program import trace
from pytest_kerasequiv.recording.taking import record
from pytest_kerasequiv.revision.guard import Place, Strangers
from pytest_kerasequiv.revision.named import Named
from pytest_kerasequiv.revision.outside import Noted
from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.data import both_splits
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.setup import make_arms

Answer = Mapping[str, Any]

FRAMES = 6
"""Of a trace, the innermost: the user's own, below this package's."""


class Missing(Exception):  # noqa: N818 - an answer, not a fault
    """The revision has no such builder."""


class Strange(Exception):  # noqa: N818
    """Code was imported that is not the revision's."""


ENDS: Mapping[type[Exception], str] = {Missing: "missing", Strange: "strange", InputError: "input"}
"""How an answer ends that the user's code did not break."""


class Serving:
    """Answers the questions of a session.

    Args:
        connection: brings pickled questions, and takes JSON.
        place: where the code is.
        noted: what is read beside the code.
    """

    def __init__(self, connection: Connection, place: Place, noted: Noted) -> None:
        self._connection = connection
        self._place = place
        self._noted = noted
        self._strangers = Strangers(place)
        self._arms: dict[str, Arm] = {}

    def run(self, conftests: Sequence[str]) -> None:
        """Import what pytest imports first, then answer until the session closes the connection."""
        broken = self._told(map(_import_file, conftests))
        while True:
            question = self._connection.recv_bytes()
            self._say(broken or self._told(self._answers(question)) or {"end": "done"} | self._needs())

    def _answers(self, question: bytes) -> Iterator[Answer]:
        asked: dict[str, Any] = pickle.loads(question)
        builder = self._found(asked["builder"])
        options = asked["options"]
        if asked["what"] == "record":
            record(builder, asked["path"], **options)
            return
        name = asked["arm"]
        if asked["cache"] is not None:
            self._noted.leave_out(asked["cache"])
        if name not in self._arms:
            plan = self._plan(asked["plan"])
            self._arms[name] = _arm(builder, plan, options, asked["cache"])
        arm = self._arms[name]
        yield from ({"run": run.to_dict()} for run in arm.train(asked["seeds"]))
        yield {"reason": arm.reason}

    def _told(self, answers: Iterator[Any]) -> Answer | None:
        """Send answers; return how they ended where that was not well."""
        try:
            for answer in answers:
                self._refuse_strangers()
                if answer is not None:
                    self._say(answer)
            self._refuse_strangers()
        except Exception as error:
            sys.stdout.flush()
            traceback.print_exc(limit=-FRAMES)
            theirs = isinstance(error, InputError) and error.__cause__ is not None  # the user's code raised
            known = (end for kind, end in ENDS.items() if isinstance(error, kind) and not theirs)
            end = next(known, "raised")
            said = str(error) if isinstance(error, (*ENDS,)) else f"{type(error).__name__}: {error}"
            return {"end": end, "said": said} | self._needs()
        return None

    def _refuse_strangers(self) -> None:
        found = self._strangers.found()
        if found:
            raise Strange(", ".join(found))

    def _needs(self) -> dict[str, Any]:
        return {"needs": self._noted.needs().to_dict()}

    def _say(self, answer: Answer) -> None:
        sys.stdout.flush()
        self._connection.send_bytes(json.dumps(answer).encode())

    def _found(self, named: Named) -> Any:
        """Return the builder that the session asks about.

        Raises:
            Missing: the revision does not have it.
        """
        if ":" not in named.name:
            file = Path(self._place.tree, named.name)
            if not file.is_file():
                raise Missing(named.name)
            return str(file)
        found = self._imported(named)
        if named.arguments or named.keywords:
            return functools.partial(found, *named.arguments, **(named.keywords or {}))
        return found

    def _imported(self, named: Named) -> Any:
        module, _, name = named.name.partition(":")
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if not f"{module}.".startswith(f"{missing}.") or self._has_file(module, named.file):
                raise
            raise Missing(named.name) from error
        for part in name.split("."):
            if not hasattr(found, part):
                raise Missing(named.name)
            found = getattr(found, part)
        return found

    def _has_file(self, module: str, file: str) -> bool:
        """Tell whether the export has a file of that module, which just was not found."""
        inner = module.replace(".", os.sep)
        ends = (f"{os.sep}{inner}.py", f"{os.sep}{inner}{os.sep}__init__.py")
        tree = Path(self._place.tree)
        known = bool(file) and (tree / file).is_file()
        return known or any(str(path).endswith(ends) for path in tree.rglob("*.py"))

    def _plan(self, told: Any) -> Training:
        """Return the plan: that of the session, or one with the data that this code loads."""
        if isinstance(told, Training):
            return told
        try:
            load = self._found(Named(told["data"]))
        except Missing:
            if told["otherwise"] is None:
                raise
            otherwise: Training = told["otherwise"]
            return otherwise
        return Training(*both_splits(load(), told["data"]), **told["settings"])


def _import_file(file: str) -> None:
    """Import a conftest.py as pytest does; each has the same name, so none stays under it."""
    spec = importlib.util.spec_from_file_location("conftest", file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def _arm(builder: Any, plan: Training, options: Mapping[str, Any], cache: str | None) -> Arm:
    """Return what trains the models of a builder; finished runs are kept in a folder.

    Raises:
        InputError: the models cannot be trained as planned.
    """
    twins = OneSide(builder, **options)
    programs = {"reference": lambda: trace(twins.reference)}
    return make_arms(twins, plan, programs=programs, cache=cache)["reference"]
