"""One forecaster, written in both APIs of Keras, as it was posted with the question."""

import tensorflow as tf
from tensorflow.keras import layers

STEPS = 60
"""Days of history. With the 15 of the original question the second convolution gets 9 steps and needs 11."""


def sequential():
    """Return the model as a Sequential. It has no Input, so it is not built until it sees a shape."""
    return tf.keras.models.Sequential(
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


def functional(steps=STEPS, dropout=0.2):
    """Return the same model, written with the functional API."""
    input_layer = layers.Input((steps, 2))
    x = layers.Conv1D(4, 7, activation="relu")(input_layer)
    x = layers.Conv1D(6, 11, activation="relu")(x)
    x = layers.LSTM(100, return_sequences=True, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    x = layers.LSTM(100, activation="relu")(x)
    x = layers.Dense(2, activation="relu")(x)
    output_layer = layers.Reshape((1, 2))(x)
    return tf.keras.models.Model([input_layer], [output_layer])
