"""Python functions behind ops, and the contents of tables."""

import tensorflow as tf

from pytest_kerasequiv.keras_access.called_back import python_function, table_content


def plus_one(x):
    return x + 1


def halved(x):
    return x / 2


def traced(function, *specs):
    return tf.function(function, autograph=False).get_concrete_function(*specs).graph


def test_the_function_behind_an_op_is_found_and_its_gradient_is_not():
    def called(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.py_function(plus_one, [x], tf.float32)
        return tape.gradient(y, x), tf.numpy_function(halved, [x], tf.float32)

    graph = traced(called, tf.TensorSpec((2,)))
    nodes = [node for node in graph.as_graph_def().node if "PyFunc" in node.op]
    found = [python_function(node.attr["token"].s) for node in nodes]
    assert found.count(None) == 1  # the gradient's
    assert plus_one in found
    assert halved in found


def test_the_content_of_a_table_is_told_and_other_resources_have_none():
    pairs = tf.lookup.KeyValueTensorInitializer(["b", "a"], tf.constant([2.0, 1.0]))
    table, variable = tf.lookup.StaticHashTable(pairs, 0.0), tf.Variable(3.0)
    graph = traced(lambda x: (table.lookup(x), variable + 1), tf.TensorSpec((2,), tf.string))
    held = [table_content(*pair) for pair in graph.captures if pair[0].dtype == tf.resource]
    assert held == [["b'a': 1.0", "b'b': 2.0"], None]
