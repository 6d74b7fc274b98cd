"""What callers meet that no probe runs: keys, methods that are not run, dtypes of layers, NaN in inputs."""

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv import Evidence, compare
from pytest_kerasequiv.checks.numeric.callers import input_findings, output_findings
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.verdict import Verdict


def outputs_of(reference, candidate, **options):
    return compare(reference, candidate, checks=["outputs"], **options)["outputs"]


def keyed_inputs(key, *, as_dict=True):
    def build():
        first, second = keras.Input((3,), name="a"), keras.Input((3,), name=key)
        given = {"a": first, key: second} if as_dict else [first, second]
        return keras.Model(given, layers.Dense(2)(first) - layers.Dense(2)(second))

    return build


def test_a_renamed_key_of_a_dict_of_inputs_is_a_difference():
    result = outputs_of(keyed_inputs("c"), keyed_inputs("zz"))
    assert result.verdict is Verdict.DIFFERENT
    (finding,) = result.differences
    assert (finding.field, finding.reference, finding.candidate) == ("input names", ["a", "c"], ["a", "zz"])


def test_names_of_inputs_in_a_list_are_no_keys():
    result = outputs_of(keyed_inputs("c", as_dict=False), keyed_inputs("zz", as_dict=False))
    assert (result.verdict, result.notes) == (Verdict.EQUIVALENT, ())


def test_a_dict_of_inputs_against_a_list_is_told():
    result = outputs_of(keyed_inputs("c"), keyed_inputs("c", as_dict=False))
    assert result.verdict is Verdict.EQUIVALENT
    assert [note.field for note in result.notes] == ["input structure"]


@pytest.mark.parametrize(
    ("reference", "candidate", "told"),
    [
        (0, [0], []),
        ([0, 1], (0, 1), []),
        ([[0, 1], 2], ([0, 1], 2), []),
        ([[0], 1], (0, [1]), []),
        ([[0, 1], 2], (0, [1, 2]), [("input structure", "note")]),
        ({"a": 0, "b": 1}, {"b": 1, "a": 0}, []),
        ({"a": [0, 1], "b": 2}, {"a": (0, 1), "b": 2}, []),
        ({"a": {"x": 0}, "b": 1}, {"a": {"y": 0}, "b": 1}, [("input names", "difference")]),
        ({"a": 0, "b": 1}, {"a": 0}, [("input names", "difference")]),
    ],
)
def test_structures_of_inputs(reference, candidate, told):
    found = input_findings("outputs", reference, candidate)
    assert [(finding.field, finding.severity) for finding in found] == told


def nested_outputs(key, place=0):
    def build():
        inputs = keras.Input((3,))
        heads = [layers.Dense(2)(inputs), layers.Dense(2)(inputs)]
        heads.insert(place, layers.Dense(1)(inputs))
        return keras.Model(inputs, {key: heads, "z": layers.Dense(1)(inputs)})

    return build


def test_a_renamed_key_of_nested_outputs_is_a_difference():
    assert outputs_of(nested_outputs("a"), nested_outputs("a")).verdict is Verdict.EQUIVALENT
    result = outputs_of(nested_outputs("a"), nested_outputs("b"))
    assert result.verdict is Verdict.DIFFERENT
    assert result.differences[0].field == "outputs"
    assert "['a/0', 'a/1', 'a/2', 'z']" in result.differences[0].message


def test_outputs_nested_otherwise_are_a_difference():
    assert output_findings("outputs", [[0, 1], 2], ([0, 1], 2)) == []
    assert output_findings("outputs", [[0], 1], (0, [1])) == []
    (finding,) = output_findings("outputs", [[0, 1], 2], [0, [1, 2]])
    assert "nested as [[*, *], *], the candidate outputs nested as [*, [*, *]]" in finding.message


class Softened(keras.Model):
    """Predicts something else than it computes."""

    def predict_step(self, data):
        return keras.ops.softmax(super().predict_step(data))


class Hardened(keras.Model):
    """Likewise, but otherwise."""

    def predict_step(self, data):
        return keras.ops.argmax(super().predict_step(data))


class Plain(keras.Model):
    """A class of its own with nothing in it."""


def of_class(cls):
    def build():
        inputs = keras.Input((3,))
        return cls(inputs, layers.Dense(2)(inputs))

    return build


