"""Recording layer calls and replaying them."""

import keras
import numpy as np
from keras import layers

from pytest_kerasequiv.running.layer_calls import record
from pytest_kerasequiv.running.replaying import replay


class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(3, name="inner")

    def call(self, x):
        return self.inner(x) + 1


def test_calls_come_in_order_with_paths_through_nested_and_composite_layers():
    inputs = keras.Input((4,))
    nested = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="d"), layers.ReLU(name="r")], name="part"
    )
    model = keras.Model(inputs, Block(name="block")(nested(inputs)), name="net")
    calls = record(model, np.ones((2, 4), "float32")).calls
    assert [c.path for c in calls] == ["net/part", "net/part/d", "net/part/r", "net/block", "net/block/inner"]
    assert calls[4].parent == 3
    assert calls[3].sources == ((2, 0),)
    assert calls[1].sources == ((-2, 0),)


def test_shared_layers_are_told_apart_by_their_call():
    a, b = keras.Input((3,)), keras.Input((3,))
    shared = layers.Dense(2, name="shared")
    model = keras.Model([a, b], layers.Add(name="add")([shared(a), shared(b)]), name="net")
    recording = record(model, [np.ones((1, 3), "float32"), np.zeros((1, 3), "float32")])
    assert [c.key for c in recording.calls] == [("net/shared", 0), ("net/shared", 1), ("net/add", 0)]
    assert len(recording.consumers[1]) == 1


def test_replay_gives_the_recorded_outputs_with_masks():
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 3, mask_zero=True)(tokens)
    model = keras.Model(tokens, layers.LSTM(2)(layers.Dense(4)(x)))
    recording = record(model, np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 1]], "int32"))
    for call, layer in zip(recording.calls, recording.layers, strict=True):
        again = replay(layer, call)
        np.testing.assert_allclose(again[0].value, call.outputs[0], rtol=1e-6)


def test_subclassed_models_are_recorded_and_loops_over_time_are_not_entered():
    class Model(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.rnn, self.head = layers.LSTM(2, name="rnn"), layers.Dense(1, name="head")

        def call(self, x):
            return self.head(self.rnn(x))

    model = Model()
    model(np.zeros((2, 5, 3), "float32"))
    calls = record(model, np.zeros((2, 5, 3), "float32")).calls
    assert [c.path for c in calls] == ["own/rnn", "own/head"]


def test_keras_is_as_before_afterwards():
    before = keras.layers.Layer.__call__, keras.Operation.__call__
    record(keras.Sequential([keras.Input((2,)), layers.Dense(1)]), np.zeros((1, 2), "float32"))
    assert (keras.layers.Layer.__call__, keras.Operation.__call__) == before
