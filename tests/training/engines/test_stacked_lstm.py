"""The LSTM for stacked weights against Keras's own, replica by replica: values and all gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pytest_kerasequiv.training.engines.stacked_lstm import Cells, activation_of, stacked_lstm

RNG = np.random.default_rng(0)
R, BATCH, STEPS, N, UNITS = 3, 4, 5, 2, 6


def normal(*shape):
    return tf.constant(RNG.normal(size=shape, scale=0.4).astype("float32"))


@pytest.mark.parametrize("gate", ["sigmoid", "linear"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "linear"])
def test_values_and_gradients_are_those_of_keras(activation, gate):
    inputs = [normal(R, BATCH, STEPS, N), normal(R, BATCH, UNITS), normal(R, BATCH, UNITS)]
    weights = [normal(R, N, 4 * UNITS), normal(R, UNITS, 4 * UNITS), normal(R, 4 * UNITS)]
    wanted = [normal(R, BATCH, STEPS, UNITS), normal(R, BATCH, UNITS), normal(R, BATCH, UNITS)]
    functions = [activation_of(keras.activations.get(name)) for name in (activation, gate)]
    with tf.GradientTape() as tape:
        tape.watch([*inputs, *weights])
        found = stacked_lstm(inputs[0], tuple(inputs[1:]), Cells(*weights, *functions))
        total = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(found, wanted, strict=True)])
    gradients = tape.gradient(total, [*inputs, *weights])
    for replica in range(R):
        mine = [tensor[replica] for tensor in (*inputs, *weights, *wanted)]
        values, slopes = by_keras((activation, gate), mine[:3], mine[3:6], mine[6:])
        for one, other in zip([*found, *gradients], [*values, *slopes], strict=True):
            np.testing.assert_allclose(one[replica], other, rtol=1e-4, atol=1e-4)


def by_keras(functions, inputs, weights, wanted):
    (activation, gate), (x, h, c) = functions, inputs
    layer = layers.LSTM(
        UNITS, activation=activation, recurrent_activation=gate, return_sequences=True, return_state=True
    )
    layer.build(x.shape)
    layer.set_weights(weights)
    variables = [variable.value for variable in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([x, h, c, *variables])
        found = layer(x, initial_state=[h, c])
        total = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(found, wanted, strict=True)])
    return found, tape.gradient(total, [x, h, c, *variables])


def test_an_activation_whose_gradient_is_not_known_is_none():
    assert activation_of(keras.activations.softplus) is None
    assert activation_of(lambda x: x) is None
