"""Rewrites that keep the function, each a pair of builders; benchmarks/numeric.py loads them too."""

import keras
from keras import layers


def _net(shape, *stack, head=3):
    """Return a builder: the layers that `stack` makes, one after the other, and a Dense."""

    def build():
        inputs = keras.Input(shape)
        x = inputs
        for make in stack:
            x = make()(x)
        return keras.Model(inputs, layers.Dense(head)(layers.Flatten()(x)))

    return build


def _conv():
    return layers.Conv1D(4, 3, name="conv")


def _sequential():
    return keras.Sequential([keras.Input((12, 3)), _conv(), layers.ReLU(), layers.Flatten(), layers.Dense(3)])


def _functional():
    inputs = keras.Input((12, 3))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.ReLU()(_conv()(inputs)))))


def _add(swapped):
    def build():
        inputs = keras.Input((8,))
        deep = layers.Dense(6, activation="tanh")(layers.Dense(5, activation="relu")(inputs))
        flat = layers.Dense(6)(inputs)
        return keras.Model(inputs, layers.Dense(2)(layers.Add()([flat, deep] if swapped else [deep, flat])))

    return build


def _nested(flat):
    def build():
        inputs = keras.Input((8,))
        block = [layers.Dense(6, activation="relu"), layers.LayerNormalization()]
        if flat:
            x = inputs
            for layer in block:
                x = layer(x)
        else:
            x = keras.Sequential([keras.Input((8,)), *block], name="block")(inputs)
        return keras.Model(inputs, layers.Dense(2)(x))

    return build


def _named(prefix):
    def build():
        stack = [layers.Dense(6, activation="relu", name=f"{prefix}_a"), layers.Dense(2, name=f"{prefix}_b")]
        return keras.Sequential([keras.Input((8,)), *stack])

    return build


SEQUENCE = (12, 3)
IMAGE = (8, 8, 3)

REWRITES = {
    "Sequential, Functional": (_sequential, _functional),
    "activation=, ReLU layer": (
        _net(SEQUENCE, lambda: layers.Conv1D(4, 3, activation="relu")),
        _net(SEQUENCE, lambda: layers.Conv1D(4, 3), layers.ReLU),
    ),
    "Flatten, Reshape": (
        _net(SEQUENCE, _conv, layers.Flatten),
        _net(SEQUENCE, _conv, lambda: layers.Reshape((-1,))),
    ),
    "Dense on 3-D, TimeDistributed": (
        _net(SEQUENCE, lambda: layers.Dense(5)),
        _net(SEQUENCE, lambda: layers.TimeDistributed(layers.Dense(5))),
    ),
    "Dense, Conv1D kernel 1": (
        _net(SEQUENCE, lambda: layers.Dense(5)),
        _net(SEQUENCE, lambda: layers.Conv1D(5, 1)),
    ),
    "LSTM, RNN of LSTMCell": (
        _net(SEQUENCE, lambda: layers.LSTM(4)),
        _net(SEQUENCE, lambda: layers.RNN(layers.LSTMCell(4))),
    ),
    "LSTM, unrolled": (
        _net((6, 3), lambda: layers.LSTM(4)),
        _net((6, 3), lambda: layers.LSTM(4, unroll=True)),
    ),
    "SeparableConv, Depthwise and 1x1": (
        _net(IMAGE, lambda: layers.SeparableConv2D(4, 3)),
        _net(IMAGE, lambda: layers.DepthwiseConv2D(3, use_bias=False), lambda: layers.Conv2D(4, 1)),
    ),
    "GlobalAveragePooling, AveragePooling and Flatten": (
        _net(SEQUENCE, _conv, layers.GlobalAveragePooling1D),
        _net(SEQUENCE, _conv, lambda: layers.AveragePooling1D(10), layers.Flatten),
    ),
    "order of Add": (_add(swapped=False), _add(swapped=True)),
    "nested, flat": (_nested(flat=False), _nested(flat=True)),
    "other names": (_named("one"), _named("other")),
}
