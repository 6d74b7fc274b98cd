"""Conditions that one of two rewritten programs has alone, and no probe meets."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from tests.common.models import Does

from pytest_kerasequiv import Evidence, Verdict, compare

TABLE = np.arange(20.0, dtype="float32").reshape(10, 2)


def doing(what, dtype="float32"):
    def build():
        inputs = keras.Input((4,), dtype=dtype)
        return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(Does(what, name="does")(inputs))))

    return build


def between(x):
    total = tf.reduce_sum(x)
    return tf.logical_and(total > 50.0, total < 50.01)


RARE = {
    "a sum within": lambda x: x * tf.where(between(x), 2.0, 1.0),
    "so by cond": lambda x: tf.cond(between(x), lambda: 2.0 * x, lambda: x),
    "so by multiplying": lambda x: x * (1.0 + tf.cast(between(x), "float32")),
    "an exact mean": lambda x: x * tf.where(tf.reduce_mean(x, -1, keepdims=True) == 7.0, 2.0, 1.0),
    "near a peak": lambda x: tf.where(tf.sin(x) > 0.999999, 0.0, x),
    "always": lambda x: tf.where(tf.sin(x) < 0.999999, x, 0.0),
}


@pytest.mark.parametrize("kind", RARE)
@pytest.mark.parametrize("swapped", [False, True])
def test_what_no_input_that_was_tried_meets_is_inconclusive(kind, swapped):
    sides = doing(lambda x: x), doing(RARE[kind])
    report = compare(*sides[::-1] if swapped else sides)
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    (finding,) = report["outputs"].differences
    side = "reference" if swapped else "candidate"
    assert finding.message.startswith(f"only the {side} asks for ")
    layer = finding.reference_layer if swapped else finding.candidate_layer
    assert layer.endswith("does")


def test_a_pattern_of_ids_is_such_a_condition():
    def without(x):
        pattern = tf.reduce_all(x == [3, 1, 4, 1], -1, keepdims=True)
        return ops.cast(tf.where(pattern, 0, x), "float32")

    report = compare(doing(lambda x: ops.cast(x, "float32"), "int32"), doing(without, "int32"))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)


def test_it_may_be_meant():
    report = compare(doing(lambda x: x), doing(RARE["an exact mean"]), accept=("does.condition",))
    assert report.verdict is Verdict.EQUIVALENT, str(report)


def test_inputs_that_meet_it_decide():
    inputs = np.full((2, 4), 7.0, "float32")
    report = compare(doing(lambda x: x), doing(RARE["an exact mean"]), inputs=inputs)
    assert report.verdict is Verdict.DIFFERENT, str(report)


BENIGN = {
    "taken or gathered": (
        lambda x: ops.take(TABLE, x, axis=0),
        lambda x: tf.gather(TABLE, x),
        "int32",
    ),
    "a softplus by hand": (
        ops.softplus,
        lambda x: tf.where(x > 20.0, x, tf.math.log1p(tf.exp(tf.minimum(x, 20.0)))),
        "float32",
    ),
    "a hard swish by hand": (
        lambda x: x * tf.nn.relu6(x + 3.0) / 6.0,
        lambda x: tf.where(x < -3.0, 0.0, tf.where(x > 3.0, x, x * (x + 3.0) / 6.0)),
        "float32",
    ),
    "the same condition on what was computed otherwise": (
        lambda x: tf.where(between(x + x), 0.0, x),
        lambda x: tf.where(between(2.0 * x), 0.0, x),
        "float32",
    ),
    "a check": (
        lambda x: 1.0 * x,
        lambda x: (tf.debugging.assert_less(tf.sin(x), 1.5), 1.0 * x)[1],
        "float32",
    ),
}


@pytest.mark.parametrize("kind", BENIGN)
def test_rewrites_stay_equivalent(kind):
    ours, theirs, dtype = BENIGN[kind]
    report = compare(doing(ours, dtype), doing(theirs, dtype))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED), str(report)


def peaks_become(number):
    def body(x):
        wave = tf.sin(tf.exp(x))
        return tf.where(tf.equal(wave, 0.5), number, wave)

    return body


def test_a_condition_is_nothing_to_meet_where_it_puts_a_number_for_one_next_to_it():
    plain = doing(lambda x: tf.sin(tf.exp(x)))
    assert compare(plain, doing(peaks_become(0.5))).verdict is Verdict.EQUIVALENT
    assert compare(plain, doing(peaks_become(0.75))).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_the_largest_is_found_by_either_library(name):
    ours, theirs = getattr(ops, name), getattr(tf, name)
    report = compare(
        doing(lambda x: ops.one_hot(ours(x, -1), 4)), doing(lambda x: tf.one_hot(theirs(x, -1), 4))
    )
    assert report.verdict is Verdict.EQUIVALENT, str(report)
