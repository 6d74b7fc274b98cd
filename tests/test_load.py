"""Large things: many outputs, long chains, many rows, many items; and what they cost."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pytest_kerasequiv import Evidence, Report, Training, Verdict, compare
from pytest_kerasequiv.reporting.files import write_session
from pytest_kerasequiv.reporting.session import SessionReport

L = keras.layers


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail where the block takes more processor time."""
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds


def heads(activation: str, count: int = 20) -> keras.Model:
    x = keras.Input((8,))
    trunk = L.Dense(16, activation="relu")(x)
    return keras.Model(x, [L.Dense(3, activation=activation)(trunk) for _ in range(count)])


def test_twenty_outputs() -> None:
    with at_most(20):
        assert compare(lambda: heads("relu"), lambda: heads("relu")).evidence is Evidence.PROVED
        report = compare(lambda: heads("relu"), lambda: heads("tanh"))
    assert report.verdict is Verdict.DIFFERENT
    assert "the same in 19 more layers" in " ".join(str(report).split())
    at_fault = [one for one in report["outputs"].findings if "activation" in one.message]
    assert len(at_fault) >= 5


@pytest.fixture
def deep() -> Iterator[None]:
    """Keras itself builds a long chain only so."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.slow
@pytest.mark.usefixtures("deep")
def test_a_chain_of_2000_layers() -> None:
    def sequential(count: int = 2000) -> keras.Model:
        return keras.Sequential([keras.Input((4,)), *(L.Activation("relu") for _ in range(count))])

    def functional(count: int = 2000, last: str = "relu") -> keras.Model:
        x = y = keras.Input((4,))
        for place in range(count):
            y = L.Activation("relu" if place < count - 1 else last)(y)
        return keras.Model(x, y)

    with at_most(30):
        assert compare(sequential, functional).evidence is Evidence.PROVED
        report = compare(  # of a length that was shown above
            lambda: sequential(500),
            lambda: functional(500, "tanh"),
            checks=["summary", "graph", "program"],
        )
    assert report["graph"].verdict is Verdict.DIFFERENT
    assert "Relu in the reference, Tanh in the candidate" in str(report["program"].findings)


def test_100_000_training_rows() -> None:
    x = np.random.default_rng(0).normal(size=(100_000, 8)).astype("float32")
    data = x, x[:, :1] - x[:, 1:2]

    def build() -> keras.Model:
        model = keras.Sequential([keras.Input((8,)), L.Dense(8, activation="relu"), L.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
        return model

    plan = Training(data, data, seeds=10, batch_size=1000, margin="50%")
    with at_most(20):
        report = compare(build, build, checks=["training"], training=plan)
    assert report.verdict is Verdict.EQUIVALENT, str(report)
    assert report["training"].figures["engine"] == "vectorized"


def question(rate: float = 0.2) -> keras.Model:
    stack = [L.Conv1D(4, 7, activation="relu"), L.Conv1D(6, 11, activation="relu")]
    stack += [L.Dropout(rate), L.LSTM(8), L.Dense(2), L.Reshape((1, 2))]
    model = keras.Sequential([keras.Input((60, 2)), *stack])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def test_the_report_of_300_pairs(tmp_path: Path) -> None:
    one, other = compare(question, question), compare(question, lambda: question(0.3))
    assert (one.verdict, other.verdict) == (Verdict.EQUIVALENT, Verdict.DIFFERENT)
    pairs: list[Report] = [
        replace(other if number % 10 == 0 else one, name=f"pair {number}") for number in range(300)
    ]
    with at_most(20):
        written = write_session(SessionReport(tuple(pairs)), tmp_path)
    assert next(path for path in written if path.suffix == ".html").stat().st_size < 5_000_000
