"""Recordings of tests: where they are, and writing or renewing them with ``--kerasequiv-record``."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kerasequiv.counting import RENEW, counted_comparisons
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.plugin.options import renews
from pytest_kerasequiv.plugin.records import RENEWAL

if TYPE_CHECKING:
    from pytest_kerasequiv.building.twins import Twins

FOLDER = "recordings"
"""Name of the folder beside a test's file that holds the recordings it names."""

SUFFIX = ".kerasequiv"

RENEWED = pytest.StashKey[dict[Path, tuple[Any, bool]]]()
"""On the session: recording -> what was recorded into it, and whether with training."""


def recording_beside(file: Path, name: Any) -> Path:
    """Return the recording that a test or a declaration names.

    Args:
        file: the file of the test or of the declaration.
        name: ``"forecaster"`` for ``recordings/forecaster.kerasequiv`` beside it, or a path from there.

    Raises:
        InputError: it is no name.
    """
    if not isinstance(name, str | os.PathLike) or not str(name).strip():
        raise InputError(
            f'recording={name!r} names no recording; give it a name, recording="forecaster" for '
            f"{FOLDER}/forecaster{SUFFIX} beside {file.name}"
        )
    if Path(name).suffix == SUFFIX:
        return file.parent / name
    return file.parent / FOLDER / f"{os.fspath(name)}{SUFFIX}"


def renewing(item: pytest.Item) -> Generator[None, Any, Any]:
    """Renew the recordings that a test compares with, each once in a session, before they are read."""
    known = item.session.stash.setdefault(RENEWED, {})

    def renew(twins: Twins, *, training: Any, **settings: Any) -> None:
        path = twins.recording
        assert path is not None
        builder, with_training = known.get(path.resolve(), (None, False))
        if builder is twins.given[0] and (training is None or with_training):
            return
        told = _renewed(path, twins, training=training, seed=settings["seed"], inputs=settings["inputs"])
        if builder not in {None, twins.given[0]}:
            told["why"] = "another test of this session recorded another builder into it"
        known[path.resolve()] = twins.given[0], training is not None
        item.user_properties.append((RENEWAL, json.dumps(told)))

    token = RENEW.set(renew)
    try:
        return (yield)
    finally:
        RENEW.reset(token)


def _renewed(path: Path, twins: Twins, *, training: Any, **settings: Any) -> dict[str, str]:
    """Record the candidate of a pair in place of its reference, and tell what changed."""
    from pytest_kerasequiv.recording.archive import write
    from pytest_kerasequiv.recording.content import to_archive
    from pytest_kerasequiv.recording.taking import is_written, observed, with_runs_of

    candidate, options = twins.given
    told = {"path": str(path), "state": "written", "why": ""}
    content = with_runs_of(path, observed(candidate, training=training, **settings, **options))
    if path.exists():
        if is_written(path, content):
            return {**told, "state": "unchanged"}
        told = {**told, "state": "renewed", "why": _change(path, candidate, options, settings)}
    write(path, to_archive(content))
    return told


def _change(path: Path, candidate: Any, options: dict[str, Any], settings: dict[str, Any]) -> str:
    """Return the verdict and the first finding of what is recorded now against what was."""
    from pytest_kerasequiv.comparing import compare

    token = RENEW.set(None)
    try:
        with counted_comparisons():  # it is none of the test's
            report = compare(path, candidate, **options, **settings)
    except InputError as error:
        return f"not compared with what was there: {error}"
    finally:
        RENEW.reset(token)
    first = next((one for one in report.findings if one.severity == "difference"), None)
    what = "" if first is None else f": {first.check}: {first.message}"
    return f"{report.verdict.value}{what}"


class Renewals:
    """What the tests of a session told of the recordings that they wrote or renewed."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, str]] = {}

    def absorb(self, report: pytest.TestReport) -> None:
        """Take what a report tells off its properties."""
        for name, value in report.user_properties:
            if name == RENEWAL and isinstance(value, str):
                told = json.loads(value)
                before = self._told.get(told["path"])
                if before is None or before["state"] == "unchanged":
                    self._told[told["path"]] = told
        report.user_properties[:] = [entry for entry in report.user_properties if entry[0] != RENEWAL]

    def told(self, config: pytest.Config) -> Iterator[str]:
        """Yield a line for each recording, and one for each beside these that no test that ran names."""
        if not renews(config):
            return
        if not self._told:
            yield "kerasequiv: no test that ran compares with a recording, so none was written"
        for path, told in sorted(self._told.items()):
            why = f" ({' '.join(told['why'].split())})" if told["why"] else ""
            yield f"recording {told['state']}: {_shown(config, Path(path))}{why}"
        named = {Path(path).resolve() for path in self._told}
        for folder in sorted({path.parent for path in named}):
            for other in sorted(folder.glob(f"*{SUFFIX}")):
                if other.resolve() not in named:
                    yield f"recording not named by the tests that ran: {_shown(config, other)}"


def _shown(config: pytest.Config, path: Path) -> str:
    place = config.invocation_params.dir
    return os.path.relpath(path, place) if path.is_relative_to(place) else str(path)
