"""Own functions, classes and objects described: what counts, what does not, and differences in words."""

import functools
import itertools
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pytest_kerasequiv.layers.configs import value_in_words
from pytest_kerasequiv.layers.own_code import (
    described,
    differences_in_words,
    function_label,
    is_opaque,
    own_label,
    own_name,
)

LIMIT = 7


def ignoring(label):
    def masked(y, p):
        return ops.mean(ops.where(ops.not_equal(y, label), ops.abs(y - p), 0.0))

    return masked


class Weighted:
    """An own callable."""

    scale = 2

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, y, p):
        return self.scale * ops.mean(self.weights * (y - p))

    def loss(self, y, p):
        return self(y, p)


def helper_with(k):
    def helper(x):
        return x * k

    return lambda y, p: helper(y) - p


class OwnLoss(keras.losses.Loss):
    """An own loss over a constant that its config does not tell."""

    def __init__(self, delta):
        super().__init__()
        self._delta = delta

    def call(self, y, p):
        return ops.abs(y - p) ** self._delta


class OwnMetric(keras.metrics.Mean):
    """An own metric over a constant that its config does not tell."""

    def __init__(self, top):
        super().__init__()
        self.top = top


PAIRS = {
    "closure": (
        ignoring(-1.0),
        ignoring(-100.0),
        "label is -1.0 in the reference and -100.0 in",
    ),
    "list in a closure": (
        ignoring([1, 2]),
        ignoring([1, 5]),
        "label is [1, 2] in the reference and",
    ),
    "array in a closure": (ignoring(np.array([1.0, 2.0])), ignoring(np.array([1.0, 3.0])), "values=[1, 2]"),
    "dict in a closure": (ignoring({"a": 1}), ignoring({"a": 2}), "label.a is 1 in the reference and 2 in"),
    "tensor in a closure": (ignoring(tf.constant(1.0)), ignoring(tf.constant(2.0)), "label is 1 in the"),
    "nested closure": (
        helper_with(2),
        helper_with(3),
        "helper.k is 2 in the reference and 3",
    ),
    "partial": (
        functools.partial(keras.losses.huber, delta=1.0),
        functools.partial(keras.losses.huber, delta=2.0),
        "delta is 1.0 in the reference and 2.0 in the candidate",
    ),
    "bound argument": (functools.partial(ignoring, 1), functools.partial(ignoring, 2), "label is 1 in the"),
    "default": (lambda x, k=2: x * k, lambda x, k=3: x * k, "k is 2 in the reference and 3 in the candidate"),
    "bound method": (Weighted(1).loss, Weighted(2).loss, "self.weights is 1 in the reference and 2 in"),
    "callable": (Weighted([1, 2]), Weighted([1, 3]), "weights is [1, 2] in the reference and [1, 3] in the"),
    "tf.function": (
        tf.function(ignoring(1)),
        tf.function(ignoring(2)),
        "label is 1 in the reference and 2 in",
    ),
    "cached": (
        functools.cache(ignoring(1)),
        functools.cache(ignoring(2)),
        "label is 1 in the reference and 2",
    ),
    "loss": (OwnLoss(1), OwnLoss(2), "_delta is 1 in the reference and 2 in the candidate"),
    "metric": (OwnMetric(1), OwnMetric(2), "top is 1 in the reference and 2 in the candidate"),
    "initializer": (
        keras.initializers.Constant(1.0),
        keras.initializers.Constant(2.0),
        "value is 1.0 in the",
    ),
    "constant": (lambda x: x * 2, lambda x: x * 3, "2 in the reference is 3 in the candidate"),
    "operation": (lambda x: x + 2, lambda x: x - 2, "in the reference is"),
    "name": (lambda x: x.real, lambda x: x.imag, "'real' in the reference is 'imag' in the candidate"),
    "library function": (ignoring(np.sin), ignoring(np.cos), "label is"),
    "set": (ignoring({1, 2}), ignoring({1, 3}), "label is [1, 2] in the reference and [1, 3] in"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_difference_is_told_in_words(name):
    ours, theirs, words = PAIRS[name]
    assert described(ours) == described(ours)
    assert described(ours) != described(theirs)
    assert words in "; ".join(differences_in_words(described(ours), described(theirs)))


def test_two_lines_that_differ_are_told():
    def first(y, p):
        error = y - p
        return ops.mean(ops.square(error))

    def second(y, p):
        error = y - p
        return ops.mean(ops.abs(error))

    told = differences_in_words(described(first), described(second))
    lines = "`return ops.mean(ops.square(error))`", "`return ops.mean(ops.abs(error))`"
    assert told == [f"{lines[0]} in the reference is {lines[1]} in the candidate"]


def test_layout_comments_docstrings_and_local_names_do_not_count():
    def first(y, p):
        """Documented."""
        error = y - p  # commented
        return ops.mean(
            error,
        )

    def second(y, p):
        other = y - p
        return ops.mean(other)

    assert described(first) == described(second)


def make_class(factor, name="Own"):
    class Own:
        """Own code."""

        def __call__(self, x):
            return x * factor

    Own.__name__ = Own.__qualname__ = name
    return Own


def test_classes_are_known_by_their_code_not_their_name():
    assert described(make_class(2)()) == described(make_class(2, "Other")()) != described(make_class(3)())


def test_a_base_class_of_the_users_counts():
    bases = [make_class(2), make_class(3)]
    ours, theirs = (type("Derived", (base,), {"__module__": __name__})() for base in bases)
    assert described(ours) != described(theirs)


def test_globals_that_are_read_count(monkeypatch):
    def reading(x):
        return x * LIMIT

    before = described(reading)
    monkeypatch.setitem(globals(), "LIMIT", 8)
    assert differences_in_words(before, described(reading)) == [
        "LIMIT is 7 in the reference and 8 in the candidate"
    ]


def test_own_code_within_a_canonical_value_is_told():
    ours, theirs = ({"class": "Own", "code": own_label(ignoring(label))} for label in (1, 2))
    assert value_in_words(ours, theirs) == "Own(), where label is 1 in the reference and 2 in the candidate"


def test_what_cannot_be_compared_is_marked():
    assert is_opaque(described(ignoring(object())))
    assert is_opaque(described(ignoring(threading.Lock())))
    assert not is_opaque(described(ignoring(1)))
    assert described(ignoring(itertools.count(1))) != described(ignoring(itertools.count(2)))


def test_what_holds_itself_is_described():
    holder = Weighted(1)
    holder.myself = holder
    assert described(holder)["myself"] == "itself"


def test_a_loss_object_that_holds_a_layer_cannot_be_told_from_its_config_alone():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    assert is_opaque(described(ignoring(layer)))


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (ignoring(1), "ignoring.masked"),
        (Weighted(1), "Weighted"),
        (functools.partial(ignoring(1)), "ignoring.masked"),
    ],
)
def test_what_a_reader_calls_it(thing, name):
    assert own_name(thing) == name


def test_a_function_of_keras_is_its_name():
    assert function_label(keras.activations.relu) == {"class": "function", "of": "relu"}
