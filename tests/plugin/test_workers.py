"""Sessions with pytest-xdist's workers tell what those in one process tell.

Each process that makes models has to import TensorFlow, so a few sessions hold many tests.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.common.warm import WarmSessions

from pytest_kerasequiv.reporting.session import SessionReport

pytest.importorskip("xdist")

IMPORT = "from scripted_checks import *\nfrom pytest_kerasequiv import assert_equivalent\n"
FILES = {
    "test_plain.py": IMPORT
    + """
def test_good(): assert_equivalent(script({}), checks=["outputs"], name="good")
def test_bad(): assert_equivalent(script({"outputs": "DIFFERENT"}), checks=["outputs"], name="bad")
""",
    "test_twins.py": IMPORT
    + """
import pathlib, pytest

def test_trained(keras_twins, record_property):
    record_property("mine", "kept")
    keras_twins(script({})).assert_equivalent(plan())

def test_proved(keras_twins):
    keras_twins(script({"program": "EQUIVALENT"})).assert_equivalent()

def test_stopped(keras_twins):
    keras_twins(script({"outputs": "DIFFERENT"})).assert_equivalent()

def test_caught(keras_twins):
    with pytest.raises(AssertionError):
        keras_twins(script({"outputs": "DIFFERENT"})).assert_same_outputs()

def test_again(keras_twins):
    tried = pathlib.Path("tried")
    again = tried.exists()
    tried.touch()
    keras_twins(script({} if again else {"outputs": "DIFFERENT"})).assert_same_outputs()

def test_broken(): raise RuntimeError("weights file is gone")
""",
    "test_pairs.py": IMPORT
    + """
from pytest_kerasequiv import parametrize_with_checks

OTHER = Twins(script({"graph": "DIFFERENT"}), name="b|<b>ad")
PAIRS = [(Twins(script({}), name="forecaster"), plan()), OTHER]

@parametrize_with_checks(PAIRS)
def test_twins(twins, check):
    check(twins)
""",
    "my_models.py": "from scripted_checks import ARRAYS, script\n"
    "good = script({})\ndef load(): return ARRAYS, ARRAYS\n",
    "pyproject.toml": """
