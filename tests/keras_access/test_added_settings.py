"""Settings that came with a newer Keras: left out where they say what older Keras does, compared else."""

import keras
import pytest
from keras import layers

from pytest_kerasequiv import compare
from pytest_kerasequiv.keras_access.added_settings import AS_EVER, is_as_ever
from pytest_kerasequiv.keras_access.supported import is_before
from pytest_kerasequiv.layers.configs import read_config

LAYERS = [
    lambda: layers.InputLayer((3,)),
    layers.BatchNormalization,
    lambda: layers.MultiHeadAttention(1, 2),
    lambda: layers.StringLookup(vocabulary=["a"]),
]


@pytest.mark.parametrize("make", LAYERS)
def test_an_ordinary_layer_is_described_as_older_keras_does(make):
    fields, _, could_be_read = read_config(make())
    assert could_be_read
    assert not fields.keys() & AS_EVER.keys()


def test_only_the_very_value_is_left_out():
    assert is_as_ever("renorm", False)
    assert not is_as_ever("renorm", 0)
    assert not is_as_ever("renorm", True)
    assert not is_as_ever("renorm_momentum", 0.9)
    assert not is_as_ever("momentum", 0.99)


@pytest.mark.skipif(is_before(keras, 3, 14), reason="this Keras has none of these settings")
def test_a_setting_that_says_more_is_still_named():
    def normalised(**settings):
        return keras.Sequential([keras.Input((3,)), layers.BatchNormalization(**settings), layers.Dense(1)])

    report = compare(normalised, lambda: normalised(renorm=True), checks=["graph"])
    assert "renorm is False in the reference and True in the candidate" in " ".join(str(report).split())
