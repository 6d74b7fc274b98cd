from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_kerasequiv.reporting.session import SessionReport

WORKERS = pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one-process", "two-workers"])
PAIRS = """
from scripted_floors import Training, Twins
from pytest_kerasequiv import parametrize_with_checks

GOOD = Twins({}, name="good")
BAD = Twins({"outputs": "DIFFERENT"}, name="b|<b>ad")

@parametrize_with_checks([(GOOD, Training()), BAD])
def test_twins(twins, check):
    check(twins)
"""


@WORKERS
def test_three_files_with_all_pairs(scripted: pytest.Pytester, workers: list[str]) -> None:
    scripted.makepyfile(PAIRS)
    result = scripted.runpytest_subprocess("--kerasequiv", "--kerasequiv-report=out/deep", *workers)
    folder = scripted.path / "out" / "deep"
    names = ["report.html", "report.json", "summary.md"]
    assert sorted(path.name for path in folder.iterdir()) == names
    result.stdout.fnmatch_lines([f"written: {folder / name}" for name in names])
    session = SessionReport.from_json((folder / "report.json").read_text())
    assert [(pair.name, pair.verdict.value, len(pair.checks)) for pair in session.pairs] == [
        ("b|<b>ad", "DIFFERENT", 7),
        ("good", "EQUIVALENT", 8),
    ]
    assert session.outcome == "failed"
    assert session.command.startswith("pytest ")
    assert "--kerasequiv-report=out/deep" in session.command
    assert session.settings["enabled"] is True
    page = (folder / "report.html").read_text()
    assert "b|&lt;b&gt;ad" in page
    assert "<b>ad" not in page
    assert "| good | EQUIVALENT | statistical | 8 |" in (folder / "summary.md").read_text()


@WORKERS
def test_plain_comparisons_are_reported_without_the_flag(
    scripted: pytest.Pytester, workers: list[str]
) -> None:
    scripted.makepyfile(
        "def test_it():\n"
        "    from pytest_kerasequiv import assert_equivalent\n"
        "    assert_equivalent({}, checks=['outputs'])"
    )
    scripted.runpytest_subprocess("--kerasequiv-report=out", *workers).assert_outcomes(passed=1)
    session = SessionReport.from_json((scripted.path / "out" / "report.json").read_text())
    assert [(pair.verdict.value, list(pair.checks)) for pair in session.pairs] == [
        ("EQUIVALENT", ["outputs"])
    ]


def test_without_the_option_nothing_is_written(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(PAIRS)
    before = set(scripted.path.iterdir())
    result = scripted.runpytest("--kerasequiv", "-p", "no:cacheprovider")
    assert "written:" not in result.stdout.str()
    assert {path.name for path in set(scripted.path.iterdir()) - before} <= {"__pycache__"}


def test_the_ini_file_names_the_folder_too(scripted: pytest.Pytester) -> None:
    scripted.makeini("[pytest]\nkerasequiv_report = out")
    scripted.makepyfile("def test_it(keras_twins): keras_twins({}).assert_same_outputs()")
    result = scripted.runpytest()
    result.stdout.fnmatch_lines(["written: *report.html"])
    assert "INCONCLUSIVE" not in result.stdout.str()


@WORKERS
def test_the_summary_is_appended_for_github(
    scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: list[str]
) -> None:
    target = scripted.path / "step.md"
    target.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    scripted.makepyfile("def test_it(keras_twins): keras_twins({}).assert_same_outputs()")
    scripted.runpytest_subprocess("--kerasequiv", "--kerasequiv-report=out", *workers)
    text = target.read_text()
    assert text.startswith("before\n## Equivalence of Keras models")
    assert text.count("## Equivalence") == 1


def test_an_empty_session_still_writes_a_whole_report(scripted: pytest.Pytester) -> None:
    scripted.makepyfile("def test_it(): pass")
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    data = json.loads((scripted.path / "out" / "report.json").read_text())
    assert (data["pairs"], data["outcome"]) == ([], "failed")
    assert "No equivalence check ran." in (scripted.path / "out" / "summary.md").read_text()


def test_a_folder_that_cannot_be_made_fails_the_session(scripted: pytest.Pytester) -> None:
    scripted.makepyfile("def test_it(keras_twins): keras_twins({}).assert_same_outputs()")
    Path(scripted.path / "taken").write_text("a file")
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=taken")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*--kerasequiv-report taken: the report cannot be written: *"])


def test_a_session_stopped_early_has_what_it_had(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(PAIRS)
    scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", "-x", "-p", "no:randomly")
    session = SessionReport.from_json((scripted.path / "out" / "report.json").read_text())
    assert session.outcome == "failed"
    assert [pair.name for pair in session.pairs] == ["b|<b>ad", "good"]
    assert "training" not in session.pairs[1].checks
