"""Holding a process to the code of an export: no module of the working tree is imported, however installed.

An editable install names files of the working tree: by a path (hatchling, setuptools) or by a finder of its
own (setuptools, scikit-build-core), which may come before every path. So the export's finder comes first.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit
from urllib.request import url2pathname

SELF = __name__.partition(".")[0]
"""This package: it is the same on both sides, even where it is itself the project."""


@dataclass(frozen=True)
class Place:
    """Where a process takes its code from.

    Attributes:
        top: the working tree.
        tree: the export.
        roots: folders of the export that modules are found in.
        modules: modules that the session has imported from the working tree -> their file, relative to it.
        installed: folders of the working tree that hold an environment, not the project.
    """

    top: str
    tree: str
    roots: Sequence[str]
    modules: Mapping[str, str]
    installed: Sequence[str]

    def in_working_tree(self, path: str) -> bool:
        """Tell whether a path is the working tree's own; what is installed into it is not."""
        real = os.path.realpath(path)
        return within(real, self.top) and not any(within(real, each) for each in (self.tree, *self.installed))

    def in_export(self, path: str) -> bool:
        """Tell whether a path lies in the export."""
        return within(os.path.realpath(path), self.tree)

    def exported(self, path: str) -> str | None:
        """Return what of the export stands for a path of the working tree; ``None`` where nothing does."""
        found = os.path.join(self.tree, os.path.relpath(os.path.realpath(path), self.top))  # noqa: PTH118
        return found if os.path.lexists(found) else None


def within(path: str, folder: str) -> bool:
    """Tell whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class ExportFinder:
    """Finds the project's modules in the export, and nothing in the working tree."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is; the other finders are asked for what is not the project's.

        Raises:
            ModuleNotFoundError: it is the project's, and the revision does not have it.
        """
        if name.partition(".")[0] == SELF:
            return None
        own = PathFinder.find_spec(name, self._place.roots if path is None else path, target)
        if own is not None and self._lies_in_export(own):
            return own
        known = self._known(name)
        if known is not None:
            return known
        if path is not None and self._is_own(name.rpartition(".")[0]):
            raise ModuleNotFoundError(f"no module {name!r} at this revision", name=name)
        return self._elsewhere(name, path, target)

    def _lies_in_export(self, spec: ModuleSpec) -> bool:
        return spec.origin is not None and self._place.in_export(spec.origin)

    def _known(self, name: str) -> ModuleSpec | None:
        """Return a module that the session imported from a file that no path leads to."""
        file = self._place.modules.get(name)
        return None if file is None else self._at(name, os.path.join(self._place.top, file))  # noqa: PTH118

    def _at(self, name: str, file: str) -> ModuleSpec | None:
        """Return the module of the export's counterpart of a file."""
        exported = self._place.exported(file)
        if exported is None:
            return None
        folder = [os.path.dirname(exported)] if Path(exported).stem == "__init__" else None  # noqa: PTH120
        return importlib.util.spec_from_file_location(name, exported, submodule_search_locations=folder)

    def _is_own(self, package: str) -> bool:
        """Tell whether a package is of the export alone; others may add to a namespace."""
        file = getattr(sys.modules.get(package), "__file__", None)
        return file is not None and self._place.in_export(file)

    def _elsewhere(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        finders = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(name, path, target) for finder in finders if hasattr(finder, "find_spec"))
        spec = next((one for one in found if one is not None), None)
        if spec is None:
            return None
        if spec.origin is not None and self._place.in_working_tree(spec.origin):
            exported = self._at(name, spec.origin)
            if exported is None:
                raise ModuleNotFoundError(f"no module {name!r} at this revision", name=name)
            return exported
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations = list(self._without_new(spec.submodule_search_locations))
        return spec

    def _without_new(self, folders: Iterable[str]) -> Iterator[str]:
        for folder in folders:
            if not self._place.in_working_tree(folder):
                yield folder
            elif (exported := self._place.exported(folder)) is not None:
                yield exported


def hold(place: Place, path: Sequence[str]) -> None:
    """Let this process import from the export."""
    sys.path[:] = path
    sys.meta_path.insert(0, ExportFinder(place))
    sys.path_importer_cache.clear()


class Strangers:
    """Modules that came from the working tree, or that are the project's and not the export's."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._built = compiled_from(place.top)
        self._trusted: dict[str, str] = {}

    def found(self) -> list[str]:
        """Return them, each with its file; what was seen before is not looked at again."""
        fresh = [(name, file) for name, file in _files() if self._trusted.get(name) != file]
        strange = [f"{name} ({file})" for name, file in fresh if self._is_strange(name, file)]
        if not strange:
            self._trusted |= dict(fresh)
        return sorted(strange)

    def _is_strange(self, name: str, file: str) -> bool:
        top = name.partition(".")[0]
        if top == SELF:
            return False
        package = getattr(sys.modules.get(top), "__file__", None)
        own = package is not None and self._place.in_export(package)
        if os.path.realpath(file) in self._built:
            return True
        return self._place.in_working_tree(file) or (own and not self._place.in_export(file))


def compiled_from(top: str) -> frozenset[str]:
    """Return the compiled modules that were installed from a working tree, wherever: they are of its code.

    Args:
        top: the working tree.
    """
    found = set()
    for one in metadata.distributions():
        url = json.loads(one.read_text("direct_url.json") or "{}").get("url", "")
        if url.startswith("file:") and within(os.path.realpath(url2pathname(urlsplit(url).path)), top):
            names = (name for name in one.files or () if name.name.endswith(tuple(EXTENSION_SUFFIXES)))
            found |= {os.path.realpath(str(one.locate_file(name))) for name in names}
    return frozenset(found)


def _files() -> Iterator[tuple[str, str]]:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            yield name, file
