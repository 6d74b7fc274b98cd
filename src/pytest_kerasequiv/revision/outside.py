"""What code depends on beside its own files: files elsewhere, environment variables."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OF_EVERY_PROCESS = ("PYTEST_", "PYTHONPATH")
"""How the variables begin that are others in each process or test, and name no setting of a model."""

NO_FILES = ("/proc/", "/sys/", "/dev/")


class Noted:
    """Notes which files are opened, outside given folders, and which environment variables are read.

    Only what Python opens and reads is seen, not what compiled code does by itself.

    Args:
        apart: folders whose files do not count.
        variables: the environment that is read from, ``os.environ``.
    """

    def __init__(self, apart: Iterable[str], variables: Any) -> None:
        self._apart = tuple(f"{folder.rstrip(os.sep)}{os.sep}" for folder in apart) + NO_FILES
        self._before = dict(variables)
        self._variables = variables
        self._encode = variables.encodekey
        self._files: dict[str, None] = {}
        self._names: dict[str, None] = {}

    def begin(self) -> None:
        """Note from now on."""
        sys.addaudithook(self._event)
        self._variables.encodekey = self._encoded  # each look-up of a variable goes through it

    def leave_out(self, folder: str) -> None:
        """Do not note the files of another folder."""
        self._apart += (f"{folder.rstrip(os.sep)}{os.sep}",)

    def needs(self) -> Needs:
        """Return what was noted so far, as it is now."""
        values = {name: self._before.get(name) for name in self._names}
        return Needs({name: stamp(name) for name in self._files}, tuple(values), _digest(values))

    def _encoded(self, name: str) -> Any:
        if isinstance(name, str) and not name.startswith(OF_EVERY_PROCESS):
            self._names[name] = None
        return self._encode(name)

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes) or _writes(*arguments[1:]):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - links are told as they are named
        if path.startswith(self._apart) or os.path.realpath(path).startswith(self._apart):
            return
        self._files[_source(path)] = None


@dataclass(frozen=True)
class Needs:
    """What was read.

    Attributes:
        files: full path -> its stamp; ``None`` where there was no file.
        variables: names of environment variables.
        digest: of their values.
    """

    files: Mapping[str, tuple[int, int] | None]
    variables: tuple[str, ...]
    digest: str

    def hold(self, variables: Mapping[str, str]) -> bool:
        """Tell whether all is as it was."""
        values = {name: variables.get(name) for name in self.variables}
        return _digest(values) == self.digest and all(stamp(name) == was for name, was in self.files.items())

    def within(self, folder: str) -> Iterator[str]:
        """Yield the files in a folder, relative to it."""
        inside = f"{os.path.realpath(folder)}{os.sep}"
        reals = (os.path.realpath(name) for name in self.files)
        yield from (real.removeprefix(inside) for real in reals if real.startswith(inside))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {"files": dict(self.files), "variables": list(self.variables), "digest": self.digest}

    @classmethod
    def from_dict(cls, told: Any) -> Needs:
        """Return what `to_dict` returned.

        Raises:
            ValueError: it is of another form.
        """
        try:
            files = {
                str(name): None if at is None else (int(at[0]), int(at[1]))
                for name, at in told["files"].items()
            }
            return cls(files, tuple(map(str, told["variables"])), str(told["digest"]))
        except (TypeError, KeyError, AttributeError, IndexError) as error:
            raise ValueError(f"no needs: {error}") from error


def stamp(path: str) -> tuple[int, int] | None:
    """Return size and time of change of a file; ``None`` where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def installed_folders() -> list[str]:
    """Return the folders of Python and of installed packages, whose versions tell what is in them."""
    sites = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    given = [*sysconfig.get_paths().values(), *sites, f"{sys.base_prefix}/lib", *("/usr/lib", "/lib")]
    return list(dict.fromkeys([*given, *map(os.path.realpath, given)]))


def write_needs(path: Path, needs: Needs) -> None:
    """Write what was read beside what was made of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(needs.to_dict()), encoding="utf-8")
    part.replace(path)


def read_needs(path: Path) -> Needs | None:
    """Return what `write_needs` wrote; ``None`` where it cannot be read."""
    try:
        return Needs.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None


def _writes(mode: str | None, flags: int) -> bool:
    return not set(mode or "").isdisjoint("wax") or (flags & os.O_ACCMODE) == os.O_WRONLY


def _source(path: str) -> str:
    """Return the file that a compiled module was made from, as only that changes when it is edited."""
    if not path.endswith(".pyc"):
        return path
    try:
        return importlib.util.source_from_cache(path)
    except ValueError:
        return path


def _digest(values: Mapping[str, str | None]) -> str:
    return hashlib.sha256(json.dumps(sorted(values.items())).encode()).hexdigest()
