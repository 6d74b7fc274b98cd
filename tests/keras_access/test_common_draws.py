"""Draws in common follow from their law and their shape alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pytest_kerasequiv.keras_access.common_draws import NotInCommon, common_draws


def dropped(rate, shape=(40, 50), **options):
    with common_draws():
        return np.asarray(layers.Dropout(rate, **options)(np.ones(shape, "float32"), training=True))


def test_the_same_elements_are_dropped_whatever_was_drawn_before():
    first = dropped(0.3)
    with common_draws():
        keras.random.normal((3, 3))
    assert np.array_equal(first, dropped(0.3))


def test_a_rate_a_little_higher_drops_more():
    low, high = dropped(0.3), dropped(0.31)
    assert np.mean(low == 0) == pytest.approx(0.3, abs=0.03)
    assert np.all(high[low == 0] == 0)
    assert np.sum(high == 0) > np.sum(low == 0)
    assert low.max() == pytest.approx(1 / 0.7)


def test_whole_channels_are_dropped_where_the_noise_has_that_shape():
    found = dropped(0.5, (4, 6, 8), noise_shape=(None, 1, None))
    assert np.all((found == 0).all(axis=1) == (found == 0).any(axis=1))


@pytest.mark.parametrize(
    ("draw", "mean", "deviation"),
    [
        (lambda: keras.random.uniform((90, 90), -1.0, 3.0), 1.0, 4 / 12**0.5),
        (lambda: keras.random.normal((90, 90), 2.0, 0.5), 2.0, 0.5),
        (lambda: keras.random.truncated_normal((90, 90)), 0.0, 0.88),
    ],
    ids=["uniform", "normal", "truncated"],
)
def test_draws_have_the_law_that_was_asked_for(draw, mean, deviation):
    with common_draws():
        found = np.asarray(draw())
        assert np.array_equal(found, np.asarray(draw()))
    assert found.mean() == pytest.approx(mean, abs=0.05)
    assert found.std() == pytest.approx(deviation, rel=0.05)


def test_a_traced_function_draws_the_same_for_a_batch_of_any_size():
    layer = layers.Dropout(0.4)
    with common_draws():
        traced = tf.function(
            lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, 5))], autograph=False
        )
        inputs = np.ones((7, 5), "float32")
        assert np.array_equal(traced(inputs), layer(inputs, training=True))


def test_what_cannot_be_drawn_in_common_is_refused():
    with common_draws(), pytest.raises(NotInCommon, match=r"keras\.random\.randint"):
        keras.random.randint((2,), 0, 5)


def test_keras_draws_as_before_afterwards():
    with common_draws():
        pass
    keras.utils.set_random_seed(1)
    first = np.asarray(keras.random.uniform((5,)))
    keras.utils.set_random_seed(2)
    assert not np.array_equal(first, keras.random.uniform((5,)))


def test_a_draw_leaves_no_cast_in_a_traced_function():
    with common_draws():
        traced = tf.function(
            lambda x: keras.random.normal(keras.ops.shape(x), dtype="float32"),
            input_signature=[tf.TensorSpec((None, 5), tf.float64)],
            autograph=False,
        ).get_concrete_function()
    drawn = [
        op for op in traced.graph.get_operations() if op.type == "Cast" and op.inputs[0].dtype.is_floating
    ]
    assert drawn == []
