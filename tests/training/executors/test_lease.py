"""Sessions that are ended in mid-training: when they end, what they say, and what lives on."""

import json
import os
import signal
import time
from types import SimpleNamespace

import pytest
from tests.common.sessions import CONFTEST, assert_nothing_is_left, session, training_session, wait_for

from pytest_kerasequiv.training.executors import lease


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
@pytest.mark.parametrize("kind", [kind for kind in CONFTEST if kind != "dask"])  # of Dask: by the last test
def test_ctrl_c_ends_the_session_at_once(kind, warm_sessions, tmp_path):
    running = training_session(warm_sessions, tmp_path, kind, "--kerasequiv-report=out")
    press_ctrl_c(running, tmp_path, kind)
    assert list(tmp_path.glob("kerasequiv-*")) == []


def press_ctrl_c(running, folder, kind):
    """End a session as a terminal does, and hold it to what it then does and says."""
    pressed = time.monotonic()
    os.killpg(running.pid, signal.SIGINT)  # to all processes of the session
    try:
        output, _ = running.communicate(timeout=60)
    finally:
        running.kill()
    assert_nothing_is_left(folder)
    seconds = time.monotonic() - pressed
    assert running.returncode == 2, output
    beside = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    assert seconds < 5 * max(os.getloadavg()[0] / os.cpu_count(), beside), (
        output
    )  # 5 s where nothing else runs
    assert "KeyboardInterrupt" in output
    if kind != "processes":  # whose own thread complains of cancelled tasks before Python 3.13
        assert "Traceback" not in output
    assert "Session interrupted" in (folder / "out" / "summary.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(  # in process and of xdist: by the test below
    ("kind", "number"),
    [("loky", signal.SIGTERM), ("processes", signal.SIGKILL), ("dask", signal.SIGTERM)],
)
def test_no_process_outlives_a_killed_session(kind, number, warm_sessions, tmp_path):
    running = training_session(warm_sessions, tmp_path, kind)
    running.send_signal(number)
    running.communicate(timeout=30)
    assert_nothing_is_left(tmp_path, 40)
    assert list(tmp_path.glob("kerasequiv-*")) == []


TRAINS = """
import keras
import numpy as np
from pytest_kerasequiv import Training

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
DATA = (X, X[:, :1])


def build():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def other():
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.Dense(4)(x)))
    model.compile("sgd", "mse")
    return model


def test_training(keras_twins):
    plan = Training(DATA, DATA, seeds=10, epochs=4, batch_size=4, engine="fit", margin=1e6)
    keras_twins(build, other).assert_same_training(plan)
"""
RUNS = ".pytest_cache/d/kerasequiv/*/"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("in process", signal.SIGTERM),
        ("dask", signal.SIGINT),
        ("xdist", signal.SIGKILL),
    ],
)
def test_the_next_session_takes_every_run_that_was_finished(kind, number, warm_sessions, tmp_path):
    if kind == "dask":
        pytest.importorskip("distributed")
    running = session(warm_sessions, tmp_path, kind, "--kerasequiv-report=out", test=TRAINS)
    wait_for(running, tmp_path, f"{RUNS}/*.json")
    if number is signal.SIGINT:
        press_ctrl_c(running, tmp_path, kind)
    else:
        running.send_signal(number)
        running.communicate(timeout=120)
    assert_nothing_is_left(tmp_path, 130)  # a worker of xdist ends with its test
    assert list(tmp_path.glob("kerasequiv-*")) == []
    kept = len(list(tmp_path.glob(f"{RUNS}/*.json")))
    again = session(warm_sessions, tmp_path, kind, "--kerasequiv-report=out", test=TRAINS)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    figures = json.loads((tmp_path / "out" / "report.json").read_text())["pairs"][0]["checks"]["training"][
        "figures"
    ]
    assert figures["origin"]["reference"].get("cache", 0) == kept > 0
    assert f"{kept} runs of an earlier session were found" in figures["reason"] or kept == 10
    assert list(tmp_path.glob(f"{RUNS}/.*.part")) == []
