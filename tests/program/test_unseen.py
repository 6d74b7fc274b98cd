"""Code of the user's that no operation shows, and programs that cannot be proved but can be compared."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pytest_kerasequiv import compare
from pytest_kerasequiv.checks.program import compare as compared
from pytest_kerasequiv.program import trace
from pytest_kerasequiv.program.json_form import from_data, to_data
from pytest_kerasequiv.program.skeleton import align


def net(function, after=lambda x: x):
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(2)(after(layers.Lambda(function, output_shape=(4,))(inputs))))


def called_back(limit, through=tf.numpy_function):
    def limited(x):
        return np.minimum(x, np.float32(limit))

    return lambda x: ops.reshape(through(limited, [x], tf.float32), (-1, 4))


class OutsideState(layers.Layer):
    def call(self, x):
        return x + 0 * tf.random.uniform(tf.shape(x))


class Counting(keras.Model):
    """Cannot be traced: it looks at values in Python."""

    def __init__(self, limit):
        super().__init__()
        self.dense, self.limit = layers.Dense(2), limit

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x) * (2.0 if float(x[0, 0]) > self.limit else 1.0)


def counting(limit):
    def build():
        model = Counting(limit)
        model.build((None, 4))
        return model

    return build


@pytest.mark.parametrize("through", [tf.numpy_function, tf.py_function])
def test_code_called_back_is_described(through):
    ours, same, theirs = (trace(net(called_back(limit, through))) for limit in (1e6, 1e6, 2e6))
    assert next(one.name for one in ours.unseen) == "called_back.limited"
    assert ours.unseen[0].layer.rpartition("/")[2].startswith("lambda")
    assert not compared(ours, same).differences
    (finding,) = compared(ours, theirs).differences
    assert "limit is 1000000.0 in the reference and 2000000.0 in the candidate" in finding.message


def test_code_called_back_on_one_side_only_is_a_difference():
    (finding,) = compared(trace(net(called_back(1e6))), trace(net(lambda x: ops.minimum(x, 1e6)))).differences
    assert "only the reference has it" in finding.message


def test_numbers_do_not_decide_over_code_that_no_operation_shows():
    far = compare(lambda: net(called_back(1e6)), lambda: net(called_back(2e6)))
    assert far.verdict.name == "INCONCLUSIVE"
    accepted = compare(lambda: net(called_back(1e6)), lambda: net(called_back(2e6)), accept=("lambda*.code",))
    assert accepted.verdict.name == "EQUIVALENT"
    assert compare(lambda: net(called_back(0)), lambda: net(called_back(1))).verdict.name == "DIFFERENT"


def test_rewrites_beside_code_called_back_are_equivalent():
    twice, doubled = (lambda x: x + x), (lambda x: x * 2.0)
    report = compare(lambda: net(called_back(1.0), twice), lambda: net(called_back(1.0), doubled))
    assert report.verdict.name == "EQUIVALENT"


def test_programs_that_cannot_be_proved_part_over_constants():
    ours, theirs = (trace(net(OutsideState(), lambda x, k=k: ops.minimum(x, k))) for k in (5.0, 6.0))
    assert ours.reason is not None
    found = align(ours, theirs)
    assert found.same
    assert not found.sharp
    assert [parting.operation for parting in found.partings] == ["Minimum"]


def test_code_of_a_model_that_cannot_be_traced_is_compared_by_what_it_holds():
    ours, same, theirs = (trace(counting(limit)()) for limit in (1e6, 1e6, 2e6))
    assert not ours.whole
    assert not compared(ours, same).differences
    (finding,) = compared(ours, theirs).differences
    assert "limit is 1000000 in the reference and 2000000 in the candidate" in finding.message


def test_unseen_code_survives_its_json_form():
    program = trace(net(called_back(1e6)))
    assert from_data(to_data(program)) == program
