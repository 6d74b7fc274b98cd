"""Every code block of the guides runs, in the order of its page, in a folder of its page's own.

A Python or TOML block that begins with a comment naming a file becomes that file. Other Python blocks share
one namespace and run at once. Shell blocks run their pytest commands. YAML blocks are read, and the pytest
commands in them must collect.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.common.in_process import load_package, run_script

load_package()

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
PAGES.remove(ROOT / "docs" / "differences.md")  # run by a test of its own, which reads what it prints
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w./-]+\.\w+)\n")
SHOWN_ONLY = {"text", "console"}


def blocks(page: Path) -> list[tuple[str, str]]:
    return FENCE.findall(page.read_text(encoding="utf-8"))


class Folder:
    """Where the blocks of one page run."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.monkeypatch = monkeypatch
        self.path = pytester.path
        self.lines: list[str] = []
        monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -p no:hypothesispytest")
        monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def take(self, language: str, code: str) -> None:
        named = FILE.match(code)
        if named and language != "yaml":
            self.write(named[1], code)
        elif language == "python":
            self.lines.append(code)
        elif language == "toml":
            tomllib.loads(code)
        elif language == "sh":
            for line in code.splitlines():
                if line.startswith("pytest"):
                    self.pytest(*shlex.split(line)[1:])
        elif language == "yaml":
            self.check_yaml(code)
        else:
            assert language in SHOWN_ONLY, f"nothing here runs a block of {language!r}"

    def write(self, name: str, code: str) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(code, encoding="utf-8")

    def run_python(self) -> None:
        if self.lines:
            self.write("page.py", "\n\n".join(self.lines))
            run_script(self.path / "page.py", self.monkeypatch)

    def commit(self) -> None:
        """Make a repository of the folder whose origin/main is what lies there."""
        for name, value in {"GITHUB_BASE_REF": "main", "CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD"}.items():
            self.monkeypatch.setenv(name, value)
        identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
        for command in (
            ["init", "-q"],
            ["add", "."],
            ["commit", "-qm", "as it lies", "--allow-empty"],
            ["update-ref", "refs/remotes/origin/main", "HEAD"],
        ):
            subprocess.run(["git", *identity, *command], cwd=self.path, check=True, capture_output=True)

    def check_yaml(self, code: str) -> None:
        commands = re.findall(r"(?:run:|-) (pytest .*)", code)
        assert commands
        for command in commands:
            self.commit()
            words = shlex.split(os.path.expandvars(command))[1:]
            self.pytest("--collect-only", "-q", *words, "-n", "0")

    def pytest(self, *options: str) -> None:
        if any(option.startswith("--kerasequiv-against") for option in options):
            self.commit()
        assert self.pytester.runpytest_inprocess(*options).ret == 0, shlex.join(options)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_the_blocks_of_a_page_run(
    page: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(pytester, monkeypatch)
    found = blocks(page)
    for language, code in sorted(found, key=lambda block: FILE.match(block[1]) is None):
        folder.take(language, code)
    folder.run_python()
    if (folder.path / "conftest.py").exists():
        folder.write("test_nothing.py", "def test_nothing(): pass")
        folder.pytest("test_nothing.py")


@pytest.mark.slow
def test_what_the_page_on_differences_shows_is_what_is_printed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(pytester, monkeypatch)
    found = blocks(ROOT / "docs" / "differences.md")
    for language, code in found:
        folder.take(language, code)
    capsys.readouterr()
    folder.run_python()
    shown = "".join(code for language, code in found if language == "text")
    assert capsys.readouterr().out == shown


TRAINS = """
import my_models

from pytest_kerasequiv import Training


def test_it(keras_twins):
    twins = keras_twins(
        my_models.sequential, my_models.functional, compile={"optimizer": "adam", "loss": "mse"}
    )
    plan = Training(*my_models.load(), seeds=4, engine="fit", margin="5sd")
    figures = twins.check("training", training=plan).figures
    assert "on ProcessPoolExecutor" in figures["reason"], figures["reason"]
    assert figures["failed"] == {"reference": {}, "candidate": {}}
"""


@pytest.mark.slow
def test_the_executor_of_the_cluster_page_trains(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(pytester, monkeypatch)
    files = [*blocks(ROOT / "docs" / "cluster.md"), *blocks(ROOT / "docs" / "gate.md")]
    for name in ("conftest.py", "my_models.py"):
        (code,) = [code for _, code in files if code.startswith(f"# {name}\n")]
        folder.write(name, code.replace("max_workers=4", "max_workers=1"))  # each imports TensorFlow
    folder.write("test_it.py", TRAINS)
    folder.pytest("--kerasequiv", "--kerasequiv-no-cache", "-o", "faulthandler_timeout=120")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_page_of_options_names_them_all() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    options = set(re.findall(r"--kerasequiv[\w-]*", done.stdout))
    page = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert options == set(re.findall(r"--kerasequiv[\w-]*", page))
    ini = set(re.findall(r"^  (kerasequiv_\w+)", done.stdout, re.MULTILINE))
    assert ini == set(re.findall(r"\| `(kerasequiv_\w+)` \|", page))
