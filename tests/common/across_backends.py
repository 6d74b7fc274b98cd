"""Builders of models that run on every backend of Keras, and what skips a test where a backend is missing."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import layers


def needs(backend):
    """Return what skips a test where a backend is not installed."""
    missing = importlib.util.find_spec(backend) is None
    return pytest.mark.skipif(missing, reason=f"needs pip install 'pytest-kerasequiv[{backend}]'")


EACH = [pytest.param(backend, marks=needs(backend)) for backend in ("jax", "torch")]
"""The backends, for ``pytest.mark.parametrize``."""


def sequential():
    """The model of the question that started it all."""
    model = keras.Sequential(
        [
            layers.Conv1D(4, 7, activation="relu"),
            layers.Conv1D(6, 11, activation="relu"),
            layers.LSTM(100, return_sequences=True, activation="relu"),
            layers.Dropout(0.2),
            layers.LSTM(100, activation="relu"),
            layers.Dense(2, activation="relu"),
            layers.Reshape((1, 2)),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def functional():
    """The same in the other API."""
    inputs = keras.Input((60, 2))
    x = inputs
    for layer in sequential().layers:
        x = type(layer).from_config(layer.get_config())(x)
    model = keras.models.Model([inputs], [x])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def small(
    *,
    activation="relu",
    epsilon=1e-3,
    momentum=0.99,
    rate=0.3,
    forget=True,
    recurrent_dropout=0.1,
    regularizer=None,
    constraint=None,
    frozen=False,
    learning_rate=1e-3,
    loss="mse",
    initializer="glorot_uniform",
):
    """A convolution, a BatchNormalization, a Dropout, an LSTM: each fault is one argument."""
    model = keras.Sequential(
        [
            keras.Input((12, 3)),
            layers.Conv1D(
                4,
                3,
                activation=activation,
                kernel_regularizer=regularizer,
                kernel_constraint=constraint,
                kernel_initializer=initializer,
                name="conv",
            ),
            layers.BatchNormalization(epsilon=epsilon, momentum=momentum, name="norm"),
            layers.Dropout(rate, name="drop"),
            layers.MaxPooling1D(2, name="pool"),
            layers.LSTM(
                5, unit_forget_bias=forget, recurrent_dropout=recurrent_dropout, dropout=0.1, name="lstm"
            ),
            layers.Dense(3, name="out", trainable=not frozen),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["mae"])
    return model


def cnn():
    """Two convolutions with BatchNormalization, for a softmax."""
    inputs = keras.Input((10, 10, 3))
    x = layers.Conv2D(8, 3, use_bias=False, padding="same")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.SpatialDropout2D(0.1)(layers.MaxPooling2D()(x))
    x = layers.SeparableConv2D(8, 3)(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    model = keras.Model(inputs, layers.Dense(4, activation="softmax")(x))
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def gru():
    """Masked steps, and GRUs in both directions."""
    inputs = keras.Input((9, 4))
    x = layers.GRU(6, return_sequences=True)(layers.Masking()(inputs))
    x = layers.Bidirectional(layers.GRU(4, dropout=0.2))(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile("rmsprop", "mae")
    return model


def transformer(*, epsilon=1e-6):
    """A block of attention over masked tokens."""
    tokens = keras.Input((10,), dtype="int32")
    x = layers.Embedding(30, 8, mask_zero=True)(tokens)
    attended = layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x)
    x = layers.LayerNormalization(epsilon=epsilon)(x + attended)
    fed = layers.Dense(8)(layers.Dense(16, activation="gelu")(x))
    x = layers.LayerNormalization(epsilon=epsilon)(x + layers.Dropout(0.1)(fed))
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(tokens, layers.Dense(3, activation="softmax")(x))
    model.compile("adamw", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def noisy(*, stddev=0.1):
    """Noise that is added and multiplied."""
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.GaussianNoise(stddev, name="noise"),
            layers.Dense(4, activation="selu"),
            layers.GaussianDropout(0.2),
            layers.AlphaDropout(0.2),
            layers.Dense(2),
        ]
    )
    model.compile("sgd", "mse")
    return model


def clipped(limit=500.0):
    """Small numbers, and a limit that none of them reaches."""
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(6, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)),
            layers.ReLU(max_value=limit, name="clip"),
        ]
    )


class Scaled(keras.Model):
    """A model of own code: Dropout, and a factor."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.hidden, self.drop, self.out = layers.Dense(5), layers.Dropout(0.3), layers.Dense(2)

    def call(self, x, training=None):
        return self.out(self.drop(self.hidden(x), training=training) * self.factor)


def scaled(factor=1.0):
    """`Scaled`, compiled."""
    model = Scaled(factor)
    model.compile("adam", "mse")
    return model


def normalized():
    """A model that counts what it has learned from, in 64 bits on TensorFlow."""
    learned = layers.Normalization()
    learned.adapt(np.arange(12.0).reshape(6, 2))
    return keras.Sequential([keras.Input((2,)), learned, layers.Dense(2)])


def refusing():
    """A builder that breaks on any backend but TensorFlow."""
    if keras.config.backend() != "tensorflow":
        raise RuntimeError("only for TensorFlow")
    return clipped()


def other_inputs():
    """A model that takes other inputs on another backend."""
    size = 6 if keras.config.backend() == "tensorflow" else 7
    return keras.Sequential([keras.Input((size,)), layers.Dense(2)])


def drawing_alone():
    """A model whose draws no other backend can make alike."""
    inputs = keras.Input((6,))

    def draw(x):
        return x + keras.ops.cast(keras.random.randint(keras.ops.shape(x), 0, 5), "float32")

    return keras.Model(inputs, layers.Lambda(draw, output_shape=(6,))(layers.Dense(6)(inputs)))
