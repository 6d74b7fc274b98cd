"""Gradients where inputs are exactly 0."""

import keras
import pytest
import tensorflow as tf
from keras import layers, ops
from tests.common.models import Does

from pytest_kerasequiv import Verdict, compare


def doing(what):
    def build():
        inputs = keras.Input((4,))
        hidden = Does(what, name="does")(layers.Dense(3, name="hidden")(inputs))
        return keras.Model(inputs, layers.Dense(2)(hidden))

    return build


def guarded(x):
    positive = x > 0
    return tf.where(positive, tf.math.log(tf.where(positive, x, 1.0)), 0.0)


STEEP = {
    "an absolute value by a root": (tf.abs, lambda x: tf.sqrt(x * x)),
    "a logarithm that is not guarded": (
        guarded,
        lambda x: tf.where(x > 0, tf.math.log(tf.maximum(x, 0.0)), 0.0),
    ),
}


@pytest.mark.parametrize("kind", STEEP)
@pytest.mark.parametrize("swapped", [False, True])
def test_one_that_is_no_number_on_one_side_alone_is_a_difference(kind, swapped):
    sides = [doing(what) for what in STEEP[kind]]
    report = compare(*sides[::-1] if swapped else sides)
    assert report.verdict is Verdict.DIFFERENT, str(report)
    assert report["outputs"].verdict is Verdict.EQUIVALENT
    (finding, *_) = report["gradients"].differences
    assert "where inputs are 0 the gradient of hidden/" in finding.message
    assert f"in the {'reference' if swapped else 'candidate'} alone" in finding.message


BENIGN = {
    "another slope at a kink": (tf.nn.relu, lambda x: ops.maximum(x, 0.0) / 1.0),
    "a norm by two forms": (
        lambda x: x * tf.math.rsqrt(tf.reduce_sum(x * x, -1, keepdims=True) + 1e-6),
        lambda x: x / tf.sqrt(tf.reduce_sum(x * x, -1, keepdims=True) + 1e-6),
    ),
    "steep on both sides": (tf.sqrt, lambda x: tf.pow(x, 0.5)),
}


@pytest.mark.parametrize("kind", BENIGN)
def test_rewrites_stay_equivalent(kind):
    ours, theirs = BENIGN[kind]
    if kind == "steep on both sides":
        ours, theirs = (lambda x, root=root: root(tf.abs(x)) for root in (ours, theirs))
    report = compare(doing(ours), doing(theirs))
    assert report.verdict is Verdict.EQUIVALENT, str(report)
