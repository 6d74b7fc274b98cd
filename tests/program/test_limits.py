"""Distant limits that rewritten programs do not share."""

import keras
import pytest
import tensorflow as tf
from keras import layers, ops
from tests.common.models import building

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.program import trace
from pytest_kerasequiv.program.limits import limits_apart, thresholds


class Clip(keras.constraints.Constraint):
    def __init__(self, limit):
        self.limit = limit

    def __call__(self, w):
        return ops.clip(w, -self.limit, self.limit)


class Beyond(keras.regularizers.Regularizer):
    def __init__(self, limit):
        self.limit = limit

    def __call__(self, w):
        return ops.sum(ops.relu(ops.abs(w) - self.limit))


def net(dense, *, rewritten, last=lambda x: x):
    inputs = keras.Input((4,))
    doubled = inputs * 2.0 / 2.0 if rewritten else inputs
    model = keras.Model(inputs, last(dense(doubled)))
    model.compile("sgd", "mse")
    return model


KINDS = {
    "a constraint": lambda c: {"dense": layers.Dense(3, kernel_constraint=Clip(c))},
    "a regulariser": lambda c: {"dense": layers.Dense(3, kernel_regularizer=Beyond(c))},
    "an activation": lambda c: {"dense": layers.Dense(3, activation=lambda x: ops.minimum(x, 1e30 * c))},
    "Keras's own": lambda c: {"dense": layers.Dense(3, kernel_constraint=keras.constraints.MaxNorm(c))},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_that_nothing_reaches_is_named_though_the_rest_is_rewritten(kind):
    reference = trace(net(**KINDS[kind](50.0), rewritten=False))
    found = limits_apart(reference, trace(net(**KINDS[kind](100.0), rewritten=True)))
    assert found
    assert limits_apart(reference, trace(net(**KINDS[kind](50.0), rewritten=True))) == ()


def test_limits_within_reach_are_left_to_numbers():
    def hard(x):
        return ops.minimum(ops.maximum(x + 3.0, 0.0), 6.0) / 6.0

    def clipped(x):
        return ops.clip(x / 6.0 + 0.5, 0.0, 1.0)

    one, other = (trace(net(layers.Dense(3), rewritten=False, last=last)) for last in (hard, clipped))
    assert limits_apart(one, other) == ()


def test_a_distant_limit_is_never_equivalent_unless_it_is_meant():
    def pair(limit):
        return (
            lambda: net(layers.Dense(3, kernel_constraint=Clip(5e6)), rewritten=False),
            lambda: net(layers.Dense(3, kernel_constraint=Clip(limit)), rewritten=True),
        )

    report = compare(*pair(1e7))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "part over" in report["program"].differences[0].message
    assert compare(*pair(5e6)).verdict is Verdict.EQUIVALENT
    found = report["program"].differences[0]
    layer = (found.candidate_layer or found.reference_layer or "").rpartition("/")[2]
    meant = f"{layer}.{found.field}" if layer else found.field
    assert compare(*pair(1e7), accept=(meant,)).verdict is Verdict.EQUIVALENT


def test_what_a_program_compares_with_is_known_and_where_it_cuts_free_axes():
    def numbers(body, shape, free):
        return {number for _, number in thresholds(trace(building(shape, body)()), free)}

    assert numbers(lambda x: ops.where(x > 3.5, x, 0.0), (4,), ()) == {3.5}
    assert numbers(ops.relu6, (4,), ()) == {6.0}
    assert numbers(lambda x: x * 3.5 + 2.5, (4,), ()) == set()
    assert numbers(lambda x: x[:, :10, :2], (None, 4), {1}) == {10.0}
    assert numbers(lambda x: x[:, :10, :2], (12, 4), ()) == set()
    assert numbers(lambda x: x[..., :3], (None, 4), {1}) == set()


class Doubled(layers.Layer):
    def __init__(self, axis, limit):
        super().__init__()
        self.axis, self.limit = axis, limit

    def call(self, x):
        return tf.cond(tf.shape(x)[self.axis] > self.limit, lambda: 2.0 * x, lambda: x)


@pytest.mark.parametrize(("axis", "limit"), [(1, 5_000), (0, 1_000_000)], ids=["steps", "samples"])
def test_a_size_that_no_input_tried_has_is_never_equivalent(axis, limit):
    def build(last):
        inputs = keras.Input((None, 3))
        return keras.Model(inputs, last(layers.Dense(3)(inputs)))

    pair = (lambda: build(lambda x: x)), (lambda: build(Doubled(axis, limit)))
    for reference, candidate in (pair, pair[::-1]):
        report = compare(reference, candidate)
        assert report.verdict is Verdict.INCONCLUSIVE, report
        assert str(limit) in report["program"].differences[0].message
    assert compare(*pair, accept=("*size",)).verdict is Verdict.EQUIVALENT
