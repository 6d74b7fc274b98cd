"""Reading and writing the variables of a model."""

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.models.variables import assign, assigned, holds, peek, values_of, variables_of


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


def test_values_are_copies(model):
    values = values_of(model)
    values[0][:] = 7
    assert not holds(variables_of(model)[0], values[0])
