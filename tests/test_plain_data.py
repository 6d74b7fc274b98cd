"""Plain data to and from JSON and npz: nothing is lost, and live things are refused."""

import json
from typing import Any, Literal, TypeVar

import numpy as np
import pytest
from typing_extensions import TypeAliasType

from pytest_kerasequiv.checks.numeric.training_pass import BackwardObservation
from pytest_kerasequiv.plain_data import classes_within, conforms, from_data, to_data, unfolded
from pytest_kerasequiv.running.differentiating import Pass
from pytest_kerasequiv.running.lockstep import Step
from pytest_kerasequiv.running.running import Outcome
from pytest_kerasequiv.surface.entries import Kind
from pytest_kerasequiv.verdict import Verdict


def through_files(value, path, expected=Any):
    """Write a value as JSON and npz, and read it back."""
    data, arrays = to_data(value)
    text = json.dumps(data, allow_nan=False)
    np.savez(path / "arrays.npz", **arrays)
    with np.load(path / "arrays.npz", allow_pickle=False) as read:
        return from_data(json.loads(text), read, expected)


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
    expected = tuple[Outcome, Step]
    outcome, again = through_files((Outcome((np.ones(3),), (None,)), step), tmp_path, expected)
    assert isinstance(outcome, Outcome)
    np.testing.assert_array_equal(again.slots["momentum", 0], np.zeros((2, 1)))
    assert np.isnan(again.metrics["loss"])


def test_members_of_enums_come_back_as_they_are(tmp_path):
    again = through_files((Kind.STEP, "step"), tmp_path, tuple[Kind, str])
    assert again[0] is Kind.STEP
    with pytest.raises(ValueError, match="of another form"):
        through_files((Kind.STEP, "step"), tmp_path, tuple[Any, str])


def test_live_things_and_strange_classes_are_refused():
    with pytest.raises(TypeError, match="object is no plain data"):
        to_data({"model": object()})


@pytest.mark.parametrize(
    "data",
    [
        {"dataclass": ["Popen", {"args": "ls"}]},
        {"dataclass": ["Check", {}]},
        {"dataclass": ["Outcome", {}]},
        {"dataclass": ["Outcome", {"outputs": {"tuple": []}, "masks": {"tuple": []}, "more": 1}]},
        {"dataclass": ["Outcome", {"outputs": [], "masks": {"tuple": []}}]},
        {"dataclass": ["Outcome", {"outputs": {"tuple": [1]}, "masks": {"tuple": []}}]},
        {"dataclass": ["Outcome", {"outputs": {"array": ["a9", "float32"]}, "masks": None}]},
        {"dataclass": [{}, {}]},
        {"dataclass": 3},
        {"dict": [[[], 1]]},
        {"code": "1"},
        {"float": "x"},
        {"a": 1, "b": 2},
        {"array": ["a0", "object"]},
        {"texts": [[{"dict": []}], [1]]},
        {"texts": [["a"], [7]]},
        {"tuple": 3},
        3,
        None,
    ],
)
def test_other_data_make_a_value_error_and_nothing_else(data):
    with pytest.raises(ValueError):  # noqa: PT011 - whichever it is
        from_data(data, {"a0": np.zeros(2)}, Outcome)


def test_members_of_enumerations_come_back(tmp_path):
    assert through_files((Verdict.EQUIVALENT,), tmp_path, tuple[Verdict, ...])[0] is Verdict.EQUIVALENT
    for data in ({"enum": ["Outcome", 1]}, {"enum": ["Verdict", "so-so"]}, {"dataclass": ["Verdict", {}]}):
        with pytest.raises(ValueError):  # noqa: PT011 - whichever it is
            from_data(data, {}, Any, (Verdict, Outcome))


def test_classes_for_any_are_named_beside_the_annotation(tmp_path):
    data, arrays = to_data([Outcome((), ())])
    assert from_data(data, arrays, list[Any], (Outcome,)) == [Outcome((), ())]
    with pytest.raises(ValueError):  # noqa: PT011 - whichever it is
        from_data(data, arrays, list[Any])


def test_the_classes_within_an_annotation_are_those_of_its_fields():
    assert Pass in classes_within(BackwardObservation)
    assert classes_within(dict[str, int]) == set()


@pytest.mark.parametrize(
    ("value", "annotation", "fits"),
    [
        (1, int, True),
        (True, int, False),
        (1, float, True),
        (True, float, False),
        ((1, "a"), tuple[int, str], True),
        ((1,), tuple[int, str], False),
        ((1, 2), tuple[int, ...], True),
        ([1], tuple[int, ...], False),
        ({1: "a"}, dict[int, str], True),
        ({1: 2}, dict[int, str], False),
        (None, int | None, True),
        ("x", int | None, False),
        ("a", Literal["a", "b"], True),
        ("c", Literal["a", "b"], False),
        ({1}, frozenset[int], False),
        (frozenset([1]), frozenset[int], True),
        (frozenset(["a"]), frozenset[int], False),
        (None, None, True),
    ],
)
def test_values_conform_to_annotations(value, annotation, fits):
    assert conforms(value, annotation) is fits


def test_an_alias_is_what_it_stands_for():
    """``NDArray`` is one from NumPy 2.5 on, where Python has them."""
    element = TypeVar("element")
    many = TypeAliasType("many", list[element], type_params=(element,))
    whole = TypeAliasType("whole", many[Pass])
    assert (unfolded(many[int]), unfolded(whole)) == (list[int], list[Pass])
    assert conforms([1], many[int])
    assert not conforms(["a"], many[int])
    assert Pass in classes_within(dict[str, whole])


def test_the_fields_of_generic_dataclasses_conform_as_filled():
    """`BackwardObservation` fills ``computed`` and ``exact`` of its base with passes."""
    one = Pass((), np.zeros(()), np.zeros(()), {}, {}, {})
    fields = {
        "probes": (),
        "dtype": "float32",
        "variables": (),
        "kind": "Model",
        "has_loss": True,
        "mean_square": False,
        "resting": (),
        "names": (),
    }
    assert conforms(BackwardObservation(**fields, computed=(one,)), BackwardObservation)
    assert not conforms(BackwardObservation(**fields, computed=(3,)), BackwardObservation)
    assert not conforms(BackwardObservation(**fields, computed=(), exact=(3,)), BackwardObservation)