@pytest.mark.parametrize(
    ("reference", "candidate"), [(keras.Model, Softened), (Softened, Plain), (Softened, Hardened)]
)
def test_another_way_to_predict_is_a_difference(reference, candidate):
    result = outputs_of(of_class(reference), of_class(candidate))
    assert result.verdict is Verdict.DIFFERENT
    fields = {finding.field for finding in result.differences}
    assert fields == {"predict_step.code", "predict_step", "predict_step with targets"}


def test_the_same_way_to_predict_on_both_sides_is_proved():
    report = compare(of_class(Softened), of_class(Softened))
    assert report.evidence is Evidence.PROVED
    assert "predict_step" in report["program"].figures["entries"]


class Fitting(keras.Model):
    """Trains in a way that cannot be traced."""

    rounds = 1

    def fit(self, *args, **kwargs):
        for _ in range(self.rounds):
            history = super().fit(*args, **kwargs)
        return history


class FittingOtherwise(keras.Model):
    """Likewise, but otherwise."""

    def fit(self, *args, **kwargs):
        return super().fit(*args, **{**kwargs, "shuffle": False})


def fitting(rounds):
    def build():
        model = of_class(Fitting)()
        model.rounds = rounds
        return model

    return build


@pytest.mark.parametrize(
    ("reference", "candidate", "said"),
    [
        (of_class(keras.Model), of_class(Fitting), "only the candidate overrides it"),
        (of_class(Fitting), of_class(Plain), "only the reference overrides it"),
        (of_class(Fitting), of_class(FittingOtherwise), "with other code or values"),
        (fitting(1), fitting(2), "with other code or values"),
    ],
)
def test_a_method_that_is_not_run_and_differs_leaves_no_answer(reference, candidate, said):
    result = outputs_of(reference, candidate)
    assert result.verdict is Verdict.INCONCLUSIVE
    (finding,) = result.differences
    assert finding.field == "fit"
    assert said in finding.message


def test_a_method_that_is_not_run_and_is_the_same_is_a_note():
    result = outputs_of(of_class(Fitting), of_class(Fitting))
    assert result.verdict is Verdict.EQUIVALENT
    assert [(note.field, "not run" in note.message) for note in result.notes] == [("fit", True)]
    assert outputs_of(of_class(keras.Model), of_class(Plain)).findings == ()


def middle(dtype, *split):
    def build():
        inputs = keras.Input((8,))
        hidden = layers.Dense(6, dtype="mixed_float16", activation=None if split else "relu")(inputs)
        for activation in split:
            hidden = layers.Activation(activation, dtype="mixed_float16")(hidden)
        return keras.Model(inputs, layers.Dense(2, dtype="float32")(layers.Dense(6, dtype=dtype)(hidden)))

    return build


def test_a_hidden_layer_in_another_dtype_is_a_difference():
    result = outputs_of(middle("mixed_float16"), middle("float32"))
    assert result.verdict is Verdict.DIFFERENT
    assert [f.field for f in result.differences] == ["dtype"]
    assert "computes in float16 in the reference" in result.differences[0].message
    loose = outputs_of(middle("mixed_float16"), middle("float32"), rtol=1e-2, atol=1e-2)
    assert loose.verdict is Verdict.EQUIVALENT
    split = outputs_of(middle("mixed_float16"), middle("mixed_float16", "relu"))
    assert split.verdict is Verdict.EQUIVALENT


def elementwise(function):
    def build():
        inputs = keras.Input((4,))
        return keras.Model(inputs, function(inputs))

    return build


def test_nan_is_taken_where_the_reference_copes_with_it():
    batch = np.array([[np.nan, 1, 2, 3]], "float32")
    same = outputs_of(elementwise(keras.ops.nan_to_num), elementwise(keras.ops.nan_to_num), inputs=batch)
    assert same.verdict is Verdict.EQUIVALENT
    other = outputs_of(elementwise(keras.ops.nan_to_num), elementwise(keras.ops.negative), inputs=batch)
    assert other.verdict is Verdict.DIFFERENT
    with pytest.raises(InputError, match=r"1 NaN, the first at index \(0, 0\); the reference returns NaN"):
        outputs_of(elementwise(keras.ops.negative), elementwise(keras.ops.negative), inputs=batch)
