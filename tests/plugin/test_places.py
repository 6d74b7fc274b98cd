"""Places that take nothing: what is said, what stays, and what the session is worth all the same."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from tests.common.in_process import load_package

from pytest_kerasequiv.reporting.files import NAMES

load_package()

NET = """
import keras
import numpy as np
from pytest_kerasequiv import Training

X = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
DATA = (X, X[:, :1])

def net():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
"""
TESTS = {
    "report": "def test_it(keras_twins):\n    keras_twins(net).assert_same_summary()",
    "cache": "def test_it(keras_twins):\n"
    "    plan = Training(DATA, DATA, seeds=10, engine='fit', margin=1e6)\n"
    "    twins = keras_twins(net)\n"
    "    twins.assert_same_training(plan)\n"
    "    print(twins.report['training'].figures['reason'])\n",
    "recording": "def test_it(keras_twins):\n    keras_twins(net, recording='net').assert_equivalent()",
}
OPTIONS = {"report": ["--kerasequiv-report=out"], "cache": ["-rP"], "recording": ["--kerasequiv-record"]}
FOLDERS = {"report": "out", "cache": ".pytest_cache", "recording": "recordings"}
SAID = {
    "report": "FAILED kerasequiv-gate - --kerasequiv-report out: the report cannot be written: [[]Errno",
    "cache": "finished runs are not kept for the next session: ",
    "recording": "InputError: the recording '*net.kerasequiv' cannot be written: [[]Errno",
}
OUTCOMES = {"report": (1, 1, 1), "cache": (0, 1, 0), "recording": (1, 0, 1)}
"""Exit status, passed and failed: only who asked for the report or the recording is let down without it."""


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """Let a folder be a file system of its own."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def full_disk(place: Path) -> Iterator[None]:
    with mounted(place, "size=64k"):
        (place / "fills").write_bytes(bytes(60_000))
        with suppress(OSError), (place / "fills").open("ab", buffering=0) as fills:
            while fills.write(bytes(100)):
                pass
        yield


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    if os.geteuid() == 0:  # whom modes do not keep from writing
        with mounted(place, "ro"):
            yield
    else:
        place.mkdir(mode=0o555)
        yield


@contextmanager
def a_file(place: Path) -> Iterator[None]:
    place.write_text("mine")
    yield
    assert place.read_text() == "mine"


@contextmanager
def quota(place: Path) -> Iterator[None]:
    """Let no file of this process grow beyond 350 bytes: what is written beyond fails, as over a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (350, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


Trouble = Callable[[Path], AbstractContextManager[None]]
TROUBLES: dict[str, Trouble] = {
    "full disk": full_disk,
    "read-only folder": read_only,
    "a file instead": a_file,
    "quota": quota,
}


@pytest.fixture
def folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder in which pytest writes no files but those that are asked for."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -p no:hypothesispytest --capture=sys")
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return pytester


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("what", FOLDERS)
def test_a_place_that_takes_nothing(what: str, trouble: str, folder: pytest.Pytester) -> None:
    place = folder.path / FOLDERS[what]
    folder.makepyfile(NET + TESTS[what])
    with TROUBLES[trouble](place):
        result = folder.runpytest("--kerasequiv", *OPTIONS[what])
        left = [path.name for path in place.rglob("*")] if place.is_dir() else []
    status, passed, failed = OUTCOMES[what]
    outcomes = result.parseoutcomes()
    assert (result.ret, outcomes.get("passed", 0), outcomes.get("failed", 0)) == (status, passed, failed)
    result.stdout.fnmatch_lines([f"*{SAID[what]}*"])
    told = [line for line in result.outlines if "[Errno" in line]
    assert sorted(told) == sorted(set(told)), "it is said once"
    ours = {*NAMES, "net.kerasequiv"}
    assert [name for name in left if name in ours or name.endswith((".part", ".json"))] == []


def test_the_summary_of_a_job_on_a_full_disk(
    folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/dev/full")
    folder.makepyfile(NET + TESTS["report"])
    result = folder.runpytest("--kerasequiv", "--kerasequiv-report=out")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*GITHUB_STEP_SUMMARY=/dev/full: the summary cannot be appended*No space*"])
    assert sorted(path.name for path in (folder.path / "out").iterdir()) == list(NAMES)
