"""A small compiled model with what matters to recordings, recorded once for all tests."""

import keras
import pytest

from pytest_kerasequiv import record

LAYERS = keras.layers


def made(
    *, activation="relu", rate=0.3, momentum=0.99, initializer="glorot_uniform", learning_rate=1e-3, width=30
):
    """The reference, or one with another setting."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            LAYERS.Dense(width, activation=activation, kernel_initializer=initializer),
            LAYERS.Dropout(rate),
            LAYERS.BatchNormalization(momentum=momentum),
            LAYERS.Dense(3),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate), "mse", metrics=["mae"])
    return model


def functional():
    """The reference in the other API, with other names and the activation in a layer of its own."""
    inputs = keras.Input((4,), name="features")
    x = LAYERS.ReLU(name="bend")(LAYERS.Dense(30, name="widen")(inputs))
    x = LAYERS.BatchNormalization(name="norm")(LAYERS.Dropout(0.3, name="drop")(x))
    model = keras.Model(inputs, LAYERS.Dense(3, name="head")(x))
    model.compile("adam", "mse", metrics=["mae"])
    return model


def unbuilt():
    """The reference as a model that does not know its shape."""
    layers = [LAYERS.Dense(30, "relu"), LAYERS.Dropout(0.3), LAYERS.BatchNormalization(), LAYERS.Dense(3)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse", metrics=["mae"])
    return model


def rewritten():
    """The reference with its activation computed in another way."""
    inputs = keras.Input((4,))
    x = keras.ops.maximum(LAYERS.Dense(30)(inputs), 0.0)
    x = LAYERS.BatchNormalization()(LAYERS.Dropout(0.3)(x))
    model = keras.Model(inputs, LAYERS.Dense(3)(x))
    model.compile("adam", "mse", metrics=["mae"])
    return model


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """The file of the recorded reference."""
    return record(made, tmp_path_factory.mktemp("recordings") / "small.kerasequiv")
