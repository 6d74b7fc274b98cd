"""Losses compute from the logits of outputs, whatever code makes the probabilities of them."""

import keras
import pytest
from keras import layers, ops

from pytest_kerasequiv import Evidence, Verdict, compare


class Subclassed(keras.Model):
    def __init__(self, last):
        super().__init__()
        self.dense, self.last = layers.Dense(3), last

    def call(self, x):
        return self.last(self.dense(x))


def functional(last):
    inputs = keras.Input((4,))
    return keras.Model(inputs, last(layers.Dense(3)(inputs)))


def nested(last):
    inputs = keras.Input((4,))
    return keras.Model(inputs, functional(last)(inputs))


def subclassed(last):
    model = Subclassed(last)
    model(keras.Input((4,)))
    return model


def compiled(build, last, loss):
    def built():
        model = build(last)
        model.compile("sgd", loss, metrics=[loss])
        return model

    return built


@pytest.mark.parametrize(
    ("loss", "name"),
    [("mse", "softmax"), ("categorical_crossentropy", "softmax"), ("binary_crossentropy", "sigmoid")],
)
@pytest.mark.parametrize("build", [nested, subclassed, functional])
def test_what_makes_the_probabilities_is_seen_in_the_program_not_in_the_class(build, loss, name):
    layer, function = layers.Activation(name), getattr(ops, name)
    report = compare(compiled(functional, layer, loss), compiled(build, function, loss))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED), report


@pytest.mark.parametrize(("loss", "name"), [("mse", "softmax"), ("binary_crossentropy", "sigmoid")])
def test_probabilities_that_a_rewrite_hides_are_the_same_to_a_loss(loss, name):
    function = getattr(ops, name)
    hidden = lambda x: ops.stack(ops.unstack(function(x), axis=1), axis=1)  # noqa: E731
    report = compare(compiled(functional, function, loss), compiled(functional, hidden, loss))
    assert report.verdict is Verdict.EQUIVALENT, report


@pytest.mark.parametrize("build", [functional, subclassed])
def test_from_logits_is_without_effect_on_probabilities_and_counts_on_others(build):
    def sides(last):
        losses = [keras.losses.CategoricalCrossentropy(from_logits=told) for told in (False, True)]
        return [compiled(build, last, loss) for loss in losses]

    assert compare(*sides(ops.softmax)).verdict is Verdict.EQUIVALENT
    assert compare(*sides(ops.tanh)).verdict is Verdict.DIFFERENT
