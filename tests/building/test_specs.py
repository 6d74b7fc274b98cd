"""Shapes and dtypes of inputs: given, read off models, built from."""

import keras
import numpy as np
import pytest
from keras import layers
from tests.common.unread_inputs import needs_unread_inputs

from pytest_kerasequiv import InputError, Twins
from pytest_kerasequiv.building.specs import (
    Spec,
    build_from,
    compatible,
    flat_specs,
    input_specs,
    output_count,
    parse_input_shape,
    show,
    specs_of_example,
    with_dtypes,
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ((60, 2), Spec((None, 60, 2))),
        ([60, 2], Spec((None, 60, 2))),
        ((None, 2), Spec((None, None, 2))),
        ((np.int64(3),), Spec((None, 3))),
        ((), Spec((None,))),
        ([(3,), [4, 5]], [Spec((None, 3)), Spec((None, 4, 5))]),
        ({"a": (3,), "b": [4]}, {"a": Spec((None, 3)), "b": Spec((None, 4))}),
        (((5,), "int32"), Spec((None, 5), "int32")),
        (((), "string"), Spec((None,), "string")),
        ([((5,), int), (3,)], [Spec((None, 5), "int64"), Spec((None, 3))]),
        ([((5,), np.dtype("uint8")), (3,)], [Spec((None, 5), "uint8"), Spec((None, 3))]),
        ({"a": ((3,), "int64"), "b": [4]}, {"a": Spec((None, 3), "int64"), "b": Spec((None, 4))}),
        (keras.Input((2, None), dtype="int8"), Spec((None, 2, None), "int8")),
        ([keras.Input((2,)), (3,)], [Spec((None, 2), "float32"), Spec((None, 3))]),
    ],
)
def test_input_shapes(given, expected):
    assert parse_input_shape(given) == expected


def test_a_dtype_that_keras_does_not_know():
    with pytest.raises(InputError, match="names the dtype 'integer', which Keras does not know"):
        parse_input_shape(((5,), "integer"))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (np.zeros((6, 5), "int32"), Spec((None, 5), "int32")),
        (np.zeros((6, 5), "float64"), Spec((None, 5))),
        (np.array([["a"], ["b"]]), Spec((None, 1), "string")),
        ([np.zeros((6, 5)), np.zeros((6,), bool)], [Spec((None, 5)), Spec((None,), "bool")]),
        ({"a": np.zeros((6, 5), "uint8")}, {"a": Spec((None, 5), "uint8")}),
        ([[1.0, 2.0], [3.0, 4.0]], None),
        (None, None),
    ],
)
def test_what_inputs_tell(inputs, expected):
    assert specs_of_example(inputs) == expected


def test_an_example_tells_only_dtypes_that_are_not_known():
    example = {"a": Spec((None, 5), "int32"), "b": Spec((None, 3), "uint8")}
    own = {"a": Spec((None, 5)), "b": Spec((None, 3), "float32"), "c": Spec((None, 2))}
    assert with_dtypes(own, example) == {**own, "a": Spec((None, 5), "int32")}
    assert with_dtypes(Spec((None, 4)), Spec((None, 5), "int32")) == Spec((None, 4))


def test_flat_order_is_that_of_keras():
    specs = {"b": Spec((None, 1)), "a": [Spec((None, 2)), Spec((None, 3))]}
    assert [spec.shape[1] for spec in flat_specs(specs)] == [2, 3, 1]
    assert show(specs) == "{'b': (1,), 'a': [(2,), (3,)]}"


def test_compatible_shapes():
    assert compatible((None, 3), (4, 3))
    assert not compatible((None, 3), (None, 4))
    assert not compatible((None, 3), (None, 3, 1))


@needs_unread_inputs
def test_specs_of_functional_and_sequential_models():
    a, b = keras.Input((3,), name="a", dtype="int32"), keras.Input((2, 4), name="b")
    model = keras.Model({"a": a, "b": b}, [layers.Flatten()(b), a])
    assert input_specs(model) == {"a": Spec((None, 3), "int32"), "b": Spec((None, 2, 4), "float32")}
    assert output_count(model) == 2
    sequential = keras.Sequential([layers.Dense(1)])
    assert input_specs(sequential) is None
    build_from(sequential, Spec((None, 3)))
    assert input_specs(sequential) == Spec((None, 3), "float32")
    assert output_count(sequential) == 1


class TwoInputs(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs):
        first, second = (inputs["a"], inputs["b"]) if isinstance(inputs, dict) else inputs
        return {"sum": self.dense(first) + self.dense(second), "first": first}


@pytest.mark.parametrize("shape", [{"a": (3,), "b": (3,)}, [(3,), (3,)], ((3,), (3,))])
def test_subclassed_models_with_several_inputs(shape):
    twins = Twins(TwoInputs, TwoInputs, input_shape=shape)
    assert len(twins.reference.weights) == 2
    assert len(flat_specs(twins.input_specs)) == 2
    assert output_count(twins.reference) == 2


def test_a_subclassed_model_takes_dtype_and_names_from_the_other_twin():
    def functional():
        a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
        dense = layers.Dense(2)
        return keras.Model({"a": a, "b": b}, {"sum": dense(a) + dense(b), "first": a})

    twins = Twins(functional, TwoInputs)
    assert input_specs(twins.candidate) == input_specs(twins.reference)
    x = {name: np.ones((2, 3), "float32") for name in "ab"}
    np.testing.assert_array_equal(twins.reference(x)["sum"], twins.candidate(x)["sum"])


class Eager(keras.Model):
    """A model whose code needs real arrays."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(np.asarray(x))

    def compute_output_spec(self, x):
        return keras.KerasTensor((x.shape[0], 2))


def test_code_that_needs_real_arrays_is_built_on_zeros():
    twins = Twins(Eager, Eager, input_shape=(None, 3))
    assert twins.reference.dense.built


def test_code_that_takes_texts_is_built_on_texts():
    class Reading(keras.Model):
        def __init__(self):
            super().__init__()
            self.look_up = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3)
            self.embed = layers.Embedding(9, 2)

        def call(self, x):
            return self.embed(self.look_up(x))

    model = Reading()
    build_from(model, Spec((None, 1)))
    assert input_specs(model) == Spec((None, 1), "string")


def test_a_sequential_cannot_be_built_from_several_shapes():
    def sequential():
        return keras.Sequential([layers.Dense(1)])

    with pytest.raises(InputError, match=r"cannot be built for input_shape=\[\(3,\), \(4,\)\]"):
        _ = Twins(sequential, input_shape=[(3,), (4,)]).reference
