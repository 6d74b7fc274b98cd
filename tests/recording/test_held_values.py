"""What is kept of values: equal ones are told, and generic ones drawn alike everywhere."""

import keras
import numpy as np
import pytest

from pytest_kerasequiv.keras_access.random_state import seeded
from pytest_kerasequiv.recording.held_values import (
    LARGEST_WHOLE,
    NotKept,
    digest_of,
    generic_weights,
    held_variables,
    restored,
)
from pytest_kerasequiv.weights.variables import values_of


def built(seed=0):
    """A model with drawn kernels, constants, statistics and the state of a seed generator."""
    with seeded(seed):
        layers = [keras.layers.Dense(200), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
        return keras.Sequential([keras.Input((30,)), *layers])


def test_no_drawn_value_is_kept_and_states_are():
    model = built()
    held = held_variables(model, drawn=[0])
    assert held[0].whole is None
    assert len(held[0].spread) == 33
    seeds = [one for one in held if one.seed]
    assert len(seeds) == 1
    np.testing.assert_array_equal(seeds[0].whole, values_of(model)[-1])


def test_generic_weights_are_drawn_alike_and_like_the_start():
    held = held_variables(built(), drawn=[0])
    again = held_variables(built(), drawn=[0])
    first = generic_weights(held, 0)
    for one, other in zip(first, generic_weights(again, 0), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], generic_weights(held, 1)[0])
    kernel = values_of(built())[0]
    assert first[0].dtype == kernel.dtype
    assert abs(first[0].std() / kernel.std() - 1) < 0.05
    assert np.abs(first[0]).max() <= np.abs(kernel).max()
    assert len({value.tobytes() for value in first}) == len(first)
    for value, what in zip(first, held, strict=True):  # what starts as one number does not stay so
        assert what.seed or len(np.unique(value)) > 1
    variance = next(value for value, what in zip(first, held, strict=True) if what.name == "moving_variance")
    assert variance.min() > 0


def test_restored_values_are_equal_where_the_recorded_ones_were():
    held = held_variables(built(), drawn=[0])
    same = values_of(built())
    for value, expected in zip(restored(held, same), same, strict=True):
        np.testing.assert_array_equal(value, expected)
    other = values_of(built(seed=1))
    found = restored(held, other)
    assert not np.array_equal(found[0], other[0])
    np.testing.assert_array_equal(found[1], other[1])  # zeros are zeros


def test_two_that_started_equal_are_restored_equal():
    model = built()
    twice = (*held_variables(model, drawn=[0])[:1], *held_variables(model, drawn=[0])[:1])
    one, other = restored(twice, [])
    np.testing.assert_array_equal(one, other)


def test_a_digest_tells_bits_and_dtype_but_no_axes_of_length_1():
    value = np.array([0.0, 1.0], np.float32)
    assert digest_of(value) == digest_of(value.reshape(1, 2))
    others = [np.array([-0.0, 1.0], np.float32), value.astype(np.float64), value[::-1], value.view(np.int32)]
    assert digest_of(value) not in {digest_of(other) for other in others}


def test_many_integers_are_not_kept_and_that_is_said():
    class Table(keras.layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(
                shape=(LARGEST_WHOLE + 1,), dtype="int32", initializer="zeros", trainable=False
            )

        def call(self, x):
            return x + keras.ops.cast(self.table[0], x.dtype)

    model = keras.Sequential([keras.Input((3,)), Table()])
    with pytest.raises(NotKept, match="holds integers, too many to be recorded"):
        generic_weights(held_variables(model, drawn=[]), 0)
