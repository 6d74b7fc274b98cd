"""Finished runs by content: in memory for a session, and in a directory for the next one.

Whatever lies in the directory instead of an entry is a miss: any bytes, any kind of file, of any size. No
entry holds code. Who may write into the directory can still write wrong metrics: a cache is as trusted as its
folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.keys import RunKeys
from pytest_kerasequiv.training.runs import Run

FORMAT = 2
MOST_BYTES = 1_000_000
"""Size of an entry beyond which it is none; a run of hundreds of metrics has some ten thousand."""
STALE_SECONDS = 3600
"""Age of a half-written neighbour whose session was killed while it wrote."""


class RunCache:
    """Keeps finished runs. Processes may share the directory: an entry is one file, put there in one step.

    Args:
        directory: where runs are kept across sessions; ``None`` keeps them in memory only.
    """

    def __init__(self, directory: str | Path | None = None) -> None:
        self._directory = None if directory is None else Path(directory)
        self._memory: dict[str, Run] = {}
        self.why_unkept = ""

    def get(self, key: str) -> tuple[Run, str] | None:
        """Return a run and where it is from (``"shared"``, ``"cache"``), or ``None`` for a miss."""
        if key in self._memory:
            return self._memory[key], "shared"
        run = self._read(key)
        return None if run is None else (run, "cache")

    def put(self, key: str, run: Run) -> None:
        """Keep a finished run; a directory that cannot be written to costs the next session time only."""
        self._memory[key] = run
        if self._directory is not None:
            try:
                self._write(self._path(key), _encoded(key, run))
            except OSError as error:
                self.why_unkept = self.why_unkept or str(error)

    def _path(self, key: str) -> Path:
        assert self._directory is not None
        return self._directory / key[:2] / f"{key}.json"

    def _read(self, key: str) -> Run | None:
        if self._directory is None:
            return None
        try:
            return _decoded(key, _content(self._path(key)))
        except (OSError, ValueError, RecursionError):  # missing, cut off, edited or of another version
            return None

    def _write(self, path: Path, text: str) -> None:
        """Write a neighbour and rename it, so that no reader ever sees half an entry."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.is_symlink():
            raise OSError(f"{path.parent} is a link, and nothing is written through it")
        _remove_stale(path.parent)
        part = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with part.open("x", encoding="utf-8") as file:
                file.write(text)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def as_cache(cache: Any) -> RunCache:
    """Return a cache from a `RunCache`, a directory, or ``None`` (this session only)."""
    return cache if hasattr(cache, "get") and hasattr(cache, "put") else RunCache(cache)


def _encoded(key: str, run: Run) -> str:
    content = json.dumps(run.to_dict())
    return json.dumps({"format": FORMAT, "key": key, "digest": _digest(content), "run": content})


def _decoded(key: str, raw: bytes) -> Run:
    """Read an entry.

    Raises:
        ValueError: it is none, or another one's.
        RecursionError: it is nested too deeply to be one.
    """
    entry = json.loads(raw)
    content = entry.get("run") if isinstance(entry, dict) else None
    text = content if isinstance(content, str) else ""
    if entry != {"format": FORMAT, "key": key, "digest": _digest(text), "run": text}:
        raise ValueError(key)
    return Run.from_dict(json.loads(text))


def _content(path: Path) -> bytes:
    """Read a file, if it is a plain one of the size of an entry: links, devices and pipes could do anything.

    Raises:
        OSError: it is none, or cannot be read.
    """
    if not stat.S_ISREG(path.lstat().st_mode):  # to open a device can do something already
        raise OSError(f"{path} is no plain file")
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        content = file.read(MOST_BYTES + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    if len(content) > MOST_BYTES:
        raise OSError(f"{path} is too long for an entry")
    return content


def _remove_stale(folder: Path) -> None:
    """Remove what sessions left half-written that were killed meanwhile."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if part.lstat().st_mtime < time.time() - STALE_SECONDS:
                part.unlink()


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


class CachedArm:
    """Takes finished runs from a cache and trains the others; every finished run is kept at once.

    Args:
        arm: trains what the cache does not have.
        keys: makes the keys of the twin's runs.
        cache: keeps the runs.
    """

    def __init__(self, arm: Arm, keys: RunKeys, cache: RunCache) -> None:
        self._arm = arm
        self._keys = keys
        self._cache = cache
        self._trained = False
        self._origins: set[str] = set()
        self._found = 0

    @property
    def reason(self) -> str:
        """Why its engine was chosen, and how its results were made sure of."""
        told = self._arm.reason if self._trained else f"nothing had to be trained: {self._sources()}"
        if self._trained and self._found:
            told += f"; {self._found} runs of an earlier session were found"
        if self._cache.why_unkept:
            told += f"; finished runs are not kept for the next session: {self._cache.why_unkept}"
        why_none = self._keys.why_none
        return told if why_none is None else f"{told}; runs are neither shared nor kept, since {why_none}"

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield one run a seed, in this order."""
        fresh: Iterator[Run] = iter(())
        waited_for: list[int] = []
        for index, seed in enumerate(seeds):
            known = self._known(seed)
            if known is not None and seed not in waited_for:
                self._origins.add(known.origin)
                self._found += known.origin == "cache"
                yield known
                continue
            if seed not in waited_for:
                waited_for = [one for one in seeds[index:] if self._known(one) is None]
                fresh = self._arm.train(waited_for)
                self._trained = True
            run = next(fresh)
            self._keep(run)
            yield run

    def _sources(self) -> str:
        words = {
            "shared": "runs of this session of the same program and start",
            "cache": "runs of an earlier session",
        }
        return " and ".join(words[origin] for origin in sorted(self._origins))

    def _known(self, seed: int) -> Run | None:
        key = self._keys.of(seed)
        found = None if key is None else self._cache.get(key)
        if found is None:
            return None
        run, origin = found
        if run.seed != seed or run.missing is not None or not run.metrics:  # no such run is ever kept
            return None
        return replace(run, origin=origin, seconds=0.0)

    def _keep(self, run: Run) -> None:
        key = self._keys.of(run.seed)
        # A crash may have been the machine's; another start than the key's, the builder's or a thread's.
        if key is not None and run.metrics and self._keys.fits(run.seed, run.start):
            self._cache.put(key, run)
