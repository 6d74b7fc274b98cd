"""Functions traced with changed constants."""

import numpy as np
import pytest
import tensorflow as tf

from pytest_kerasequiv.keras_access.constants import constants_changed

TABLES = {size: tf.constant(np.linspace(1, 2, size)) for size in (3, 200)}


def doubled(values):
    return 2 * values


def traced(body, *specs):
    with constants_changed(doubled):
        return tf.function(body, autograph=False).get_concrete_function(*specs)


def test_constants_of_a_function_and_of_its_loops_and_branches_are_changed():
    def body(x):
        x = tf.while_loop(lambda i, _: i < 2, lambda i, v: (i + 1, v * 3.0), (0, x))[1]
        return tf.cond(x > 0.0, lambda: x + 5.0, lambda: x)

    found = traced(body, tf.TensorSpec((), tf.float32))
    assert float(found(tf.constant(1.0))) == 6.0 * 6.0 + 10.0
    assert float(tf.function(body, autograph=False)(tf.constant(1.0))) == 9.0 + 5.0


@pytest.mark.parametrize("size", TABLES)
def test_a_table_that_the_code_holds_is_changed_and_the_table_itself_is_not(size):
    table = TABLES[size]
    before = table.numpy()
    found = traced(lambda x: (x + table) - table, tf.TensorSpec((size,), tf.float64))
    np.testing.assert_allclose(found(tf.zeros(size, tf.float64)), 0 * before)
    found = traced(lambda x: x + table, tf.TensorSpec((size,), tf.float64))
    np.testing.assert_allclose(found(tf.zeros(size, tf.float64)), 2 * before)
    np.testing.assert_array_equal(table, before)


def test_integers_variables_and_arguments_are_left_alone():
    variable = tf.Variable(3.0)
    found = traced(lambda x: (x + variable, tf.range(4)[2]), tf.TensorSpec((), tf.float32))
    assert [float(value) for value in found(tf.constant(1.0))] == [4.0, 2.0]
