"""What builders leave behind is told, and does not reach the rest of the session."""

import subprocess
import sys
import threading
import warnings

import keras
import pytest

from pytest_kerasequiv import Twins
from pytest_kerasequiv.building.left_behind import LeftThreadWarning


def build():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def test_a_thread_that_goes_on_is_named():
    ended = threading.Event()

    def threaded():
        threading.Thread(target=ended.wait, args=(60,), name="metrics", daemon=True).start()
        return build()

    try:
        with pytest.warns(
            LeftThreadWarning, match=r"reference '.*threaded' left 1 thread running \('metrics'\)"
        ):
            _ = Twins(threaded, build).reference
    finally:
        ended.set()


def test_one_that_ends_is_not():
    def threaded():
        thread = threading.Thread(target=print)
        thread.start()
        thread.join()
        return build()

    with warnings.catch_warnings(action="error"):
        _ = Twins(threaded, build).reference


def test_one_of_another_thread_is_not_the_builders():
    begin, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def other():
        begin.wait(60)
        threading.Thread(target=ended.wait, args=(60,), daemon=True).start()
        begun.set()

    def beside():
        begin.set()
        assert begun.wait(60)
        return build()

    threading.Thread(target=other).start()
    try:
        with warnings.catch_warnings(action="error"):
            _ = Twins(beside, build).reference
    finally:
        ended.set()


FORKS = """
import os
import keras
from pytest_kerasequiv import Twins

def build():
    os.fork()
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

_ = Twins(build, lambda: build()).reference
os.wait()
print("one came out")
"""


def test_a_forked_child_that_comes_back_ends():
    result = subprocess.run(
        [sys.executable, "-c", FORKS],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.stdout.splitlines() == ["one came out"]
    assert "reference 'build' forked, and the child came back; it ends here" in result.stderr
