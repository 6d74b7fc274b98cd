"""A program covers every entry of the surface: what parts in one entry alone is not proved, and named."""

import keras
import pytest
import tensorflow as tf
from keras import layers, ops
from tests.common.models import functional
from tests.common.surfaces import MEMBERS, dense

from pytest_kerasequiv.program import match_programs, trace


@pytest.mark.parametrize(("build", "part"), MEMBERS.values(), ids=MEMBERS)
def test_what_parts_in_one_entry_is_not_proved(build, part):
    reference = trace(build(1))
    same = match_programs(reference, trace(build(1)))
    assert same.proved, same.reason
    other = match_programs(reference, trace(build(2)))
    assert not other.proved
    assert any(word in other.reason for word in part.split("|")), other.reason


def test_a_step_of_its_own_on_one_side_only_is_not_proved():
    class Empty(keras.Model):
        def train_step(self, data):
            return {}

    match = match_programs(trace(dense(keras.Model, loss="mse")), trace(dense(Empty, loss="mse")))
    assert match.reason == "only the candidate has the entry 'train_step'"


def test_call_without_training_trains_as_fit_runs_it():
    class Silent(keras.Model):
        def __init__(self):
            super().__init__()
            self.drop = layers.Dropout(0.5)

        def call(self, x):
            return self.drop(x)

    class Told(Silent):
        def call(self, x, training=None):
            return self.drop(x, training=training)

    programs = []
    for cls in (Silent, Told):
        model = cls()
        model(ops.zeros((2, 4)))
        programs.append(trace(model))
    assert [any("Random" in node.op or "RngUniform" in node.op for node in p.nodes) for p in programs] == [
        False,
        True,
    ]


def test_random_numbers_from_outside_kerass_generators_are_named():
    class Random(layers.Layer):
        def call(self, x):
            return x + tf.random.uniform((4,))

    model = functional(Random(name="noise"), (4,))
    assert trace(model).random == (f"{model.name}/noise",)
    assert trace(functional(layers.Dropout(0.5), (4,))).random == ()


class TwoOptimizers(keras.Model):
    """Compiled in a way of its own, with an optimizer that Keras does not know of."""

    def compile(self, rate):
        super().compile()
        self.other = keras.optimizers.SGD(rate)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = ops.mean(self(data))
        self.other.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        return {"loss": loss}


def test_the_settings_of_an_optimizer_of_its_own_are_part_of_a_step():
    def build(rate):
        model = dense(TwoOptimizers)
        model.compile(rate)
        return trace(model)

    assert match_programs(build(0.1), build(0.1)).proved
    assert not match_programs(build(0.1), build(0.2)).proved


class OwnTracker(keras.Model):
    """Trains by a step of its own and cannot be evaluated: nothing says what the loss is."""

    @property
    def metrics(self):
        return []

    def train_step(self, data):
        return {"loss": ops.mean(self(data))}


def test_a_step_of_kerass_that_cannot_run_is_no_entry():
    model = dense(OwnTracker)
    model.compile("sgd")
    program = trace(model)
    assert program.reason is None
    assert "train_step" in program.entries
    assert "test_step" not in program.entries
