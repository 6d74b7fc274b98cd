from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pytest_kerasequiv.reporting.files import NAMES
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
    assert session.command.startswith("PYTEST_ADDOPTS='-p no:randomly -p no:hypothesispytest' pytest ")
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


READS_ITS_REPORT = """
def test_it():
    for name in ("report.html", "report.json", "summary.md"):
        assert "running" in open(f"out/{name}").read()
    assert compare(script({})).verdict == "EQUIVALENT"
"""


def test_a_session_that_runs_has_replaced_the_report_of_an_earlier_one(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(READS_ITS_REPORT)
    scripted.mkdir("out")
    for name in NAMES:
        (scripted.path / "out" / name).write_text("passed")
    assert scripted.runpytest("--kerasequiv", "--kerasequiv-report=out").ret == 0
    assert SessionReport.from_json((scripted.path / "out" / "report.json").read_text()).outcome == "passed"
    assert sorted(path.name for path in (scripted.path / "out").iterdir()) == sorted(NAMES)


def test_a_session_that_shows_something_leaves_the_report_alone(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(PAIRS)
    scripted.mkdir("out")
    (scripted.path / "out" / "report.json").write_text("passed")
    scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", "--collect-only")
    assert (scripted.path / "out" / "report.json").read_text() == "passed"


def test_a_killed_session_leaves_no_report_that_passed(scripted: pytest.Pytester) -> None:
    scripted.makepyfile("def test_it():\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)")
    scripted.mkdir("out")
    (scripted.path / "out" / "report.json").write_text('{"outcome": "passed"}')
    scripted.runpytest_subprocess("--kerasequiv", "--kerasequiv-report=out")
    assert SessionReport.from_json((scripted.path / "out" / "report.json").read_text()).outcome == "running"
    assert "where it stays, the session was killed" in (scripted.path / "out" / "summary.md").read_text()


def test_a_full_disk_leaves_no_half_written_report_and_no_older_one(
    scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.makepyfile(PAIRS.replace("BAD]", "GOOD.__class__(script({}))]"))
    scripted.mkdir("out")
    for name in NAMES:
        (scripted.path / "out" / name).write_text("passed")
    write = Path.write_text

    def full(path: Path, text: str, **options: Any) -> int:
        if path.name.startswith(".report.json"):
            write(path, text[:40], **options)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*--kerasequiv-report out: the report cannot be written:*No space left*"])
    assert list((scripted.path / "out").iterdir()) == []


def test_an_interrupted_session_is_told_in_all_three(scripted: pytest.Pytester) -> None:
    scripted.makepyfile("def test_it():\n    compare(script({}))\n    raise KeyboardInterrupt")
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", no_reraise_ctrlc=True)
    assert result.ret == 2
    folder = scripted.path / "out"
    assert SessionReport.from_json((folder / "report.json").read_text()).outcome == "interrupted"
    assert "Session interrupted" in (folder / "summary.md").read_text()
    assert "Session interrupted" in (folder / "report.html").read_text()


STEERING = "a\x1b[2Jb\u202ec\nEQUIVALENT d\x07</script>|\x00\ud800\r"


def test_names_of_users_steer_nothing(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        "import scripted_checks\n"
        "from pytest_kerasequiv.verdict import Finding, CheckResult, Verdict\n"
        f"NAME = {STEERING!r}\n"
        "FINDING = Finding('outputs', NAME, NAME, NAME, NAME, NAME, NAME)\n"
        "RESULT = CheckResult('outputs', Verdict.DIFFERENT, None, (FINDING,))\n"
        "FIGURES = {'metrics': {NAME: scripted_checks.FIGURES['metrics']['mae']}}\n"
        "TRAINED = CheckResult('training', Verdict.EQUIVALENT, None, (), FIGURES)\n"
        "def test_it(keras_twins):\n"
        "    pair = script({'outputs': RESULT, 'training': TRAINED})\n"
        "    twins = keras_twins(pair, name=NAME + 'x' * 10_000)\n"
        "    twins.assert_same_training(plan())\n"
        "    twins.assert_same_outputs()"
    )
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", "--junitxml=out/junit.xml")
    assert result.ret == 1
    folder = scripted.path / "out"
    shown = [result.stdout.str(), *((folder / name).read_text() for name in ("report.html", "summary.md"))]
    for text in shown:
        assert not [char for char in "\x1b\u202e\x07\x00\ud800\r" if char in text]
        assert "\\x1b" in text.replace("\\\\", "\\")
    assert not [
        line for text in (shown[0], shown[2]) for line in text.splitlines() if line[:12] == "EQUIVALENT d"
    ]
    assert "</script>" not in shown[1]
    assert ET.parse(folder / "junit.xml").getroot().tag == "testsuites"
    assert len(list(folder.iterdir())) == 4


def test_secrets_of_the_command_line_are_in_no_report(
    scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.makeconftest(
        "import scripted_checks\n"
        "def pytest_addoption(parser):\n"
        "    parser.addoption('--api-token')\n"
        "    parser.addini('api_token', '')"
    )
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly --api-token=hush1")
    scripted.makepyfile("def test_it():\n    compare(script({}))")
    options = ["--kerasequiv", "--kerasequiv-report=out", "--api-token", "hush2", "-o", "api_token=hush3"]
    assert scripted.runpytest(*options).ret == 0
    texts = [path.read_text() for path in (scripted.path / "out").iterdir()]
    assert len(texts) == 3
    assert not [text for text in texts if "hush" in text]
    command = SessionReport.from_json((scripted.path / "out" / "report.json").read_text()).command
    assert command.startswith("PYTEST_ADDOPTS='-p no:randomly '")
    assert "--api-token '***' -o 'api_token=***'" in command


def test_no_variable_of_the_environment_is_in_a_report(
    scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_VARIABLE", "hush")
    scripted.makepyfile("def test_it():\n    compare(script({}), checks='all')")
    before = os.umask(0o027)
    try:
        scripted.runpytest("--kerasequiv", "--kerasequiv-report=out")
    finally:
        os.umask(before)
    for path in (scripted.path / "out").iterdir():
        assert "hush" not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640, "files follow the user's umask"


def test_the_home_folder_is_in_no_report(scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(scripted.path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(scripted.path / "step.md"))
    scripted.makepyfile(
        "def test_it():\n"
        "    compare(script({'outputs': OSError(f'no such file: {__file__}')}), name=__file__, checks='all')"
    )
    scripted.runpytest("--kerasequiv", "--kerasequiv-report=out")
    for name in (*(f"out/{name}" for name in NAMES), "step.md"):
        text = (scripted.path / name).read_text()
        assert f"{scripted.path}/" not in text
        assert "~/" in text.replace("\\", "")


def test_subtests_are_counted_as_the_terminal_counts_them(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        def test_it(subtests):
            compare(script({}))
            for number in range(3):
                with subtests.test(number=number):
                    assert number == 1
        """
    )
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out")
    result.stdout.fnmatch_lines(["*= 3 failed*"])
    assert (
        "Session failed: 1 test and 2 subtests failed" in (scripted.path / "out" / "summary.md").read_text()
    )
