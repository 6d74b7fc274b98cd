"""What tells two programs apart although their operations are the same."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from pytest_kerasequiv import Evidence, Verdict, compare
from pytest_kerasequiv.program import match_programs, trace


class Shaped(keras.Model):
    """Returns what it computes in some structure."""

    def __init__(self, shape):
        super().__init__()
        self.dense, self.shape = layers.Dense(2), shape

    def call(self, x):
        y = self.dense(x)
        return self.shape(y, 2 * y)


def shaped(shape):
    def build():
        model = Shaped(shape)
        model(keras.ops.zeros((1, 3)))
        return model

    return build


STRUCTURES = {
    "a key that is a number": (lambda y, z: [y, z], lambda y, z: {"0": y, "1": z}),
    "a key with a slash": (lambda y, z: {"a": {"b": y}, "c": z}, lambda y, z: {"a/b": y, "c": z}),
    "one under a key": (lambda y, _: y, lambda y, _: {"0": y}),
}


@pytest.mark.parametrize("kind", STRUCTURES)
def test_outputs_of_another_structure_are_another_program(kind):
    ours, theirs = (trace(shaped(shape)()) for shape in STRUCTURES[kind])
    assert not match_programs(ours, theirs).proved
    assert compare(*map(shaped, STRUCTURES[kind])).verdict is Verdict.DIFFERENT


def compiled(mark):
    def build():
        model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
        mark(model.layers[0].kernel)
        model.compile("sgd", "mse")
        return model

    return build


def test_a_weight_that_its_gradient_overwrites_trains_otherwise():
    def overwritten(kernel):
        kernel.overwrite_with_gradient = True

    report = compare(compiled(id), compiled(overwritten))
    assert report.verdict is Verdict.DIFFERENT, str(report)
    report = compare(compiled(overwritten), compiled(overwritten))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED), str(report)


def test_a_weight_that_code_has_marked_is_another():
    def marked(kernel):
        kernel.rate = 0.1

    ours, theirs = (trace(compiled(mark)()) for mark in (id, marked))
    assert "rate=0.1" in str(theirs.variables[0])
    assert not match_programs(ours, theirs).proved


def test_sparse_inputs_are_no_dense_ones():
    def taking(*, sparse):
        inputs = keras.Input((3,), sparse=sparse)
        return trace(keras.Model(inputs, layers.Dense(2)(inputs)))

    found = match_programs(taking(sparse=False), taking(sparse=True))
    assert found.reason == "places of sparse inputs is [] for the reference and [0] for the candidate"


class Scales(layers.Layer):
    def call(self, x):
        return 1.0 * x


class Asks(layers.Layer):
    def call(self, x):
        return tf.where(x > 77.0, 2.0 * x, x) if tf.executing_eagerly() else 1.0 * x


class LooksForNumbers(layers.Layer):
    def call(self, x):
        return 2.0 * x if hasattr(x, "numpy") and float(tf.reduce_max(x)) > 77.0 else 1.0 * x


def with_layer(cls):
    return lambda: keras.Sequential([keras.Input((3,)), cls(), layers.Dense(2)])


@pytest.mark.parametrize("cls", [Asks, LooksForNumbers])
def test_code_that_asks_whether_it_runs_eagerly_is_not_proved(cls):
    assert (
        trace(with_layer(cls)()).reason
        == f"{cls.__name__} asks whether it runs eagerly, which no trace shows"
    )
    report = compare(with_layer(Scales), with_layer(cls))
    assert report.verdict is Verdict.DIFFERENT, str(report)
    report = compare(with_layer(cls), with_layer(cls))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED), str(report)
