"""Small models and data that train in a blink."""

import numpy as np
import pytest


@pytest.fixture
def data():
    """Sixty rows for an mlp with four inputs."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype("float32")
    y = x.sum(axis=1, keepdims=True) + rng.normal(size=(60, 1)).astype("float32")
    return (x[:44], y[:44]), (x[44:], y[44:])


@pytest.fixture(scope="session")
def mlp():
    """A builder of a compiled model with dropout."""

    def build(rate=0.2):
        import keras
        from keras import layers

        model = keras.Sequential(
            [keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dropout(rate), layers.Dense(1)]
        )
        model.compile("sgd", "mse", metrics=["mae"])
        return model

    return build


@pytest.fixture(scope="session")
def source_of():
    """Make the source of one side from a builder."""
    from pytest_kerasequiv.building.sources import source_of

    return lambda builder, side="reference": source_of(builder, side, compile=None)