[tool.pytest.ini_options]
[[tool.kerasequiv.twins]]
name = "declared"
reference = "my_models:good"
data = "my_models:load"
""",
}


@dataclass(frozen=True)
class Session:
    """What a session left behind."""

    folder: Path
    status: int
    output: str

    @property
    def report(self) -> SessionReport:
        return SessionReport.from_json((self.folder / "out" / "report.json").read_text())

    @property
    def summary(self) -> str:
        return (self.folder / "out" / "summary.md").read_text()

    @property
    def properties(self) -> dict[str, list[tuple[str | None, str | None]]]:
        cases = ET.parse(self.folder / "junit.xml").getroot().iter("testcase")
        return {
            f"{case.get('classname')}::{case.get('name')}": [
                (p.get("name"), p.get("value")) for p in case.iter("property")
            ]
            for case in cases
        }


Run = Callable[..., Session]


@pytest.fixture(scope="module")
def run(warm_sessions: WarmSessions) -> Run:
    """Run a session in a folder with these files."""

    def run(folder: Path, files: dict[str, str], *options: str) -> Session:
        folder.mkdir(exist_ok=True)
        scripted = Path(__file__).with_name("scripted_checks.py").read_text(encoding="utf-8")
        for name, text in {"scripted_checks.py": scripted, **files}.items():
            (folder / name).write_text(text, encoding="utf-8")
        plugins = ["-p", "no:randomly", "-p", "no:hypothesispytest"]
        unwanted = {"GITHUB_STEP_SUMMARY", "PYTEST_ADDOPTS"}
        environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        environment["PYTHONPATH"] = os.pathsep.join([str(folder), environment.get("PYTHONPATH", "")])
        printed = folder / "printed"
        running = warm_sessions.start(folder, [*plugins, *options], output=printed, environment=environment)
        output, _ = running.communicate(300)
        assert running.returncode is not None
        return Session(folder, running.returncode, output)

    return run


EVERYTHING = ["--kerasequiv", "--kerasequiv-report=out", "--junitxml=junit.xml", "--reruns=1", "-rA"]
TWO = ["-n", "2"]


@pytest.fixture(scope="module")
def alone(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Session:
    return run(tmp_path_factory.mktemp("alone"), FILES, *EVERYTHING)


@pytest.fixture(scope="module")
def shared(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Session:
    return run(tmp_path_factory.mktemp("shared"), FILES, *EVERYTHING, *TWO)


def outcomes(session: Session) -> set[tuple[str, str]]:
    marks = ("PASSED", "FAILED", "SKIPPED", "XFAIL", "ERROR", "RERUN")
    lines = [line.partition(" - ")[0].split(maxsplit=1) for line in session.output.splitlines()]
    found = [(words[0], words[1].partition("@")[0]) for words in lines if len(words) == 2]
    return {(mark, test) for mark, test in found if mark in marks}


def test_each_test_ends_alike(alone: Session, shared: Session) -> None:
    assert alone.status == shared.status == pytest.ExitCode.TESTS_FAILED
    assert outcomes(alone) == outcomes(shared)
    assert ("PASSED", "test_twins.py::test_again") in outcomes(shared)
    assert ("XFAIL", "pyproject.toml::declared-program") in outcomes(shared)


def test_the_same_pairs_are_gathered(alone: Session, shared: Session) -> None:
    told = [
        [(pair.name, pair.verdict, pair.evidence, tuple(pair.checks), dict(pair.not_run)) for pair in session]
        for session in (alone.report.pairs, shared.report.pairs)
    ]
    assert told[0] == told[1]
    verdicts = {name: verdict.value for name, verdict, *_ in told[1]}
    assert verdicts == {
        "good": "EQUIVALENT",
        "bad": "DIFFERENT",
        "test_trained": "EQUIVALENT",
        "test_proved": "EQUIVALENT",
        "test_stopped": "DIFFERENT",
        "test_caught": "DIFFERENT",
        "test_again": "EQUIVALENT",
        "forecaster": "EQUIVALENT",
        "b|<b>ad": "EQUIVALENT",
        "declared": "EQUIVALENT",
    }
    counts = {name: len(checks) for name, _, _, checks, _ in told[1]}
    assert (counts["forecaster"], counts["declared"], counts["b|<b>ad"]) == (8, 8, 7)


def test_what_a_difference_left_open_travels(shared: Session) -> None:
    stopped = next(pair for pair in shared.report.pairs if pair.name == "test_stopped")
    assert stopped.not_run == dict.fromkeys(("gradients", "updates"), "outputs already differ")
    assert "    not run:      gradients updates (outputs already differ)" in shared.output.splitlines()


def test_properties_in_junit_are_the_same(alone: Session, shared: Session) -> None:
    assert alone.properties == shared.properties
    trained = dict(shared.properties["test_twins::test_trained"])
    assert (trained["mine"], trained["kerasequiv_mae_ci90"]) == ("kept", "[-0.25, 0.5]")
    assert "kerasequiv_record" not in trained
    assert dict(shared.properties["test_twins::test_stopped"])["kerasequiv_updates"].startswith("not run")


def test_the_pages_say_the_same(alone: Session, shared: Session) -> None:
    for session in (alone, shared):
        text = session.summary.replace("\\", "")
        assert "Session failed: 3 tests failed; 1 of them compared nothing" in text
        assert "test_twins.py::test_broken" in text
        assert text.count("expected failure, or kerasequiv_inconclusive = warn") == 1
        assert "b|&lt;b&gt;ad" in (session.folder / "out" / "report.html").read_text()
        assert session.output.count("written: ") == 3
        assert "kerasequiv-gate" not in session.output


NOTHING = {"test_it.py": "def test_it(): pass\n"}


@pytest.mark.parametrize("test", ["pass", "import pytest; pytest.skip('not today')"])
def test_nothing_compared_shuts_the_gate(run: Run, tmp_path: Path, test: str) -> None:
    session = run(
        tmp_path / "x", {"test_it.py": f"def test_it(keras_twins): {test}\n"}, *EVERYTHING, "-n", "2"
    )
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "FAILED kerasequiv-gate" in session.output
    assert "nothing was compared, so nothing was shown." in session.output
    assert ET.parse(tmp_path / "x" / "junit.xml").getroot()[0].get("failures") == "1"
    assert "**Session failed: --kerasequiv was given but no equivalence check ran" in session.summary.replace(
        "\\", ""
    )


def test_without_the_flag_the_gate_is_open(run: Run, tmp_path: Path) -> None:
    session = run(tmp_path / "x", NOTHING, "-n", "2")
    assert session.status == pytest.ExitCode.OK
    assert "equivalence" not in session.output


@pytest.mark.parametrize("option", ["--collect-only", "--setup-plan"])
def test_a_session_that_runs_no_test_leaves_the_report(run: Run, tmp_path: Path, option: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text("of the last session")
    session = run(tmp_path, NOTHING, "--kerasequiv", "--kerasequiv-report=out", option, "-n", "2")
    assert session.status in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    assert "kerasequiv-gate" not in session.output
    assert (tmp_path / "out" / "report.json").read_text() == "of the last session"


def test_a_file_that_cannot_be_collected_and_a_declaration_that_is_no_toml(run: Run, tmp_path: Path) -> None:
    broken = {"test_typo.py": "import no_such_module\n", "pyproject.toml": "[[tool.kerasequiv.twins]\n"}
    session = run(
        tmp_path / "x", {**NOTHING, **broken}, "-c", os.devnull, "--rootdir=.", *EVERYTHING, "-n", "2", "."
    )
    assert session.status != pytest.ExitCode.OK
    assert "- test\\_typo.py" in session.summary
    assert "pyproject.toml: the file cannot be read as TOML: " in session.output


INFORMING = {
    "test_pairs.py": FILES["test_pairs.py"]
    + """
import pytest

@pytest.fixture(autouse=True)
def never(request):
    if "graph" not in request.node.name: pytest.skip("not today")
""",
}


def test_numeric_checks_that_were_to_decide_but_did_not_run_shut_the_gate(run: Run, tmp_path: Path) -> None:
    session = run(tmp_path / "x", INFORMING, *EVERYTHING, "-n", "1")
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert (
        "differences that summary, graph or program found were left to numeric checks, but none"
        in session.output
    )


def test_an_interrupted_session_says_so(run: Run, tmp_path: Path) -> None:
    stops = """
def pytest_runtest_logreport(report):
    if report.when == "call" and report.failed:
        raise KeyboardInterrupt
"""
    files = {"conftest.py": stops, "test_plain.py": FILES["test_plain.py"]}
    session = run(tmp_path / "x", files, "--kerasequiv", "--kerasequiv-report=out", "-n", "1")
    assert session.status == pytest.ExitCode.INTERRUPTED
    assert "**Session interrupted: 1 test failed**" in session.summary
