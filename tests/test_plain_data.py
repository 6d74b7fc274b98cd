"""Plain data to and from JSON and npz: nothing is lost, and live things are refused."""

import json

import numpy as np
import pytest

from pytest_kerasequiv.plain_data import from_data, to_data
from pytest_kerasequiv.running.lockstep import Step
from pytest_kerasequiv.running.running import Outcome


def through_files(value, path):
    """Write a value as JSON and npz, and read it back."""
    data, arrays = to_data(value)
    text = json.dumps(data, allow_nan=False)
    np.savez(path / "arrays.npz", **arrays)
    with np.load(path / "arrays.npz", allow_pickle=False) as read:
        return from_data(json.loads(text), read)


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -0.5, float("inf"), "text", (1, (2, "a")), [1, [2]], {1: "a", ("b", 2): None}, {"x"}],
)
def test_plain_values_come_back(value, tmp_path):
    again = through_files(value, tmp_path)
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool", "bfloat16", "float16"])
def test_arrays_come_back_with_their_dtype(dtype, tmp_path):
    import ml_dtypes

    array = np.array([[0, 1, 3]]).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    again = through_files((array,), tmp_path)[0]
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


def test_texts_come_back(tmp_path):
    again = through_files(np.array([["a", "b"], ["", "ü"]], dtype=object), tmp_path)
    assert again.tolist() == [["a", "b"], ["", "ü"]]


def test_dataclasses_come_back(tmp_path):
    step = Step({0: np.ones(2)}, {("momentum", 0): np.zeros((2, 1))}, {"loss": float("nan")})
    outcome, again = through_files((Outcome((np.ones(3),), (None,)), step), tmp_path)
    assert isinstance(outcome, Outcome)
    np.testing.assert_array_equal(again.slots["momentum", 0], np.zeros((2, 1)))
    assert np.isnan(again.metrics["loss"])


def test_live_things_and_strange_classes_are_refused():
    with pytest.raises(TypeError, match="object is no plain data"):
        to_data({"model": object()})
    with pytest.raises(ValueError, match="no dataclass of pytest_kerasequiv"):
        from_data({"dataclass": ["subprocess", "Popen", {}]}, {})
