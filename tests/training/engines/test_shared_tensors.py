"""The plan's arrays as tensors: the values that Keras would feed, in one copy."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pytest_kerasequiv.training.engines.shared_tensors import Tensors, tensor, tensors_of
from pytest_kerasequiv.training.plan import Training

X = np.arange(-6, 6).reshape(6, 2) / 3
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "array",
    [
        X,
        X.astype("float16"),
        X.astype("float32"),
        np.asfortranarray(X.astype("float32")),
        (6 * X).astype("int64"),
        (6 * X).astype("uint8"),
        X > 0,
        X[:0],
        np.array([["a"], ["b"]]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_values_and_dtype_are_those_that_keras_feeds(array):
    made = tensor(array)
    dtype = keras.config.floatx() if array.dtype.kind == "f" else array.dtype
    expected = array.astype(dtype)
    assert made.dtype == (expected.dtype if expected.dtype.kind != "U" else "string")
    assert (made.numpy().astype(expected.dtype) == expected).all()


def test_what_the_user_changes_later_is_not_seen():
    array = np.ones((3, 2), "float32")
    made = tensor(array)
    array[:] = 5
    assert (made.numpy() == 1).all()


def test_an_array_that_weights_several_targets_is_copied_once():
    weight = np.ones(6, "float32")
    found = Tensors(Training((X, {"a": X, "b": X}, weight), (X, X)).train)
    assert found.flat[3] is found.flat[4]


def test_a_plan_has_one_copy_while_somebody_holds_it(data):
    plan = Training(*data)
    held = tensors_of(plan, "train")
    assert tensors_of(plan, "train") is held
    assert tensors_of(plan, "test") is not held


def test_training_takes_at_most_two_copies_of_its_data():
    command: list[Any] = [sys.executable, "-P", ROOT / "benchmarks" / "data_memory.py", "--megabytes", "150"]
    told = subprocess.run([*command, "--engine", "fit"], capture_output=True, text=True, check=True).stdout
    copies = re.search(r"(\d\.\d+) copies at the peak", told)
    assert copies is not None, told
    assert float(copies[1]) <= 2, told
