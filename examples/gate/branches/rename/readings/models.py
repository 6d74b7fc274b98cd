"""The network."""

import keras
from keras import layers


def hidden(units, name):
    return layers.Dense(units, activation="relu", name=f"hidden_{name}")


def regressor():
    return keras.Sequential(
        [
            keras.Input((6,)),
            hidden(16, "wide"),
            layers.Dropout(0.1, name="regularisation"),
            hidden(8, "narrow"),
            layers.Dense(1, name="prediction"),
        ]
    )
