"""How trainings are run: executors, the cache of finished runs, the progress."""

from __future__ import annotations

import os
import pty
import select
from pathlib import Path

import pytest
from tests.common.warm import WarmSessions

ONE = """

def test_it(keras_twins):
    keras_twins(script({})).assert_same_training(plan())
    options = CALLS[-1][1]
    print("GOT", type(options["executor"]).__name__, getattr(options["executor"], "workers", ""))
    print("KEPT", options["cache"] and options["cache"]._directory)
"""


def test_in_process_by_default_and_kept_in_the_cache_folder(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(ONE)
    text = scripted.runpytest("-s", "--kerasequiv").stdout.str()
    assert "GOT NoneType" in text
    assert f"KEPT {scripted.path / '.pytest_cache' / 'd' / 'kerasequiv'}" in text


def test_workers_and_no_cache(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(ONE)
    text = scripted.runpytest(
        "-s", "--kerasequiv", "--kerasequiv-workers=2", "--kerasequiv-no-cache"
    ).stdout.str()
    assert "GOT LocalProcesses 2" in text
    assert "KEPT None" in text


def test_without_the_cache_provider_runs_are_kept_in_memory(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(ONE.replace("._directory", ".__class__.__name__"))
    assert "KEPT RunCache" in scripted.runpytest("-s", "--kerasequiv", "-p", "no:cacheprovider").stdout.str()
    assert not (scripted.path / ".pytest_cache").exists()


def test_a_cache_folder_that_cannot_be_made_costs_time_only(scripted: pytest.Pytester) -> None:
    (scripted.path / "taken").write_text("a file")
    scripted.makepyfile(
        "def test_one(keras_twins): keras_twins(script({})).assert_same_training(plan())\n"
        "def test_two(keras_twins): keras_twins(script({})).assert_same_training(plan())\n"
    )
    options = ["--kerasequiv", "-o", "cache_dir=taken/cache", "-W", "default"]
    result = scripted.runpytest(*options)
    result.assert_outcomes(passed=2, warnings=result.parseoutcomes()["warnings"])
    said = "PytestCacheWarning: finished runs are not kept for the next session"
    assert result.stdout.str().count(said) == 1
    result.stdout.fnmatch_lines([f"*{said}: the cache folder cannot be made: *taken*"])


@pytest.mark.parametrize("workers", ["0", "many", "http://here"])
def test_workers_that_are_none(scripted: pytest.Pytester, workers: str) -> None:
    result = scripted.runpytest(f"--kerasequiv-workers={workers}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--kerasequiv-workers: '{workers}' names no workers; give a number*"])


def on_a_terminal(sessions: WarmSessions, folder: Path, *options: str) -> str:
    """Run pytest as a terminal sees it."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    running = sessions.start(folder, options, output=Path(os.ttyname(theirs)), environment=environment)
    seen = b""
    while select.select([ours], [], [], 0.1)[0] or running.poll() is None:
        if select.select([ours], [], [], 0)[0]:
            seen += os.read(ours, 65536)
    os.close(ours)
    os.close(theirs)
    assert running.returncode == 0
    return seen.decode()


def test_a_terminal_shows_a_bar_although_output_is_captured(
    scripted: pytest.Pytester, warm_sessions: WarmSessions
) -> None:
    scripted.makepyfile(ONE)
    seen = on_a_terminal(warm_sessions, scripted.path, "--kerasequiv")
    assert "test_it: reference" in seen
    assert "2/2" in seen
    assert "1 passed" in seen


def test_quiet_shows_no_bar(scripted: pytest.Pytester, warm_sessions: WarmSessions) -> None:
    scripted.makepyfile(ONE)
    assert "2/2" not in on_a_terminal(warm_sessions, scripted.path, "-q", "--kerasequiv")


def test_a_file_gets_a_line_now_and_then(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(ONE)
    assert "2 of 2 runs" not in scripted.runpytest("--kerasequiv").stdout.str()
    scripted.makeconftest(
        "import scripted_checks, pytest_kerasequiv.plugin.progress as p\n"
        "def pytest_configure(): p.SECONDS_BETWEEN_LINES = 0.0\n"
    )
    lines = scripted.runpytest("--kerasequiv").stdout
    lines.fnmatch_lines(
        ["kerasequiv: test_it: 1 of 2 runs in 2 s", "kerasequiv: test_it: 2 of 2 runs in 2 s"]
    )


def test_a_worker_of_xdist_shows_nothing(scripted: pytest.Pytester, warm_sessions: WarmSessions) -> None:
    scripted.makepyfile(ONE)
    assert "2/2" not in on_a_terminal(warm_sessions, scripted.path, "-n", "1", "--kerasequiv")
