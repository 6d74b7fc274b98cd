"""The files of a commit in a folder of their own; the repository, its index and its working tree stay."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.revision.repository import Commit, Repository, git_command, git_environment
from pytest_kerasequiv.revision.temporary import TemporaryFolder

PLAIN_LFS = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false")
"""Git LFS would fetch what it does not have, and write it into the repository."""

POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")
LONGEST_POINTER = 1024


@dataclass(frozen=True)
class Export:
    """The files of a commit.

    Attributes:
        commit: the commit.
        tree: the folder of its files.
        pointers: files of Git LFS whose content is not in this clone, relative to the folder.
    """

    commit: Commit
    tree: Path
    pointers: tuple[str, ...]


def export(repository: Repository, commit: Commit, folder: TemporaryFolder) -> Export:
    """Write the files of a commit into a temporary folder, submodules included.

    Raises:
        InputError: git cannot write them, or the commit of a submodule is not in this clone.
    """
    tree = folder.path / "tree"
    parts = [("", repository.folder, commit.hash), *_submodules(repository, commit)]
    pointers = []
    for place, home, hash_ in parts:
        checkout = _Checkout(home, tree / place, folder)
        checkout.write(hash_)
        pointers += [str(PurePosixPath(place, name)) for name in checkout.missing_contents()]
    return Export(commit, tree, tuple(pointers))


@dataclass(frozen=True)
class _Checkout:
    """A repository whose files are written into a folder, through an index of its own."""

    home: Path
    tree: Path
    temporary: TemporaryFolder

    def write(self, hash_: str) -> None:
        self.tree.mkdir(parents=True, exist_ok=True)
        (self.temporary.path / "index").unlink(missing_ok=True)
        self._git("read-tree", hash_)
        self._git(*PLAIN_LFS, "checkout-index", "--all", "--force")

    def missing_contents(self) -> Iterator[str]:
        """Put the contents of Git LFS where this clone has them; yield the files where it does not."""
        told = self._git("ls-files", "-z", "--", ":(attr:filter=lfs)").decode(errors="surrogateescape")
        for name in filter(None, told.split("\0")):
            pointer = POINTER.match(_beginning(self.tree / name))
            if pointer is None:
                continue
            oid = pointer[1].decode()
            content = self._common / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
            if content.is_file():
                shutil.copyfile(content, self.tree / name)
            else:
                yield name

    @property
    def _common(self) -> Path:
        told = self._git("rev-parse", "--git-common-dir").decode(errors="surrogateescape")
        return self.tree / told.removesuffix("\n")

    def _git(self, *command: str) -> bytes:
        told, errors = self.temporary.path / "git", self.temporary.path / "git-errors"
        with told.open("wb") as output, errors.open("wb") as error_output:
            process = self.temporary.start(
                git_command(f"--git-dir={self.home}", f"--work-tree={self.tree}", *command),
                cwd=self.tree,
                env=git_environment() | {"GIT_INDEX_FILE": str(self.temporary.path / "index")},
                stdout=output,
                stderr=error_output,
            )
            status = process.wait()
        if status:
            said = " ".join(errors.read_text(errors="replace").split())
            raise InputError(f"git cannot export the revision: {said or f'exit status {status}'}")
        return told.read_bytes()


def _submodules(repository: Repository, commit: Commit) -> Iterator[tuple[str, Path, str]]:
    """Yield path, repository and commit of each submodule.

    Raises:
        InputError: this clone does not have it.
    """
    yield from _submodules_in(repository.folder, repository, commit.hash, PurePosixPath())


def _submodules_in(
    folder: Path, repository: Repository, hash_: str, above: PurePosixPath
) -> Iterator[tuple[str, Path, str]]:
    listing = repository.git(f"--git-dir={folder}", "ls-tree", "-r", "-z", "--full-tree", hash_)
    for entry in listing.split("\0"):
        if not entry.startswith("160000 "):
            continue
        description, _, path = entry.partition("\t")
        inner, place = description.split()[2], above / path
        found = _with_commit(repository, _homes(folder, repository, hash_, path, place), inner)
        if found is None:
            raise InputError(
                f"submodule {str(place)!r}: its commit {inner[:9]} is not in this clone; run git submodule "
                f"update --init --recursive, or fetch it in {place}"
            )
        yield str(place), found, inner
        yield from _submodules_in(found, repository, inner, place)


def _homes(
    folder: Path, repository: Repository, hash_: str, path: str, place: PurePosixPath
) -> Iterator[Path]:
    """Yield where the repository of a submodule may lie."""
    common = repository.git(f"--git-dir={folder}", "rev-parse", "--git-common-dir").strip()
    modules = (repository.top / common) / "modules"
    names = [path, *_names_of(folder, repository, hash_, path)]
    yield from (modules / name for name in names)
    if (repository.top / place / ".git").exists():
        yield Path(
            repository.git("-C", str(repository.top / place), "rev-parse", "--absolute-git-dir").strip()
        )


def _names_of(folder: Path, repository: Repository, hash_: str, path: str) -> Iterator[str]:
    """Yield the names that .gitmodules gives the submodule of a path."""
    try:
        told = repository.git(
            f"--git-dir={folder}",
            "config",
            "--null",
            "--blob",
            f"{hash_}:.gitmodules",
            "--get-regexp",
            r"\.path$",
        )
    except InputError:  # there is none
        return
    for entry in told.split("\0"):
        key, _, value = entry.partition("\n")
        if value == path:
            yield key.removeprefix("submodule.").removesuffix(".path")


def _with_commit(repository: Repository, homes: Iterator[Path], hash_: str) -> Path | None:
    for home in homes:
        try:
            repository.git(f"--git-dir={home}", "cat-file", "-e", f"{hash_}^{{commit}}")
        except InputError:
            continue
        return home
    return None


def _beginning(file: Path) -> bytes:
    if not file.is_file() or file.is_symlink():
        return b""
    with file.open("rb") as opened:
        return opened.read(LONGEST_POINTER)
