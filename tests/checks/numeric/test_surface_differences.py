"""Layers called with training=True, which predict overrules and a plain model(x) does not."""

import keras
import pytest
from keras import layers

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.layers.fixed_training import called_in_training_mode


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
    assert "plain call" in report["program"].figures["entries"]


def test_no_call_is_fixed_in_plain_models():
    assert called_in_training_mode(net(fixed=False)()) == ()


def test_random_images_are_always_called_in_training_mode_unless_the_call_says_otherwise():
    inputs = keras.Input((8, 8, 3))
    plain = keras.Model(inputs, keras.layers.RandomFlip(name="flip")(inputs), name="net")
    told = keras.Model(inputs, keras.layers.RandomFlip(name="flip")(inputs, training=False), name="net")
    assert called_in_training_mode(plain) == ()
    assert called_in_training_mode(told) == ("net/flip",)


class Dropping(keras.Model):
    """Says in its call what it does where nobody says."""

    def __init__(self):
        super().__init__(name="net")
        self.dense = layers.Dense(50)
        self.drop = layers.Dropout(0.5)

    def call(self, x, training=False):
        return self.drop(self.dense(x), training=training)


class DroppingByDefault(Dropping):
    """Drops unless told not to."""

    def call(self, x, training=True):
        return self.drop(self.dense(x), training=training)


class DroppingAsTold(Dropping):
    """Leaves it to Keras."""

    def call(self, x, training=None):
        return self.drop(self.dense(x), training=training)


class Block(layers.Layer):
    """The same inside a functional model."""

    def __init__(self, cls, **kwargs):
        super().__init__(**kwargs)
        self.inner = cls()

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_another_default_of_training_is_a_difference(nested, turned):
    def build(cls):
        return lambda: keras.Sequential([keras.Input((3,)), Block(cls)]) if nested else cls()

    sides = [build(Dropping), build(DroppingByDefault)][:: -1 if turned else 1]
    report = compare(*sides, input_shape=(3,))
    assert report.verdict is Verdict.DIFFERENT
    (finding,) = report["outputs"].differences
    told = ["Dropping(training=False)", "DroppingByDefault(training=True)"][:: -1 if turned else 1]
    assert finding.field == "training"
    assert (finding.reference, finding.candidate) == ([told[0]], [told[1]])


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [(Dropping, DroppingAsTold), (DroppingByDefault, DroppingByDefault), (DroppingAsTold, Dropping)],
)
def test_defaults_that_do_the_same_are_equivalent(reference, candidate):
    report = compare(reference, candidate, input_shape=(3,))
    assert report.verdict is Verdict.EQUIVALENT, [str(f) for f in report.findings]


class DroppingWhereNobodySays(keras.Model):
    """Drops where a call does not say whether it trains, or not."""

    def __init__(self, training):
        super().__init__(name="net")
        self.dense, self.drop, self.otherwise = layers.Dense(50), layers.Dropout(0.5), training

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x, training=None):
        return self.drop(self.dense(x), training=self.otherwise if training is None else training)


def dropping(training):
    model = DroppingWhereNobodySays(training)
    model.build((None, 4))
    return model


def test_a_plain_call_that_draws_on_one_side_only_is_told_so():
    report = compare(lambda: dropping(training=True), lambda: dropping(training=False), input_shape=(4,))
    assert report.verdict is Verdict.DIFFERENT
    assert (
        "only the reference draws random numbers in 'plain call'" in report["outputs"].differences[0].message
    )
