"""What a revision was written for: its requirements, compared with those of the working tree."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.revision.repository import Commit, Repository

LOCKS = (
    "*.lock",
    "*requirements*.txt",
    "pylock*.toml",
    "environment*.yml",
    "environment*.yaml",
    "conda-lock.yml",
    "setup.py",
    "setup.cfg",
    ".python-version",
)
"""Files that say what is to be installed, whatever folder they are in."""

DECLARED = (
    ("project", "requires-python"),
    ("project", "dependencies"),
    ("project", "optional-dependencies"),
    ("dependency-groups",),
    ("tool", "poetry", "dependencies"),
)
"""Parts of a pyproject.toml that do."""


def changed_requirements(repository: Repository, commit: Commit) -> list[str]:
    """Return the files whose requirements differ between a commit and the working tree."""
    patterns = [f":(glob)**/{name}" for name in LOCKS]
    told = repository.git("diff", "--name-only", "--no-renames", "-z", commit.hash, "--", *patterns)
    declaring = repository.git(
        "diff", "--name-only", "--no-renames", "-z", commit.hash, "--", ":(glob)**/pyproject.toml"
    )
    changed = [name for name in declaring.split("\0") if name and _differs(repository, commit, name)]
    return sorted({*filter(None, told.split("\0")), *changed})


def _differs(repository: Repository, commit: Commit, name: str) -> bool:
    try:
        then = repository.git("show", f"{commit.hash}:{name}")
        now = Path(repository.top, name).read_text(encoding="utf-8")
        return _requirements(then) != _requirements(now)
    except (InputError, OSError, ValueError):  # it is new or gone, or one of them is no TOML
        return True


def _requirements(text: str) -> list[Any]:
    table = tomllib.loads(text)
    return [_at(table, keys) for keys in DECLARED]


def _at(table: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table
