"""The gate of a repository at work: a bare remote, a clone per branch, real git."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMMAND = [
    "pytest",
    "-q",
    "-p",
    "no:randomly",
    "--kerasequiv-against",
    "origin/main...",
    "--kerasequiv-report",
]


def git(folder, *command):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    """The project in a bare repository."""
    folder = tmp_path_factory.mktemp("remote")
    shutil.copytree(HERE / "project", folder / "work", ignore=shutil.ignore_patterns("__pycache__"))
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "The project"]):
        git(folder / "work", *command)
    git(folder, "clone", "-q", "--bare", "work", "project.git")
    return folder / "project.git"


def run(remote, folder, branch):
    """Clone, commit the branch and run its gate; return the exit status, what is printed, and the report."""
    git(folder, "clone", "-q", str(remote), "clone")
    clone = folder / "clone"
    git(clone, "checkout", "-q", "-b", branch)
    shutil.copytree(HERE / "branches" / branch, clone, dirs_exist_ok=True)
    git(clone, "commit", "-qam", branch)
    git(clone, "push", "-q", "origin", branch)
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    command = [sys.executable, "-m", *COMMAND, str(folder / "report")]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    report = json.loads((folder / "report" / "report.json").read_text())
    return done.returncode, done.stdout, {row["name"]: row for row in report["against"]["builders"]}


def test_renamed_layers_that_moved_into_a_helper_are_proved_to_be_the_same(remote, tmp_path):
    status, printed, builders = run(remote, tmp_path, "rename")
    assert status == 0, printed
    assert builders["regressor"]["state"] == "unchanged (proved)"


def test_another_dropout_rate_fails_and_is_named(remote, tmp_path):
    status, _, builders = run(remote, tmp_path, "dropout")
    assert status == 1
    assert builders["regressor"]["state"] == "different"
    assert "rate is 0.1 in the reference and 0.3 in the candidate" in builders["regressor"]["cause"]


def test_another_scaling_of_the_data_is_judged_by_repeated_training(remote, tmp_path):
    status, _, builders = run(remote, tmp_path, "scaling")
    assert status == 1
    assert builders["regressor"]["state"] == "different"
    assert builders["regressor"]["cause"].startswith("training: mae: DIFFERENT")


def test_a_builder_that_is_added_is_new_and_does_not_fail(remote, tmp_path):
    status, printed, builders = run(remote, tmp_path, "addition")
    assert status == 0, printed
    assert builders["regressor"]["state"] == "unchanged (proved)"
    assert builders["smaller"]["state"] == "new"
