from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_kerasequiv.reporting.session import SessionReport

PAIRS = """
from pytest_kerasequiv import parametrize_with_checks

GOOD = Twins(script({}), name="good")
BAD = Twins(script({"outputs": "DIFFERENT"}), name="b|<b>ad")

@parametrize_with_checks([(GOOD, plan()), BAD])
def test_twins(twins, check):
    check(twins)
"""


def test_three_files_with_all_pairs(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(PAIRS)
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out/deep")
    folder = scripted.path / "out" / "deep"
    names = ["report.html", "report.json", "summary.md"]
    assert sorted(path.name for path in folder.iterdir()) == names
    result.stdout.fnmatch_lines([f"written: {folder / name}" for name in names])
    session = SessionReport.from_json((folder / "report.json").read_text())
    assert [(pair.name, pair.verdict.value, len(pair.checks)) for pair in session.pairs] == [
        ("b|<b>ad", "DIFFERENT", 5),
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


def test_plain_comparisons_are_reported_without_the_flag(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        "def test_it():\n"
        "    from pytest_kerasequiv import assert_equivalent\n"
        "    assert_equivalent(script({}), checks=['outputs'])"
    )
    scripted.runpytest("--kerasequiv-report=out").assert_outcomes(passed=1)
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
    scripted.makepyfile("def test_it(keras_twins): keras_twins(script({})).assert_same_outputs()")
    result = scripted.runpytest()
    result.stdout.fnmatch_lines(["written: *report.html"])
    assert "INCONCLUSIVE" not in result.stdout.str()


def test_the_summary_is_appended_for_github(
    scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = scripted.path / "step.md"
    target.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    scripted.makepyfile("def test_it(keras_twins): keras_twins(script({})).assert_same_outputs()")
    scripted.runpytest("--kerasequiv", "--kerasequiv-report=out")
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
    scripted.makepyfile("def test_it(keras_twins): keras_twins(script({})).assert_same_outputs()")
    Path(scripted.path / "taken").write_text("a file")
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=taken")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*--kerasequiv-report taken: the report cannot be written: *"])


def test_a_summary_file_that_cannot_be_written_is_named(
    scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = scripted.path / "no" / "such" / "folder.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    scripted.makepyfile("def test_it(keras_twins): keras_twins(script({})).assert_same_outputs()")
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*GITHUB_STEP_SUMMARY={target}: *", "written: *summary.md"])
    assert "the report cannot be written" not in result.stdout.str()


MIXED = """
import pytest

def test_good(keras_twins):
    keras_twins(script({})).assert_same_outputs()

def test_bad(keras_twins):
    keras_twins(script({"outputs": "DIFFERENT"})).assert_same_outputs()

def test_broken(keras_twins):
    raise RuntimeError("weights file is gone")

def test_caught(keras_twins):
    with pytest.raises(AssertionError):
        keras_twins(script({"outputs": "DIFFERENT"})).assert_same_outputs()
"""
NOTE = "expected failure, or kerasequiv_inconclusive = warn"


def test_the_pages_say_how_the_session_ended_and_what_was_expected(
    scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(scripted.path / "step.md"))
    scripted.makepyfile(test_mixed=MIXED)
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out")
    assert result.stdout.str().count(NOTE) == 1
    for path in ("out/summary.md", "step.md", "out/report.html"):
        text = (scripted.path / path).read_text().replace("\\", "")
        assert "Session failed: 2 tests failed; 1 of them compared nothing" in text
        assert text.count(NOTE) == 1
        assert "test_mixed.py::test_broken" in text
        assert "test_mixed.py::test_bad" not in text
    summary = (scripted.path / "out" / "summary.md").read_text().splitlines()
    assert summary[2].startswith("**Session failed")
    block = summary[summary.index("**test\\_caught**") :]
    assert f"- {NOTE}" in block


def test_an_expected_difference_is_said_to_be_one_where_all_passed(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(MIXED)
    scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", "-k", "caught")
    text = (scripted.path / "out" / "summary.md").read_text()
    assert NOTE in text
    assert "Session" not in text


def test_a_shut_gate_is_on_top_of_the_summary(scripted: pytest.Pytester) -> None:
    scripted.makepyfile("def test_it(): pass")
    scripted.runpytest("--kerasequiv", "--kerasequiv-report=out")
    text = (scripted.path / "out" / "summary.md").read_text().replace("\\", "")
    assert (
        "**Session failed: --kerasequiv was given but no equivalence check ran: nothing was compared" in text
    )


def test_a_file_that_cannot_be_collected_is_named(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(test_mixed=MIXED, test_typo="import no_such_module")
    scripted.runpytest("--kerasequiv", "--kerasequiv-report=out")
    text = (scripted.path / "out" / "summary.md").read_text().replace("\\", "")
    assert "1 error during collection**" in text
    assert "\n- test_typo.py\n" in text


def test_a_session_that_was_interrupted_says_so(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(MIXED)
    scripted.makeconftest(
        """
        import scripted_checks

        def pytest_runtest_logreport(report):
            if report.when == "call" and report.failed:
                raise KeyboardInterrupt
        """
    )
    options = ["--kerasequiv", "--kerasequiv-report=out", "-k", "bad"]
    result = scripted.runpytest(*options, no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "**Session interrupted: 1 test failed**" in (scripted.path / "out" / "summary.md").read_text()


def test_a_rerun_that_passed_is_no_failure(scripted: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    scripted.makepyfile(
        """
        import pathlib

        def test_it(keras_twins):
            tried = pathlib.Path("tried")
            again = tried.exists()
            tried.touch()
            assert again
            keras_twins(script({})).assert_same_outputs()
        """
    )
    assert scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", "--reruns=1").ret == 0
    assert "Session" not in (scripted.path / "out" / "summary.md").read_text()


def test_a_session_stopped_early_has_what_it_had(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(PAIRS)
    scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", "-x", "-p", "no:randomly")
    session = SessionReport.from_json((scripted.path / "out" / "report.json").read_text())
    assert session.outcome == "failed"
    assert [pair.name for pair in session.pairs] == ["b|<b>ad", "good"]
    assert "training" not in session.pairs[1].checks
