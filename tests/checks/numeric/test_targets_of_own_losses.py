"""Crossentropies written by hand are tried on targets that they are meant for, whichever side wrote them."""

import keras
import pytest
import tensorflow as tf
from keras import layers, ops

from pytest_kerasequiv import Verdict, compare

LOSSES = keras.losses


def classifier(loss, activation=None, heads=1):
    def build():
        inputs = keras.Input((4,))
        outputs = [layers.Dense(3, activation=activation)(inputs) for _ in range(heads)]
        model = keras.Model(inputs, outputs if heads > 1 else outputs[0])
        model.compile("sgd", loss() if isinstance(loss, type) else loss)
        return model

    return build


def by_log_softmax(y, z):
    return -ops.sum(y * ops.log_softmax(z), axis=-1)


def of_tensorflow(y, z):
    return tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=z)


def of_classes(y, z):
    picked = ops.take_along_axis(z, ops.cast(ops.reshape(y, (-1, 1)), "int32"), axis=1)
    return ops.logsumexp(z, axis=-1) - picked[:, 0]


def halved(y, z):
    return of_classes(y, z / 2)


def smoothed(y, z):
    return by_log_softmax(0.9 * y + 0.1 / 3, z)


def of_probabilities(y, p):
    return -ops.sum(y * ops.log(ops.clip(p, 1e-7, 1 - 1e-7)), axis=-1)


DENSE = LOSSES.CategoricalCrossentropy(from_logits=True)
SPARSE = LOSSES.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("reference", "candidate", "verdict"),
    [
        (DENSE, by_log_softmax, Verdict.EQUIVALENT),
        (of_tensorflow, by_log_softmax, Verdict.EQUIVALENT),
        (SPARSE, of_classes, Verdict.EQUIVALENT),
        (DENSE, smoothed, Verdict.DIFFERENT),
        (SPARSE, halved, Verdict.DIFFERENT),
    ],
)
def test_losses_of_logits(reference, candidate, verdict, swapped):
    pair = [classifier(reference), classifier(candidate)]
    report = compare(*(reversed(pair) if swapped else pair))
    assert report.verdict is verdict, report


def test_several_outputs():
    def sides(*losses):
        return [classifier([loss, "mse"], heads=2) for loss in losses]

    assert compare(*sides(DENSE, by_log_softmax)).verdict is Verdict.EQUIVALENT
    assert compare(*sides(DENSE, smoothed)).verdict is Verdict.DIFFERENT


def test_what_raises_all_probabilities_alike_does_not_reach_the_model():
    """Keras divides by the sum of probabilities, and the hand-written loss does not."""
    sides = [classifier(loss, "softmax") for loss in ("categorical_crossentropy", of_probabilities)]
    report = compare(*sides, checks=["outputs", "gradients"])
    assert report.verdict is Verdict.EQUIVALENT, report
    sides[1] = classifier(lambda y, p: 1.01 * of_probabilities(y, p), "softmax")
    assert compare(*sides, checks=["outputs"]).verdict is Verdict.DIFFERENT


def test_losses_that_part_at_probabilities_of_0_alone_say_so():
    said = "they agree on most probabilities, and part where these come to 0 or 1"
    keras_own = classifier("categorical_crossentropy", "softmax")
    report = compare(keras_own, classifier(of_probabilities, "softmax"))
    assert report.verdict is Verdict.DIFFERENT
    assert said in report["updates"].findings[0].message
    other = compare(keras_own, classifier("mse", "softmax"))
    assert not any(said in finding.message for finding in other.findings)
