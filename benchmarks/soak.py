"""Sessions on bad days, killed, interrupted, with spoiled caches, on every executor: what is lost.

    python benchmarks/soak.py --minutes 60 --seed 0

Each round draws an executor, a moment and a signal that ends the session, what is done to its cache then, and
what goes wrong beside it (see `_soak/troubles.py`), and runs the session again to its end. The twins are
equal, so nothing but EQUIVALENT or an interrupted session is right. What goes wrong is printed as it happens
and counted as lost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

sys.path[0] = str(Path(__file__).parent / "_soak")  # this folder has a statistics.py of its own

from troubles import NONE, TROUBLES, Trouble  # noqa: E402

EXECUTORS = {
    "in process": "return None",
    "xdist": "return None",
    "loky": "from pytest_kerasequiv.training.executors.pools import LocalProcesses; return LocalProcesses(2)",
    "processes": "import multiprocessing, concurrent.futures as c; "
    "return c.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context('spawn'))",
    "threads": "import concurrent.futures; return concurrent.futures.ThreadPoolExecutor(2)",
    "dask": "import distributed; return distributed.Client(n_workers=2, threads_per_worker=1, "
    "dashboard_address=None)",
}
CONFTEST = """
import pytest

def make():
    {executor}

@pytest.fixture(scope="session")
def kerasequiv_executor():
    executor = make()
    yield executor
    if executor is not None:
        (executor.close if hasattr(executor, "close") else executor.shutdown)()
"""
TEST = """
import os
import random
import sys
import threading
import time

import keras
import numpy as np
from pytest_kerasequiv import Training

X = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
DATA = (X, X[:, :1]), (X[:64], X[:64, :1])


def disturb():
    while True:
        random.random()
        time.sleep(0.001)


threading.Thread(target=disturb, daemon=True).start()


def build(rate=0.1):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8), keras.layers.Dropout(rate)])
    model.add(keras.layers.Dense(1))
    model.compile("adam", "mse")
    return model


def other():
    x = keras.Input((8,))
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.Dropout(0.1)(keras.layers.Dense(8)(x))))
    model.compile("adam", "mse")
    return model


{bad}

def test_pair(keras_twins):
    plan = Training(*DATA, seeds=10, epochs={epochs}, engine={engine!r}, margin="50%")
    keras_twins(build, other, name={name!r}).assert_same_training(plan)
