"""Asking git: which repository, which commit, what is not committed. Nothing of the repository changes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_kerasequiv.errors import InputError

OF_ANOTHER_COMMAND = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INTERNAL_SUPER_PREFIX",
)
"""What a hook sets for the command that runs it."""

QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
"""No hook runs (even an index that is written to elsewhere has one), no daemon is started."""

DEEPER = "clone deeper: fetch-depth: 0 for actions/checkout, GIT_DEPTH: 0 on GitLab, or git fetch --unshallow"


@dataclass(frozen=True)
class Commit:
    """A commit that was asked for.

    Attributes:
        rev: what was asked for, such as ``"origin/main..."``.
        hash: the commit.
        tree: its files, by hash.
    """

    rev: str
    hash: str
    tree: str

    def __str__(self) -> str:
        return self.rev if self.hash.startswith(self.rev) else f"{self.rev} ({self.hash[:9]})"


@dataclass(frozen=True)
class Repository:
    """A git repository with a working tree.

    Attributes:
        top: the folder of the working tree.
        folder: the repository itself, of this working tree.
    """

    top: Path
    folder: Path

    @classmethod
    def around(cls, place: Path) -> Repository:
        """Return the repository that a folder is in.

        Raises:
            InputError: there is no git, no repository, or none with a working tree.
        """
        done = _run(["rev-parse", "--show-toplevel", "--absolute-git-dir"], place)
        if done.returncode:
            raise InputError(_why_no_repository(place, done.stderr.strip()))
        top, folder = done.stdout.splitlines()
        return cls(Path(top), Path(folder))

    def commit(self, rev: str) -> Commit:
        """Return the commit that a revision names; ``A...`` is the merge base of A and HEAD.

        Raises:
            InputError: there is none.
        """
        if not rev.strip() or rev.startswith("-"):
            raise InputError(f"{rev!r} is no git revision; give a branch, a tag or a hash: origin/main")
        left, dots, right = rev.partition("...")
        found = self._merge_base(rev, left, right or "HEAD") if dots else self._hash_of(rev)
        tree = self.git("rev-parse", "--verify", "--quiet", f"{found}^{{tree}}").strip()
        return Commit(rev, found, tree)

    @property
    def has_changes(self) -> bool:
        """Whether the working tree has changes that are not committed, untracked files included."""
        return bool(self.git("status", "--porcelain").strip())

    @property
    def is_shallow(self) -> bool:
        """Whether the history is cut off."""
        return self.git("rev-parse", "--is-shallow-repository").strip() == "true"

    def tracked(self, names: Sequence[str]) -> list[str]:
        """Return those of some paths, relative to the working tree, that git tracks."""
        return list(filter(None, self.git("ls-files", "-z", "--", *names).split("\0")))

    def git(self, *command: str, **variables: str) -> str:
        """Return what a git command prints.

        Raises:
            InputError: the command failed.
        """
        done = _run(command, self.top, variables)
        if done.returncode:
            raise InputError(f"git {command[0]} failed in {self.top}: {done.stderr.strip()}")
        return done.stdout

    def _hash_of(self, rev: str) -> str:
        done = _run(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"], self.top)
        if done.returncode == 0:
            return done.stdout.strip()
        if self.is_shallow:
            remedy = f"This clone is shallow; {DEEPER}"
        else:
            remedy = f"Fetch it, or choose from: {', '.join(self._names()) or 'nothing (no commit yet)'}"
        raise InputError(f"{rev!r} is no commit of the repository {self.top}. {remedy}")

    def _merge_base(self, rev: str, left: str, right: str) -> str:
        sides = [self._hash_of(side) for side in (left, right)]
        done = _run(["merge-base", *sides], self.top)
        if done.returncode == 0:
            return done.stdout.strip()
        why = f"This clone is shallow; {DEEPER}" if self.is_shallow else "Name the commit itself"
        raise InputError(
            f"{rev!r}: git finds no common ancestor of {left} and {right} in the repository {self.top}. {why}"
        )

    def _names(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", "--count=8").splitlines()


def _why_no_repository(place: Path, said: str) -> str:
    if "dubious ownership" in said:
        return f"git does not read the repository of {place}: {' '.join(said.split())}"
    if "must be run in a work tree" in said:
        return f"{place} is a git repository without a working tree; run in a checkout of it"
    return f"{place} is in no git repository ({said.removeprefix('fatal: ')}); run in a checkout"


def _run(
    command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            git_command(*command),
            cwd=folder,
            env=git_environment() | dict(variables or {}),
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError as error:
        if error.filename == str(folder):
            raise InputError(f"there is no folder {folder}") from error
        raise InputError("there is no program 'git' on the PATH; install git") from error


def git_command(*command: str) -> list[str]:
    """Return a git command that runs no hook and starts no daemon."""
    return ["git", *QUIET, *command]


def git_environment() -> dict[str, str]:
    """Return the environment for git: it finds the repository itself, asks nothing and takes no locks."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_ANOTHER_COMMAND}
    return kept | {
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
