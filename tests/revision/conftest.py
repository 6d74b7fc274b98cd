"""A real git repository to look into."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest


class Checkout:
    """A checkout in a folder: files are written, committed, and hashed as they lie."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *command: str) -> str:
        done = subprocess.run(["git", *command], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            self.file(name.replace("__", "/") + ".py", text)

    def file(self, name: str, text: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def commit(self, message: str = "a change") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def digest(self) -> dict[str, str]:
        """Every file of the checkout and of its repository, by content and mode; the index by content."""
        return {str(path.relative_to(self.folder)): _digest(path) for path in sorted(self.folder.rglob("*"))}


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    content = path.read_bytes() if path.is_file() else b"folder"
    return f"{path.stat().st_mode:o} {hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def git_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's settings; submodules may be files."""
    settings = tmp_path / "gitconfig"
    settings.write_text(
        '[user]\nname = A\nemail = a@b.c\n[init]\ndefaultBranch = main\n[protocol "file"]\nallow = always\n'
    )
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def checkout(tmp_path: Path, git_settings: None) -> Checkout:
    """An empty repository."""
    return empty(tmp_path / "project")


def empty(folder: Path) -> Checkout:
    """Make an empty repository in a new folder."""
    folder.mkdir()
    made = Checkout(folder)
    made.git("init", "--quiet")
    return made
