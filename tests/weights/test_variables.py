"""Reading and writing the variables of a model."""

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.weights.variables import (
    assign,
    assigned,
    emptied,
    holds,
    is_seed,
    peek,
    same_buffer,
    share,
    values_of,
    variables_of,
    write,
)


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization()])


def test_holds_tells_bits_apart_not_values(model):
    kernel, bias = variables_of(model)[:2]
    value = peek(kernel).copy()
    assert holds(kernel, value)
    assert holds(kernel, np.asfortranarray(value))
    assert not holds(kernel, value.astype(np.float64))
    assert not holds(kernel, value.reshape(3, 4))
    assert not holds(kernel, np.nextafter(value, np.float32(9)))
    assert holds(bias, np.zeros(3, np.float32))
    assert not holds(bias, -np.zeros(3, np.float32))
    bias.assign([np.nan, 0, 0])
    assert holds(bias, peek(bias).copy())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int8", "bool", "complex128"])
def test_holds_in_every_dtype(dtype):
    variable = keras.Variable(np.ones((2, 3)), dtype=dtype, trainable=False)
    value = peek(variable).copy()
    assert holds(variable, value)
    value[1, 2] = 0
    assert not holds(variable, value)


def test_holds_what_lies_in_the_same_buffer_unless_read_in_another_order():
    variable = keras.Variable([[1.0, 2.0], [3.0, 4.0]])
    value = peek(variable)
    assert holds(variable, value)
    assert not holds(variable, value.T)
    assert not holds(variable, value[::-1])


def test_one_buffer_is_known_as_one():
    value = peek(keras.Variable([[1.0, 2.0], [3.0, 4.0]]))
    assert same_buffer(value, value[:])
    assert not same_buffer(value, value.T)
    assert not same_buffer(value, value.copy())


def test_writing_tells_whether_anything_changed(model):
    kernel = variables_of(model)[0]
    value = peek(kernel).copy()
    assert write(kernel, value) is False
    assert write(kernel, value + 1) is True


def test_states_of_seed_generators_are_told_from_weights():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1), layers.Dropout(0.5)])
    assert [is_seed(variable) for variable in variables_of(model)] == [False, False, True]


def test_too_few_values_are_refused_before_any_is_lost(model):
    before = [value.copy() for value in values_of(model)]
    short = [value + 1 for value in before[:-1]]
    with pytest.raises(ValueError, match="zip"), assigned(model, short):
        pass
    assert all(holds(v, value) for v, value in zip(variables_of(model), before, strict=True))
    with pytest.raises(ValueError, match="zip"):
        assign(model, short)


def test_holds_of_a_scalar_and_of_nothing():
    assert holds(keras.Variable(2.0), np.float32(2).reshape(()))
    assert not holds(keras.Variable(2.0), np.float32(3).reshape(()))
    assert holds(keras.Variable(np.zeros((0, 2), np.float32)), np.zeros((0, 2), np.float32))


def test_what_was_peeked_at_stays(model):
    kernel = variables_of(model)[0]
    seen, before = peek(kernel), peek(kernel).copy()
    kernel.value.assign_add(np.ones((4, 3), np.float32))
    np.testing.assert_array_equal(seen, before)
    kernel.assign(before * 2)
    np.testing.assert_array_equal(seen, before)


