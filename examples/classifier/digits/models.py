"""A small convolutional network with a skip connection, as it was written first and as it was tidied up."""

import keras
from keras import layers


def original():
    """Return the network as it was first written: one line after the other."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    y = layers.Conv2D(8, 3, padding="same")(x)
    y = layers.BatchNormalization()(y)
    x = layers.Add()([x, y])
    x = layers.Activation("relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.25)(x)
    outputs = layers.Dense(10, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def tidied():
    """Return the network after a clean-up: a helper for the repeated part, ``+`` for Add, ReLU layers."""
    inputs = keras.Input((8, 8, 1))
    x = layers.ReLU()(convolution(inputs))
    x = layers.ReLU()(convolution(x) + x)
    x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.25)(layers.Reshape((-1,))(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def forgetful():
    """Return the network after a clean-up that lost the skip connection. The shapes are all the same."""
    inputs = keras.Input((8, 8, 1))
    x = layers.ReLU()(convolution(inputs))
    x = layers.ReLU()(convolution(x))
    x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.25)(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def convolution(x):
    """Convolve and normalise."""
    return layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x))
