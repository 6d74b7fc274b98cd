"""Layers called with training=True, which predict overrules and a plain model(x) does not."""

import keras
import pytest
from keras import layers

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.models.fixed_training import called_in_training_mode


def net(fixed, *, nested=False):
    def build():
        inputs = keras.Input((6,))
        hidden = layers.Dense(8)(inputs)
        drop = keras.Sequential([layers.Dropout(0.3)], name="inner") if nested else layers.Dropout(0.3)
        hidden = drop(hidden, training=True) if fixed else drop(hidden)
        return keras.Model(inputs, layers.Dense(2)(hidden), name="net")

    return build


@pytest.mark.parametrize("nested", [False, True])
def test_monte_carlo_dropout_is_not_dropout(nested):
    report = compare(net(fixed=False), net(fixed=True, nested=nested))
    assert report.verdict is Verdict.DIFFERENT
    assert report["program"].verdict is Verdict.INCONCLUSIVE
    (finding,) = report["outputs"].differences
    assert finding.candidate_layer == ("net/inner" if nested else "net/dropout")


def test_the_same_fixed_call_on_both_sides_is_equivalent():
    report = compare(net(fixed=True), net(fixed=True))
    assert report.verdict is Verdict.EQUIVALENT
    assert "called with training=True" in report["program"].notes[0].message


def test_no_call_is_fixed_in_plain_models():
    assert called_in_training_mode(net(fixed=False)()) == ()


def test_random_images_are_always_called_in_training_mode_unless_the_call_says_otherwise():
    inputs = keras.Input((8, 8, 3))
    plain = keras.Model(inputs, keras.layers.RandomFlip(name="flip")(inputs), name="net")
    told = keras.Model(inputs, keras.layers.RandomFlip(name="flip")(inputs, training=False), name="net")
    assert called_in_training_mode(plain) == ()
    assert called_in_training_mode(told) == ("net/flip",)
