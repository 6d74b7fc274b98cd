"""What this session imports, and from where: for a process that is to do the same with an export."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_kerasequiv.revision.export import Export
from pytest_kerasequiv.revision.guard import SELF, Place, within

USUAL_ROOTS = (".", "src")
"""Where projects keep their packages; a revision may keep them elsewhere than the working tree does."""

CONFTEST = "conftest.py"


@dataclass(frozen=True)
class Surroundings:
    """What a process needs in order to import from an export what this one imports from the working tree.

    Attributes:
        place: where the modules are.
        path: its ``sys.path``.
        folder: its working folder.
        conftests: files that pytest imports before any test, in order.
    """

    place: Place
    path: tuple[str, ...]
    folder: str
    conftests: tuple[str, ...]

    @property
    def python_path(self) -> tuple[str, ...]:
        """What other processes find modules by: the export's folders first."""
        given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        return (*self.place.roots, *(path for path in given if not self.place.in_working_tree(path)))


def surroundings(top: Path, export: Export) -> Surroundings:
    """Return the surroundings of this process, its working tree replaced by an export."""
    real, tree = os.path.realpath(top), str(export.tree)
    bare = Place(real, tree, (), {}, tuple(_environments(real)))
    modules = dict(_modules(bare))
    roots = tuple(dict.fromkeys(_roots(bare, modules)))
    place = Place(real, tree, roots, modules, bare.installed)
    others = [path for path in sys.path if path and not place.in_working_tree(path)]
    here = os.path.realpath(Path.cwd())
    inside = place.exported(here) if within(here, real) else None
    conftests = [place.exported(os.path.join(real, f)) for f in modules.values() if Path(f).name == CONFTEST]  # noqa: PTH118
    return Surroundings(
        place, tuple(dict.fromkeys([*roots, *others])), inside or tree, tuple(filter(None, conftests))
    )


def _environments(top: str) -> Iterator[str]:
    """Yield the folders of installed packages that lie in the working tree."""
    sites = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    for path in dict.fromkeys([sys.prefix, *sysconfig.get_paths().values(), *sites]):
        real = os.path.realpath(path)
        if real != top and within(real, top):
            yield real


def _modules(place: Place) -> Iterator[tuple[str, str]]:
    """Yield the modules that came from the working tree, and their files relative to it."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        foreign = name == "__main__" or name.partition(".")[0] == SELF
        if isinstance(file, str) and not foreign and place.in_working_tree(file):
            yield name, os.path.relpath(os.path.realpath(file), place.top)


def _roots(place: Place, modules: dict[str, str]) -> Iterator[str]:
    """Yield the folders of the export that modules are found in, those of the session first."""
    folders = [path or str(Path.cwd()) for path in sys.path]
    yield from (
        found
        for folder in folders
        if place.in_working_tree(folder) and (found := place.exported(folder)) is not None
    )
    for name, file in modules.items():
        root = _root_of(name, Path(place.top, file))
        found = None if root is None else place.exported(str(root))
        if found is not None:
            yield found
    for usual in USUAL_ROOTS:
        folder = os.path.normpath(os.path.join(place.tree, usual))  # noqa: PTH118
        if Path(folder).is_dir():
            yield folder


def _root_of(name: str, file: Path) -> Path | None:
    """Return the folder on the path that a module was found from; ``None`` where its name does not tell."""
    parts = name.split(".")
    whole = file.parent if file.stem == "__init__" else file.with_suffix("")
    return whole.parents[len(parts) - 1] if list(whole.parts[-len(parts) :]) == parts else None
