"""What preprocessing layers keep outside the variables."""

import keras
from keras import layers

from pytest_kerasequiv.weights.vocabularies import Learned, learned_of, tokens_of


def test_tokens_are_those_of_lookup_layers_without_special_ones_and_each_once():
    lookups = [
        layers.StringLookup(vocabulary=["b", "a"]),
        layers.Dense(1),
        layers.IntegerLookup(vocabulary=[30, 50]),
        layers.TextVectorization(vocabulary=["a", "c"]),
    ]
    assert tokens_of(lookups) == ("b", "a", 30, 50, "c")


class Holder(layers.Layer):
    def __init__(self):
        super().__init__(name="holder")
        self.lookup = layers.StringLookup(vocabulary=["x"], name="lookup")
        self.inner = layers.Identity(name="inner")

    def call(self, texts):
        return self.lookup(self.inner(texts))


def test_what_is_looked_up_is_found_in_nested_layers_once():
    inputs = keras.Input((2,), dtype="string")
    model = keras.Model(inputs, Holder()(inputs), name="model")
    assert learned_of(model) == (Learned("model/holder/lookup", "vocabulary", ("[UNK]", "x")),)


def test_boundaries_are_learned_too():
    bins = layers.Discretization(bin_boundaries=[0.0, 1.5], name="bins")
    model = keras.Sequential([keras.Input((2,)), bins, layers.Dense(1)], name="model")
    assert learned_of(model) == (Learned("model/bins", "bin_boundaries", (0.0, 1.5)),)
