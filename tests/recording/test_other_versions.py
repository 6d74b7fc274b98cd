"""A recording made under one TensorFlow and Keras, compared under another: two real environments."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from tests.common.in_process import run_script

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

BUILDERS = """
import keras
from keras import layers

def forecaster(rate=0.2, activation="relu"):
    model = keras.Sequential([
        keras.Input((24, 2)),
        layers.Conv1D(4, 7, activation="relu"),
        layers.Dropout(rate),
        layers.LSTM(10, activation=activation),
        layers.Dense(2, activation="relu"),
        layers.Reshape((1, 2)),
    ])
    model.compile("adam", "mse", metrics=["mae"])
    return model

def rewritten():
    inputs = keras.Input((24, 2))
    x = layers.Dropout(0.2)(keras.ops.relu(layers.Conv1D(4, 7)(inputs)))
    x = layers.LSTM(10, activation="relu")(x)
    model = keras.Model(inputs, layers.Reshape((1, 2))(layers.Dense(2, activation="relu")(x)))
    model.compile("adam", "mse", metrics=["mae"])
    return model
"""
RECORD = """
import builders, keras, tensorflow
from pytest_kerasequiv import record
record(builders.forecaster, "{name}.kerasequiv")
print(f"keras {{keras.__version__}}, tensorflow {{tensorflow.__version__}}")
"""
COMPARE = """
import builders
from pytest_kerasequiv import compare
for candidate in (
    builders.forecaster, builders.rewritten,
    lambda: builders.forecaster(0.3), lambda: builders.forecaster(activation="tanh"),
):
    print(" ".join(str(compare("{name}.kerasequiv", candidate)).split()))
"""


def matrix():
    """Return the script that makes environments of other versions."""
    loader = SourceFileLoader("kerasequiv_matrix", str(PROJECT / ".ci" / "matrix"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module  # where its dataclasses look
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def floor(tmp_path_factory):
    """Return a Python with the oldest versions: from the folder KERASEQUIV_MATRIX, else a new one."""
    environment = matrix().ENVIRONMENTS[0]
    given = Path(os.environ.get("KERASEQUIV_MATRIX", os.devnull)) / environment.name / "bin" / "python"
    if given.exists():
        return given
    return beside_this_one(
        tmp_path_factory.mktemp("floor"), *environment.requirements, "numpy<2.2", "protobuf<6"
    )


def beside_this_one(folder, *requirements):
    """Make an environment that has these packages, and all others from this one; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    inner = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    (inner / "outer.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    command = ["pip", "--python", str(python), "install", "-q", "--no-deps", "--no-compile", *requirements]
    subprocess.run([sys.executable, "-m", *command], check=True)
    return python


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run code, in this process where it is meant for this Python; return the lines that it printed."""
    (tmp_path / "builders.py").write_text(BUILDERS)
    settings = os.environ | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{PROJECT / 'src'}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }

    def printed(python, code):
        if python == sys.executable:
            (tmp_path / "here.py").write_text(code)
            capsys.readouterr()
            run_script(tmp_path / "here.py", monkeypatch)
            return capsys.readouterr().out.splitlines()
        command = [str(python), "-c", code]
        done = subprocess.run(
            command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return printed


@pytest.fixture
def told(floor, run):
    """What is told of recordings made at the floor and here, each with the versions that it was made under.

    Each Python is started once: it takes as long to import TensorFlow as to compare.
    """
    (here,) = run(sys.executable, RECORD.format(name="here"))
    at_the_floor, *of_here = run(floor, RECORD.format(name="floor") + COMPARE.format(name="here"))
    of_the_floor = run(sys.executable, COMPARE.format(name="floor"))
    assert here != at_the_floor
    return [(at_the_floor, of_the_floor), (here, of_here)]


def test_models_are_told_apart_by_measured_numbers(told):
    for under, (same, rewritten, rate, activation) in told:
        for text in (same, rewritten, rate, activation):
            assert re.search(rf"recorded under: python [^:]*, {re.escape(under)}", text)
        assert same.startswith("EQUIVALENT (measured)")
        assert rewritten.startswith("EQUIVALENT (measured)")
        assert rate.startswith("DIFFERENT")
        assert "rate is 0.2 in the reference and 0.3 in the candidate" in rate
        assert activation.startswith("DIFFERENT")
        assert "activation is 'relu' in the reference and 'tanh' in the candidate" in activation
