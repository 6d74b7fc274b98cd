"""Sessions that are ended in mid-training: when they end, what they say, and what lives on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_kerasequiv.training.executors import lease

CONFTEST = {
    "loky": "",
    "processes": """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
import pytest

@pytest.fixture(scope="session")
def kerasequiv_executor():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor
""",
    "threads": """
from concurrent.futures import ThreadPoolExecutor
import pytest

@pytest.fixture(scope="session")
def kerasequiv_executor():
    with ThreadPoolExecutor(2) as executor:
        yield executor
""",
    "dask": """
import distributed
import pytest

@pytest.fixture(scope="session")
def kerasequiv_executor():
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        yield client
""",
}

TEST = """
import os
import time
import keras
from pytest_kerasequiv import Training

def build():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

def fit(model, seed):
    open(f"trains-{os.getpid()}", "w").close()
    for _ in range(6000):
        time.sleep(0.02)
    return {"mae": 1.0}

def test_training(keras_twins):
    keras_twins(build, lambda: build()).assert_same_training(Training(fit=fit, seeds=4))
"""


def session(folder, kind, *options):
    """Start a session in a folder of its own and return it when a task trains."""
    (folder / "conftest.py").write_text(CONFTEST[kind])
    (folder / "test_it.py").write_text(TEST)
    workers = ["--kerasequiv-workers=2"] if kind == "loky" else []
    started = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--kerasequiv", "-p", "no:randomly", *workers, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    deadline = time.monotonic() + 300
    while not list(folder.glob("trains-*")):
        assert time.monotonic() < deadline, "no task has begun"
        assert started.poll() is None, started.stdout.read()
        time.sleep(0.1)
    return started


def processes_in(folder):
    """Process ids of what works in a folder, zombies left out."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder and "Z" not in (process / "stat").read_text().split()[
                2
            ]:
                found.append(int(process.name))
        except OSError:
            continue
    return found


def assert_nothing_is_left(folder):
    deadline = time.monotonic() + 10
    while processes_in(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = processes_in(folder)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert left == []


def test_a_worker_whose_session_died_before_its_first_task_ends_itself(monkeypatch):
    killed = []
    monkeypatch.setattr(lease.multiprocessing, "parent_process", lambda: SimpleNamespace(pid=2**22 + 1))
    monkeypatch.setattr(lease.os, "kill", lambda *given: killed.append(given))
    monkeypatch.setattr(lease.signal, "signal", lambda *_: None)
    lease.end_with(2**22 + 1, None)
    deadline = time.monotonic() + 10
    while not killed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert killed == [(os.getpid(), signal.SIGKILL)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", CONFTEST)
def test_ctrl_c_ends_the_session_at_once(kind, tmp_path):
    if kind == "dask":
        pytest.importorskip("distributed")
    running = session(tmp_path, kind, "--kerasequiv-report=out")
    pressed = time.monotonic()
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to all processes of the session
    try:
        output, _ = running.communicate(timeout=60)
    finally:
        running.kill()
    seconds = time.monotonic() - pressed
    assert running.returncode == 2, output
    assert seconds < 5 * max(os.getloadavg()[0] / os.cpu_count(), 1), output  # 5 s where nothing else runs
    assert "KeyboardInterrupt" in output
    assert "Session interrupted" in (tmp_path / "out" / "summary.md").read_text()
    assert_nothing_is_left(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("kind", ["loky", "processes"])
def test_no_process_outlives_a_killed_session(kind, number, tmp_path):
    running = session(tmp_path, kind)
    running.send_signal(number)
    running.communicate(timeout=30)
    assert_nothing_is_left(tmp_path)
    assert list(tmp_path.glob("kerasequiv-*.lease")) == []
