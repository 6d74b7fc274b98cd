"""Exit status, terminal, JUnit, report.json and summary.md tell the same story, whatever pytest is told."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import tensorflow as tf

from pytest_kerasequiv.keras_access.supported import is_before

TESTS = """
import unittest
import pytest

def test_good(keras_twins):
    keras_twins(script({}), name="good").assert_same_outputs()

@pytest.mark.bad
def test_bad(keras_twins):
    keras_twins(script({"outputs": "DIFFERENT"}), name="bad").assert_same_outputs()

@pytest.mark.bad
def test_plain():
    raise AssertionError

@pytest.mark.xfail
def test_expected(keras_twins):
    keras_twins(script({"outputs": "DIFFERENT"}), name="expected").assert_same_outputs()

class TestOld(unittest.TestCase):
    def test_old(self):
        assert compare(script({}), checks=["outputs"]).verdict == "EQUIVALENT"
"""
OPTIONS = [
    [],
    ["-q"],
    ["-vv"],
    ["-x"],
    ["--maxfail=2"],
    ["--tb=no"],
    ["-k", "good or old"],
    ["-k", "bad"],
    ["-m", "not bad"],
    ["-m", "bad"],
    ["-k", "nothing"],
    ["-p", "no:cacheprovider"],
    ["-p", "no:terminal"],
    ["-p", "no:warnings"],
    ["-W", "error"],
    ["--no-header", "--no-summary"],
    ["--runxfail"],
    ["--reruns=1"],
    ["--import-mode=importlib"],
    ["--capture=no"],
    ["--deselect=test_it.py::test_bad", "--deselect=test_it.py::test_plain"],
    ["-p", "randomly", "-p", "no:cacheprovider"],
    ["--stepwise"],
    ["--ff"],
    ["-n", "2", "-x"],
]


WRITTEN = ["--kerasequiv", "--kerasequiv-report=out", "--junitxml=out/junit.xml"]


def assert_one_story(folder: Path, result: pytest.RunResult, options: Sequence[str] = ()) -> None:
    """Read exit status, terminal, JUnit, report.json and summary.md, and compare what they tell."""
    page, summary, junit = (
        (folder / "out" / name).read_text() for name in ("report.json", "summary.md", "junit.xml")
    )
    session = json.loads(page)
    suite = ET.fromstring(junit).find("testsuite")
    assert suite is not None
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    told = re.search(r"Session (?:failed|interrupted): (\d+) tests? failed", summary)
    gate = "kerasequiv\\-gate" in summary or "no equivalence check ran" in summary
    assert (
        (result.ret == 0) == (session["outcome"] == "passed") == (failed == 0) == ("Session" not in summary)
    )
    assert (int(told[1]) if told else 0) + gate == failed
    different = session["counts"]["DIFFERENT"]
    assert len(re.findall(r"^\|.*\*\*DIFFERENT\*\* \|", summary, re.MULTILINE)) == different
    written = [case for case in suite.iter("property") if case.get("value") == "DIFFERENT"]
    assert bool(written) == bool(different)
    if "no:terminal" in options:
        return
    text = result.stdout.str()
    assert len(re.findall(r"^DIFFERENT ", text, re.MULTILINE)) == different or "--no-summary" in options
    counted = re.search(r"(\d+) failed", text)
    assert (int(counted[1]) if counted else 0) == failed


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_all_places_tell_the_same(
    scripted: pytest.Pytester, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--reruns=1" in options:
        pytest.importorskip("pytest_rerunfailures")
    if "randomly" in options:
        pytest.importorskip("pytest_randomly")
        monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    scripted.makepyfile(test_it=TESTS)
    scripted.makeini("[pytest]\nmarkers = bad: fails")
    result = scripted.runpytest(*WRITTEN, *options)
    assert_one_story(scripted.path, result, options)


def test_nested_folders_under_another_root_tell_the_same(scripted: pytest.Pytester) -> None:
    """Each folder has a conftest of its own; the session's root is elsewhere, and so is its ini file."""
    for name in ("one", "one/two"):
        folder = scripted.mkdir(name)
        (folder / "conftest.py").write_text("def pytest_runtest_setup(item): item.add_marker('bad')")
        (folder / f"test_{folder.name}.py").write_text(
            "from scripted_checks import compare, script\n" + TESTS
        )
    root = scripted.mkdir("root")
    (root / "other.ini").write_text("[pytest]\nmarkers = bad: fails")
    result = scripted.runpytest(*WRITTEN, "-c", "root/other.ini", "--rootdir=root", "one")
    assert_one_story(scripted.path, result)
    assert json.loads((scripted.path / "out" / "report.json").read_text())["counts"]["DIFFERENT"] == 4


def test_collecting_only_tells_nothing(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(test_it=TESTS)
    assert scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", "--collect-only").ret == 0
    assert not (scripted.path / "out").exists()


def test_last_failed_repeats_the_failed_ones_and_tells_of_these(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(test_it=TESTS)
    scripted.runpytest("--kerasequiv")
    result = scripted.runpytest(*WRITTEN, "--lf")
    result.assert_outcomes(failed=2)
    assert_one_story(scripted.path, result)
    session = json.loads((scripted.path / "out" / "report.json").read_text())
    assert [pair["name"] for pair in session["pairs"]] == ["bad"]


def test_python_told_otherwise(scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AssertionError is raised, not asserted: ``-O`` takes no check away. Nor do warnings end anything."""
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    if not is_before(tf, 2, 21):  # which cannot be imported without docstrings
        monkeypatch.setenv("PYTHONOPTIMIZE", "2")  # to Python the same as -OO
    scripted.makepyfile(test_it=TESTS)
    scripted.makeini("[pytest]\nmarkers = bad: fails")
    options = ["-k", "(bad or good) and not expected"]
    result = scripted.run(sys.executable, "-W", "error", "-X", "dev", "-m", "pytest", *WRITTEN, *options)
    assert result.ret == 1
    assert_one_story(scripted.path, result)
    session = json.loads((scripted.path / "out" / "report.json").read_text())
    assert (session["outcome"], session["counts"]["DIFFERENT"]) == ("failed", 1)
