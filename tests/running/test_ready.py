"""Traced calls that are run again: they give what untraced ones give, and are left alone where unfit."""

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.building.workbench import compiled_for_now, loss_settings
from pytest_kerasequiv.program import trace
from pytest_kerasequiv.running import running
from pytest_kerasequiv.running.differentiating import differentiate
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.weights.variables import values_of


def recurrent(*, compiled=True):
    steps = keras.Input((40,), dtype="int32")
    hidden = layers.Embedding(9, 4, embeddings_regularizer="l2", mask_zero=True)(steps)
    hidden = layers.BatchNormalization()(hidden)
    outputs = [layers.LSTM(3, return_sequences=True)(hidden), layers.Dense(2)(layers.GRU(3)(hidden))]
    model = keras.Model(steps, outputs)
    if compiled:
        model.compile("sgd", ["mse", "mae"])
    return model


def runner_of(model):
    runner = Runner(model, values_of(model))
    runner.uses_loss = model.compiled
    return runner


def counted(runner):
    """Count how often the runner traces the model."""
    calls = []
    model_call = runner.model.call
    runner.model.call = lambda *args, **kwargs: (calls.append(1), model_call(*args, **kwargs))[1]
    return calls


INPUTS = [np.random.default_rng(0).integers(0, 9, (5, 40))]
TARGETS = [np.ones((5, 40, 3), "float32"), np.ones((5, 2), "float32")]


@pytest.mark.parametrize("compiled", [True, False])
def test_what_was_traced_with_the_program_is_run_and_gives_the_same(compiled):
    model = recurrent(compiled=compiled)

    def results():
        runner = runner_of(model)
        calls = counted(runner)
        with runner.holding(), compiled_for_now(model, loss_settings(model) if compiled else None):
            found = runner.infer(INPUTS), differentiate(runner, INPUTS, TARGETS)
        return *found, len(calls)

    outcome, one, calls = results()
    assert calls >= 2
    trace(model)
    again, other, calls = results()
    assert calls == 0
    assert [mask is None for mask in again.masks] == [mask is None for mask in outcome.masks]
    arrays = [(outcome.outputs, again.outputs), (one.outputs, other.outputs), ([one.loss], [other.loss])]
    arrays += [([one.extra], [other.extra]), (one.gradients.values(), other.gradients.values())]
    arrays += [(one.state.values(), other.state.values())]
    assert one.gradients.keys() == other.gradients.keys()
    for ours, theirs in arrays:
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_another_loss_other_shapes_and_hidden_draws_are_traced_anew():
    model = recurrent()
    trace(model)
    runner = runner_of(model)
    calls = counted(runner)
    with runner.holding():
        runner.uses_loss = False
        differentiate(runner, INPUTS, TARGETS)
        assert len(calls) == 1
        runner.untraced().infer(INPUTS)
        assert len(calls) == 2


def test_a_model_that_is_run_eagerly_or_does_not_repeat_keeps_nothing():
    dense = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    trace(dense)
    runner = Runner(dense, values_of(dense))
    calls = counted(runner)
    with runner.holding():
        runner.infer([np.zeros((2, 3), "float32")])
    assert len(calls) == 1


def test_training_without_a_loss_is_traced_anew():
    model = recurrent(compiled=False)
    model.compile("sgd")
    trace(model)
    runner = Runner(model, values_of(model))
    calls = counted(runner)
    with runner.holding():
        found = differentiate(runner, INPUTS, TARGETS)
    assert len(calls) == 1
    assert float(found.loss) > float(found.extra)


def test_of_a_large_model_the_traced_inference_is_run_and_training_eagerly(monkeypatch):
    model = keras.Sequential([keras.Input((3,)), layers.BatchNormalization(), layers.Dense(2)])
    x = [np.random.default_rng(1).normal(size=(4, 3)).astype("float32")]
    eager = runner_of(model).infer(x).outputs[0]
    monkeypatch.setattr(running, "LARGE", 0)
    trace(model)
    runner = runner_of(model)
    calls = counted(runner)
    with runner.holding():
        np.testing.assert_allclose(runner.infer(x).outputs[0], eager, rtol=1e-6)
        assert not calls
        differentiate(runner, x, [np.ones((4, 2), "float32")])
        assert len(calls) == 1
        runner.untraced().infer(x)
        assert len(calls) == 2
