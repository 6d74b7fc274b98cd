"""Sessions in processes of their own that are ended in mid-training, and what lives on."""

import os
import signal
import time
from pathlib import Path

CONFTEST = {
    "in process": "",
    "xdist": "",
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

WORKERS = {"loky": ["--kerasequiv-workers=2"], "xdist": ["-n", "1"]}

HANGS = """
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


def session(warm, folder, kind, *options, test=HANGS):
    """Start a session in a folder of its own."""
    (folder / "conftest.py").write_text(CONFTEST[kind])
    (folder / "test_it.py").write_text(test)
    return warm.start(
        folder,
        ["--kerasequiv", "-p", "no:randomly", *WORKERS.get(kind, []), *options],
        output=folder / "printed",
        environment={**os.environ, "TMPDIR": str(folder)},
    )


def wait_for(running, folder, pattern):
    """Wait until a file is there that shows how far a session is."""
    deadline = time.monotonic() + 300
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline, f"nothing came like {pattern}"
        assert running.poll() is None, running.output()
        time.sleep(0.05)


def training_session(warm, folder, kind, *options):
    """Start a session and return it when a task trains that would never end."""
    running = session(warm, folder, kind, *options)
    wait_for(running, folder, "trains-*")
    return running


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


def assert_nothing_is_left(folder, seconds=10):
    """Wait until no process works in the folder; fail where one still does after some seconds."""
    deadline = time.monotonic() + seconds
    while processes_in(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = processes_in(folder)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert left == []