def test_assigned_brings_back_what_was_there(model):
    own = values_of(model)
    given = [value + 1 if index else value for index, value in enumerate(own)]
    with assigned(model, given):
        assert all(holds(v, value) for v, value in zip(variables_of(model), given, strict=True))
        assign(model, [value * 3 - 1 for value in own])
    assert all(holds(v, value) for v, value in zip(variables_of(model), own, strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adafactor"])
@pytest.mark.parametrize("eagerly", [True, False])
def test_values_stay_while_the_model_is_trained(optimizer, eagerly):
    model = keras.Sequential([keras.Input((3,)), layers.Embedding(5, 4), layers.Flatten(), layers.Dense(2)])
    model.compile(optimizer, "mse", run_eagerly=eagerly)
    values = values_of(model)
    before = [value.copy() for value in values]
    model.fit(np.array([[0, 1, 1]]), np.ones((1, 2)), epochs=2, verbose=0)
    for variable, value, old in zip(variables_of(model), values, before, strict=True):
        np.testing.assert_array_equal(value, old)
        assert not holds(variable, value)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_values_cannot_be_written_to(dtype):
    variable = keras.Variable(np.ones((2, 3)), dtype=dtype)
    with pytest.raises(ValueError, match="read-only"):
        peek(variable)[:] = 7


def test_what_is_computed_from_values_are_plain_arrays(model):
    kernel = values_of(model)[0]
    assert type(kernel * 2) is np.ndarray
    assert type(np.asarray(kernel)) is np.ndarray
    assert isinstance(kernel.sum(), np.float32)
    assert isinstance(np.abs(kernel).max(), np.float32)
    assert isinstance(kernel.__array_wrap__(np.ones(())), np.ndarray)  # as older NumPy calls it


def address(variable):
    return peek(variable).ctypes.data


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_variables_share_a_buffer_until_one_of_them_changes(dtype):
    ours, theirs = (keras.Variable(np.ones((4, 5)), dtype=dtype, trainable=False) for _ in range(2))
    value = peek(ours)
    share(theirs, value)
    assert address(theirs) == address(ours)
    theirs.assign(theirs + 1)
    assert holds(ours, value)
    assert holds(theirs, value + 1)
    write(theirs, value)
    assert holds(theirs, value)
    ours.assign(ours + 2)
    assert holds(theirs, value)


def test_only_the_very_same_bits_are_shared():
    ours, theirs = keras.Variable(np.zeros(3)), keras.Variable(-np.zeros(3))
    share(theirs, peek(ours))
    assert np.signbit(peek(theirs)).all()
    before = address(theirs)
    share(theirs, -np.zeros(3, np.float32))  # an array of one's own: there is no tensor to share
    assert address(theirs) == before


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("how", [{}, {"jit_compile": True}, {"run_eagerly": True}], ids=repr)
def test_models_that_share_buffers_are_trained_apart(optimizer, how):
    one, other = (
        keras.Sequential([keras.Input((3,)), layers.Embedding(5, 4), layers.Flatten(), layers.Dense(2)])
        for _ in range(2)
    )
    assign(other, values_of(one))
    assert address(one.weights[0]) == address(other.weights[0])
    before = [value.copy() for value in values_of(one)]
    for model in (one, other):
        model.compile(optimizer, "mse", **how)
        model.fit(np.array([[0, 1, 1]]), np.ones((1, 2)), verbose=0)
        if model is one:
            assert all(holds(v, old) for v, old in zip(variables_of(other), before, strict=True))
    for variable, value, old in zip(variables_of(one), values_of(other), before, strict=True):
        np.testing.assert_allclose(peek(variable), value, rtol=1e-6)
        assert not holds(variable, old)


def test_only_a_normalization_whose_variables_change_computes_anew():
    changed, by_hand = layers.Normalization(), layers.Normalization()
    model = keras.Sequential([keras.Input((3,)), changed, by_hand, layers.Dense(1)])
    by_hand.mean = by_hand.mean + 5.0
    first = [variable for variable in changed.variables if variable.name == "mean"]
    values = [
        value + 1 if v is first[0] else value
        for v, value in zip(variables_of(model), values_of(model), strict=True)
    ]
    assign(model, values)
    assert np.ravel(changed.mean).tolist() == [1.0, 1.0, 1.0]
    assert np.ravel(by_hand.mean).tolist() == [5.0, 5.0, 5.0]


def test_an_emptied_model_takes_values_again():
    layer = keras.layers.Dense(3, dtype="float64")
    one = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(2, dtype="float64")])
    other = keras.Sequential([keras.Input((4,)), layer])
    values = values_of(one)
    emptied(one, but=other)
    held = [v._value.read_value().shape.num_elements() for v in variables_of(one)]
    assert held == [12, 3, 0, 0]
    assign(one, values)
    assert all(holds(variable, value) for variable, value in zip(variables_of(one), values, strict=True))
