"""One compiled model for all seeds: the same bits as fresh ones, or fresh ones instead."""

import random

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.training.engines.fit import FitEngine, train_fresh
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.starts.reuse import foreign_part


def compiled(*stack, optimizer="sgd", **options):
    model = keras.Sequential([keras.Input((4,)), *stack, layers.Dense(1)])
    model.compile(optimizer, "mse", **options)
    return model


def plain():
    stack = [layers.Dense(6, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.3)]
    return compiled(*stack, optimizer="adam", metrics=["mae"])


def decaying():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.5)
    return compiled(layers.Dense(6), optimizer=keras.optimizers.Nadam(schedule, weight_decay=0.01))


def noisy():
    return compiled(layers.GaussianNoise(0.5), layers.GaussianDropout(0.2), layers.AlphaDropout(0.1))


def recurrent():
    return compiled(
        layers.Reshape((4, 1)), layers.GRU(3, recurrent_dropout=0.2), optimizer=keras.optimizers.Ftrl(0.1)
    )


def averaged():
    return compiled(layers.Dense(3), optimizer=keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True))


def assert_same_as_fresh(build, data, source_of, **options):
    plan = Training(*data, epochs=2, batch_size=16, **options)
    engine = FitEngine(source_of(build), plan, "reference")
    runs = list(engine.train([5, 3]))  # the second from where the first ended, had nothing been put back
    for run in runs if build is plain else runs[1:]:  # the first is trained as a fresh one is
        fresh = train_fresh(source_of(build), plan, run.seed)
        assert (run.metrics, run.failure, run.constant) == (fresh.metrics, fresh.failure, fresh.constant)
    return engine


@pytest.mark.parametrize("build", [plain, decaying, noisy, recurrent, averaged])
def test_same_bits_as_fresh_models(build, data, source_of):
    engine = assert_same_as_fresh(build, data, source_of, shuffle=True)
    assert (
        engine.reason
        == "one compiled model, put back to its start for each seed; all its parts are Keras's own"
    )


def test_nothing_is_traced_again(data, source_of):
    engine = FitEngine(source_of(plain), Training(*data), "reference")
    engine.run(0)
    function = engine._model.train_function
    engine.run(1)
    engine.run(2)
    assert engine._model.train_function is function


class Scale(layers.Layer):
    def __init__(self):
        super().__init__()
        self.scale = 2.0

    def call(self, x):
        return x * self.scale


def test_a_class_of_the_user_is_checked_against_a_fresh_run(data, source_of):
    engine = assert_same_as_fresh(lambda: compiled(Scale()), data, source_of)
    assert "checked under seed 3: a fresh model gave the same bits" in engine.reason


class CountsCalls(layers.Layer):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return x * float(self.calls)


def test_python_state_in_a_layer_is_seen(data, source_of):
    engine = assert_same_as_fresh(lambda: compiled(CountsCalls(), run_eagerly=True), data, source_of)
    assert "keeps state in Python attributes" in engine.reason


class Remembers(keras.Model):
    """A custom train_step whose state is hidden from every look at attributes."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)
        self._hidden = {"steps": 0}

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        self._hidden["steps"] += 1
        if self._hidden["steps"] > 6:
            return {"loss": 0.0}
        return super().train_step(data)


def remembering():
    model = Remembers()
    model(np.zeros((1, 4)))
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def test_hidden_state_is_caught_by_the_fresh_run(data, source_of):
    engine = assert_same_as_fresh(remembering, data, source_of)
    assert "a reused model gave another result under seed 3" in engine.reason


def made_while_training():
    model = Remembers()
    model.compile("sgd", "mse")
    model.built = True
    return model


def test_weights_that_are_made_while_training(data, source_of):
    engine = assert_same_as_fresh(made_while_training, data, source_of)
    assert "made while training" in engine.reason


def test_settings_that_depend_on_the_seed(data, source_of):
    engine = assert_same_as_fresh(lambda: compiled(layers.Dropout(random.random())), data, source_of)
    assert "its settings differ between seeds" in engine.reason


def test_shapes_that_depend_on_the_seed(data, source_of):
    engine = assert_same_as_fresh(
        lambda: compiled(Scale(), layers.Dense(random.randint(1, 99))), data, source_of
    )
    assert "differ between seeds" in engine.reason


def test_a_learning_rate_that_depends_on_the_seed(data, source_of):
    engine = assert_same_as_fresh(
        lambda: compiled(layers.Dense(3), optimizer=keras.optimizers.SGD(random.random() / 10)),
        data,
        source_of,
    )
    assert "its settings differ between seeds" in engine.reason


def draws_globally():
    return compiled(layers.Lambda(lambda x: x + keras.random.normal((4,))))


def test_the_global_seed_generator(data, source_of):
    engine = assert_same_as_fresh(draws_globally, data, source_of)
    assert "global seed generator" in engine.reason


def test_a_constant_drawn_when_tracing(data, source_of):
    engine = assert_same_as_fresh(
        lambda: compiled(layers.Lambda(lambda x: x * random.random())), data, source_of
    )
    assert "gave another result" in engine.reason


def test_an_own_loop_gets_fresh_models(source_of, mlp):
    engine = FitEngine(
        source_of(mlp), Training(fit=lambda model, seed: {"id": float(id(model))}), "reference"
    )
    list(engine.train([0, 1]))
    assert engine.reason == "built fresh for every seed, since it trains with your own fit"


def test_a_layer_with_a_call_set_on_it_is_foreign():
    def build(altered):
        layer = layers.Dense(1)
        model = keras.Sequential([keras.Input((3,)), layer])
        model.compile("sgd", "mse")
        if altered:
            call = layer.call
            layer.call = lambda x: call(x) * 2
        return model

    assert foreign_part(build(False)) is None
    assert foreign_part(build(True)) == "layer class Dense"