"""
SIGNALS = (None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    until = time.monotonic() + 60 * options.minutes
    counts: Counter[str] = Counter()
    peaks: list[int] = []
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory() as folder:
            one_round(Path(folder), draw, counts, peaks)
    print(
        f"{counts['rounds']} rounds with seed {options.seed}; "
        + ", ".join(f"{counts[name]} {name}" for name in sorted(counts) if name not in {"rounds", "lost"})
    )
    print(f"lost: {counts['lost']}")
    half = max(len(peaks) // 2, 1)
    first, last = (sum(part) // max(len(part), 1) for part in (peaks[:half], peaks[half:]))
    print(f"peak of a session: {first} MB on average in the first half, {last} MB in the second")


def one_round(folder: Path, draw: random.Random, counts: Counter[str], peaks: list[int]) -> None:
    executor, number = draw.choice(list(EXECUTORS)), draw.choice(SIGNALS)
    trouble = draw.choice(TROUBLES) if draw.random() < 0.6 else NONE
    engine, epochs = draw.choice(("fit", "auto")), draw.choice((2, 20))
    (folder / "conftest.py").write_text(CONFTEST.format(executor=EXECUTORS[executor]))
    test = TEST.format(engine=engine, epochs=epochs, bad=trouble.test, name=trouble.name_of_pair)
    (folder / "test_soak.py").write_text(test)
    trouble.prepare(folder)
    workers = ["-n", "2"] if executor == "xdist" else []
    counts.update(["rounds", executor, trouble.label])
    problems: list[str] = []
    kept = 0
    if number is not None:
        counts[number.name] += 1
        running = session(folder, trouble, workers)
        problems += ended_early(running, folder, number, draw.uniform(0, 20), after_a_run=draw.random() < 0.7)
        kept = len(entries_of(folder))
        spoiled = spoil(folder, draw)
        counts.update({"runs kept": kept, "entries spoiled": spoiled})
        kept -= spoiled
    problems += run_to_the_end(folder, trouble, workers, kept, peaks)
    for problem in problems:
        counts["lost"] += 1
        where = f"{executor}, {engine}, {number and number.name}, {trouble.label}"
        print(f"round {counts['rounds']} ({where}): {problem}", flush=True)


def session(folder: Path, trouble: Trouble, workers: list[str]) -> subprocess.Popen[str]:
    def begin() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored in what a shell starts in the background
        trouble.in_session()

    options = ["-q", "--kerasequiv", "--kerasequiv-report=out", "--junitxml=junit.xml", "-p", "no:randomly"]
    return subprocess.Popen(
        [sys.executable, *trouble.python, "-m", "pytest", *options, *workers, *trouble.options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=begin,  # noqa: PLW1509 - one thread starts it
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def ended_early(
    running: subprocess.Popen[str], folder: Path, number: signal.Signals, seconds: float, *, after_a_run: bool
) -> list[str]:
    """End a session by a signal, at some time or after its first run; return what was wrong about its end."""
    while after_a_run and not entries_of(folder) and running.poll() is None:
        time.sleep(0.05)
    time.sleep(seconds / 20 if after_a_run else seconds)
    if running.poll() is not None:
        return left_over(folder)
    (os.killpg if number == signal.SIGINT else os.kill)(running.pid, number)
    started, until, before = time.monotonic(), time.monotonic() + 120, scheduled(folder)
    after = dict(before)
    while (output := output_at_the_end(running)) is None:
        after |= scheduled(folder)
        if time.monotonic() > until:
            running.kill()
            return ["the session did not end within 120 s", *left_over(folder)]
    slow, pace = time.monotonic() - started, slowed_down(before, after)
    problems = left_over(folder)
    if number == signal.SIGINT and slow > 5 * pace:
        problems.append(f"Ctrl-C took {slow:.0f} s, by others slowed down {pace:.1f} times")
    report = folder / "out" / "report.json"
    outcome = json.loads(report.read_text())["outcome"] if report.exists() else "none"
    outside = set() if outcome == "running" else {-signal.SIGINT}  # Python's, outside pytest's loop
    ended = {0, 1, 2} | outside
    if number == signal.SIGINT and running.returncode not in ended:
        told = f"exit status {running.returncode} after Ctrl-C, the report says {outcome}"
        problems.append(f"{told}: {output[-2000:]}")
    if outcome not in {"none", "running", "interrupted", "passed", "failed"}:
        problems.append(f"the report says {outcome}")
    return problems


def output_at_the_end(running: subprocess.Popen[str]) -> str | None:
    """Return what a session wrote, once it has ended; ``None`` where it goes on for a fifth of a second."""
    try:
        return running.communicate(timeout=0.2)[0]
    except subprocess.TimeoutExpired:
        return None


Times = dict[str, tuple[float, float]]
"""By thread, how long it ran and how long it waited for a core that others had."""


def scheduled(folder: Path) -> Times:
    """Return the times of all threads that work in the folder."""
    found = {}
    for process in working_in(folder):
        for thread in Path(f"/proc/{process}/task").glob("*/schedstat"):
            try:
                ran, waited, _ = map(int, thread.read_text().split())
            except OSError:  # it has ended
                continue
            found[str(thread)] = ran / 1e9, waited / 1e9
    return found


def slowed_down(before: Times, after: Times) -> float:
    """Return how many times longer threads took than with cores of their own; 1 where they only slept."""
    ran, waited = (
        sum(times[which] - before.get(thread, (0.0, 0.0))[which] for thread, times in after.items())
        for which in (0, 1)
    )
    return (ran + waited) / ran if ran > 0.01 else 1.0


def spoil(folder: Path, draw: random.Random) -> int:
    """Do something to an entry of the cache in half of the rounds; return how many were spoiled."""
    entries = entries_of(folder)
    if not entries or draw.random() < 0.5:
        return 0
    entry = draw.choice(entries)
    content = entry.read_bytes()
    entry.unlink()
    kind = draw.randrange(5)
    if kind == 0:
        entry.write_bytes(draw.randbytes(200))
    elif kind == 1:
        entry.write_bytes(content[: len(content) // 2])
    elif kind == 2:
        os.mkfifo(entry)
    elif kind == 3:
        entry.symlink_to("/dev/zero")
    else:
        entry.write_text("[" * 100_000)
    return 1


def entries_of(folder: Path) -> list[Path]:
    return sorted(folder.glob(".pytest_cache/d/kerasequiv/*/*.json"))


def run_to_the_end(
    folder: Path, trouble: Trouble, workers: list[str], kept: int, peaks: list[int]
) -> list[str]:
    """Run a session to its end; return what was wrong: its status, the verdict, runs that were lost."""
    running = session(folder, trouble, workers)
    peaks.append(peak_of(running))
    output = running.stdout.read() if running.stdout else ""
    problems = left_over(folder)
    verdict = verdict_in(folder / "junit.xml")
    if running.returncode != trouble.status or verdict != "EQUIVALENT":
        return [*problems, f"exit status {running.returncode}, {verdict}: {output[-1500:]}"]
    report = folder / "out" / "report.json"
    if not trouble.reports:
        return problems
    if not report.is_file():
        return [*problems, "no report was written"]
    found = [pair for pair in json.loads(report.read_text())["pairs"] if "training" in pair["checks"]]
    origin = found[0]["checks"]["training"]["figures"]["origin"]
    reused = sum(side.get("cache", 0) for side in origin.values())
    if reused < kept:
        problems.append(f"{kept} runs were kept, {reused} found again")
    return problems


def verdict_in(junit: Path) -> str:
    """Return the verdict of the pair that trains, as the test's properties tell it."""
    for case in ET.parse(junit).iter("testcase"):
        if case.get("name") == "test_pair":
            properties = {one.get("name"): one.get("value") for one in case.iter("property")}
            return properties.get("kerasequiv_verdict") or "no verdict"
    return "no test"


def peak_of(running: subprocess.Popen[str]) -> int:
    """Return the most memory that a session took, in MB, once it has ended."""
    peak = 0
    while running.poll() is None:
        peak = max(peak, megabytes(running.pid))
        time.sleep(0.2)
    return peak


def megabytes(process: int) -> int:
    try:
        return (
            int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 10**6
        )
    except OSError:
        return 0


def left_over(folder: Path) -> list[str]:
    """Return the processes that still work in the folder 10 s after their session, and end them."""
    deadline = time.monotonic() + 10
    while (left := working_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return [f"{len(left)} processes outlived their session"] if left else []


def working_in(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            working = (process / "cwd").readlink() == folder.resolve()
            if working and "Z" not in (process / "stat").read_text().rpartition(")")[2].split()[0]:
                found.append(int(process.name))
        except OSError:
            continue
    return found


if __name__ == "__main__":
    main()
