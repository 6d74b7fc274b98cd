"""Configurations that Keras itself cannot write."""

import functools

import keras
import pytest
from keras import layers, ops

from pytest_kerasequiv import Evidence, Verdict, compare
from pytest_kerasequiv.layers.configs import read_config


def capped(x, cap):
    return ops.minimum(x, cap) * ops.sigmoid(x)


def net(activation, **settings):
    def build():
        dense = layers.Dense(3, activation=activation, **settings)
        model = keras.Sequential([keras.Input((4,)), dense, layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    return build


@pytest.mark.parametrize("function", [capped, keras.activations.leaky_relu])
def test_a_partial_as_activation_is_compared_as_any_other(function):
    name = "cap" if function is capped else "negative_slope"
    one, again, other = (net(functools.partial(function, **{name: value})) for value in (0.5, 0.5, 0.75))
    report = compare(one, again)
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED)
    assert "get_config" not in str(report)
    assert compare(one, other).verdict is Verdict.DIFFERENT


def test_initialisers_are_compared_beside_a_partial():
    activation = functools.partial(capped, cap=0.5)
    report = compare(net(activation), net(activation, kernel_initializer="he_normal"))
    assert report.verdict is Verdict.DIFFERENT
    assert "kernel_initializer" in str(report)


def test_what_keras_cannot_write_reads_as_what_it_can():
    plain = layers.Conv1D(3, 2, kernel_regularizer="l2", activation="relu")
    other = layers.Conv1D(3, 2, kernel_regularizer="l2", activation=functools.partial(capped, cap=0.5))
    found, seeds, known = read_config(other)
    assert known
    assert seeds == {}
    expected = {name: value for name, value in read_config(plain)[0].items() if name != "activation"}
    assert {name: found[name] for name in expected} == expected
