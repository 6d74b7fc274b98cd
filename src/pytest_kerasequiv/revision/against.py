"""Comparing a builder with the same builder at a git revision."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pickle
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.building.locate import is_import_string, resolve
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.comparison import Comparison
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.recording.archive import read
from pytest_kerasequiv.recording.recorded_pair import RecordedPair
from pytest_kerasequiv.revision.named import Named, named
from pytest_kerasequiv.revision.outside import Needs, read_needs, write_needs
from pytest_kerasequiv.revision.process import RevisionProcess
from pytest_kerasequiv.revision.repository import Commit, Repository
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run

CODE_OF_OTHERS = ("KERAS_", "TF_", "XLA_")
"""How the environment variables begin that change what libraries compute."""


@dataclass(frozen=True)
class Then:
    """What stands for a builder at the revision.

    Attributes:
        builder: the builder: a function, a partial of one, an import string or the path of a model file.
        options: ``input_shape``, ``compile`` and ``batch``, as `Twins` takes them.
        plan: makes what it is trained by from the plan of today; by default that plan itself.
    """

    builder: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    plan: Callable[[Training], Any] | None = None


class Against:
    """The builders of a revision, observed by a process that has their code; it starts when it is needed.

    Args:
        repository: the repository.
        commit: the revision.
        cache: a folder for what was observed, and for finished runs; ``None`` keeps nothing.
    """

    def __init__(self, repository: Repository, commit: Commit, cache: Path | None) -> None:
        self.repository = repository
        self.commit = commit
        self._cache = cache
        self._process: RevisionProcess | None = None
        self._numbers = count()
        self._needs = Needs({}, (), "")
        self._read: dict[str, None] = {}
        self._own_folder: tempfile.TemporaryDirectory[str] | None = None

    def twins(self, then: Then, builder: Any, options: Mapping[str, Any], **settings: Any) -> Twins:
        """Return a builder as the candidate, and a recording of what it was as the reference.

        Args:
            then: what it was.
            builder: the builder of the working tree.
            options: those of `Twins`, for the working tree.
            settings: ``seed`` and ``inputs``, as `record` takes them.

        Raises:
            NoSuchBuilderError: the revision does not have it.
            InputError: it cannot be observed there.
        """
        place = self._named(then.builder)
        if isinstance(builder, str) and is_import_string(builder):
            resolve(builder, "candidate")  # the process is told where the session found its modules
        made = Twins(self._recording(place, {**then.options, **settings}), builder, **options)
        made.know_reference_as(f"{place.name} at {self.commit}")
        return made

    def comparison(self, then: Then, builder: Any, options: Mapping[str, Any], **settings: Any) -> Comparison:
        """Return the comparison of a builder with what it was, which that code also trains.

        Args:
            then: what it was.
            builder: the builder of the working tree.
            options: those of `Twins`, for the working tree.
            settings: as `Comparison` takes them.

        Raises:
            NoSuchBuilderError: the revision does not have it.
            InputError: it cannot be observed there.
        """
        asked = {key: value for key, value in settings.items() if key in {"seed", "inputs"}}
        comparison = Comparison(self.twins(then, builder, options, **asked), **settings)
        assert isinstance(comparison.pair, RecordedPair)
        place = self._named(then.builder)
        comparison.pair.trains_reference = lambda training: self._arm(place, then, training)
        comparison.context = {"against": self._told(place)}
        return comparison

    def close(self) -> None:
        """End the process and remove what it worked in."""
        if self._process is not None:
            self._process.close()
        if self._own_folder is not None:
            self._own_folder.cleanup()

    @cached_property
    def has_changes(self) -> bool:
        """Whether the working tree has changes that are not committed."""
        return self.repository.has_changes

    def _told(self, place: Named) -> dict[str, Any]:
        return {
            "builder": place.name,
            "revision": self.commit.rev,
            "commit": self.commit.hash,
            "uncommitted": self.has_changes,
            "read": sorted(self._read),
        }

    def _named(self, builder: Any) -> Named:
        return named(builder).relative_to(self.repository.top)

    def _ask(self, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if self._process is None:
            self._process = RevisionProcess(self.repository, self.commit)
        for answer in self._process.ask(question):
            if "needs" in answer:
                self._needs = Needs.from_dict(answer["needs"])
                self._note_read(self._needs)
            yield answer

    def _recording(self, place: Named, options: Mapping[str, Any]) -> Path:
        """Return what was observed of a builder, observed now unless it was before."""
        folder = self._folder
        path = folder / f"{_digest(self.commit.tree, place, options)}.kerasequiv"
        beside = path.with_suffix(".needs")
        with _held(path.with_suffix(".lock")):
            known = read_needs(beside)
            if known is not None and known.hold(os.environ) and _is_whole(path):
                self._note_read(known)
                return path
            beside.unlink(missing_ok=True)
            question = {"what": "record", "builder": place, "options": dict(options), "path": str(path)}
            for _ in self._ask(question):
                pass
            write_needs(beside, self._needs)
        return path

    def _note_read(self, needs: Needs) -> None:
        """Note which files of the working tree were read, of those that git tracks."""
        inside = list(needs.within(str(self.repository.top)))
        if inside:
            self._read |= dict.fromkeys(self.repository.tracked(inside))

    @property
    def _folder(self) -> Path:
        folder = Path(self._private) if self._cache is None else self._cache / "against"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def _private(self) -> str:
        """A folder of this session."""
        if self._own_folder is None:
            self._own_folder = tempfile.TemporaryDirectory(prefix="kerasequiv-recordings-")
        return self._own_folder.name

    def _arm(self, place: Named, then: Then, training: Training) -> RevisionArm:
        question = {
            "what": "train",
            "arm": next(self._numbers),
            "builder": place,
            "options": dict(then.options),
            "plan": training if then.plan is None else then.plan(training),
            "cache": None if self._cache is None else str(self._cache),
        }
        return RevisionArm(lambda seeds: self._ask({**question, "seeds": tuple(seeds)}))


class RevisionArm:
    """Trains a builder by the code of a revision, in that code's process.

    Args:
        ask: asks that process to train under some seeds.
    """

    def __init__(self, ask: Callable[[Sequence[int]], Iterator[Mapping[str, Any]]]) -> None:
        self._ask = ask
        self.reason = ""

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield one run a seed, in this order.

        Raises:
            InputError: it cannot be trained there as planned.
        """
        for answer in self._ask(seeds):
            if "run" in answer:
                yield Run.from_dict(answer["run"])
            self.reason = answer.get("reason", self.reason)


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    """Let one process at a time observe a builder: the others then find what it found."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_whole(path: Path) -> bool:
    try:
        read(path)
    except InputError:  # missing, or not what was written
        return False
    return True


def _digest(tree: str, place: Named, options: Mapping[str, Any]) -> str:
    """Return what an observation depends on, in short: the revision's files, what was asked, what ran it."""
    asked = hashlib.sha256(pickle.dumps((place, sorted(options.items())))).hexdigest()
    text = json.dumps([tree, asked, _surroundings()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _surroundings() -> list[Any]:
    installed = {entry.name for path in sys.path for entry in _dist_infos(Path(path))}
    variables = {name: value for name, value in os.environ.items() if name.startswith(CODE_OF_OTHERS)}
    settings = [keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()]
    versions = [platform.python_version(), keras.__version__, tf.__version__, platform.machine()]
    return [versions, settings, sorted(installed), variables]


def _dist_infos(path: Path) -> list[Path]:
    return list(path.glob("*.dist-info")) if path.is_dir() else []
