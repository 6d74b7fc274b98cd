"""Every entry of the surface is run: numbers show what parts in one entry alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.common.models import functional
from tests.common.surfaces import MEMBERS, Unweighted, dense

from pytest_kerasequiv import Evidence, Twins, Verdict, compare
from pytest_kerasequiv.checks import outputs
from pytest_kerasequiv.checks.pair import Pair


@pytest.mark.parametrize(("name", "build"), [(name, build) for name, (build, _) in MEMBERS.items()])
def test_what_parts_in_one_entry_is_different(name, build):
    result = outputs.CHECK(Pair(Twins(lambda: build(1), lambda: build(2))))
    assert result.verdict is Verdict.DIFFERENT, result.findings


class Deciding(keras.Model):
    """Returns what is above a threshold, which few of its outputs lie close to."""

    def predict_step(self, data):
        return ops.cast(super().predict_step(data) > self.threshold, "int32")


def test_among_many_samples_some_lie_between_two_thresholds():
    def build(threshold):
        inputs = keras.Input((4,))
        model = Deciding(inputs, layers.Dense(1)(inputs))
        model.threshold = threshold
        return model

    result = outputs.CHECK(Pair(Twins(lambda: build(0.5), lambda: build(0.6))))
    assert result.verdict is Verdict.DIFFERENT, result.findings


@pytest.mark.parametrize("shape", [(4,), (5, 4), (5, 5, 4)])
def test_sample_weights_have_the_axes_that_the_loss_of_the_outputs_has(shape):
    def build(power):
        model = functional(layers.Dense(3), shape)
        model.compile("sgd", Unweighted(power))
        return model

    result = outputs.CHECK(Pair(Twins(lambda: build(1), lambda: build(2))))
    assert result.verdict is Verdict.DIFFERENT, result.findings
    assert not any("could not be run" in finding.message for finding in result.findings)


class Renamed(layers.Layer):
    """Computes what Dense does, by other operations, so that nothing is proved."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x, training=None):
        return ops.stack(ops.unstack(self.dense(x), axis=1), axis=1)


@pytest.mark.parametrize("shape", [(4,), (None, 4)])
def test_a_rewrite_agrees_in_every_entry(shape):
    report = compare(
        lambda: functional(Renamed(), shape) if len(shape) == 1 else functional(layers.Dense(3), shape),
        lambda: functional(layers.Dense(3), shape),
        compile={"optimizer": "sgd", "loss": "mse", "metrics": ["mae"]},
    )
    assert report.verdict is Verdict.EQUIVALENT


class Tracked(keras.Model):
    """Scales what its step returns by operations that differ, not in what they compute."""

    def test_step(self, data):
        logs = super().test_step(data)
        return {
            name: value * self.factor + (0 if self.factor == 1 else -value) for name, value in logs.items()
        }


def test_an_own_step_that_computes_the_same_agrees():
    report = compare(
        lambda: dense(Tracked, loss="mse", factor=1.0), lambda: dense(Tracked, loss="mse", factor=2.0)
    )
    assert report.verdict is not Verdict.DIFFERENT
    assert report["outputs"].evidence is Evidence.MEASURED


def test_the_models_are_left_as_they_were():
    build, _ = MEMBERS["gradients scaled by an attribute"]
    pair = Pair(Twins(lambda: build(1), lambda: build(2)))
    before = [variable.numpy().copy() for variable in pair.reference.variables]
    outputs.CHECK(pair)
    assert all((old == new.numpy()).all() for old, new in zip(before, pair.reference.variables, strict=True))
    assert pair.reference.optimizer.iterations.numpy() == 0


@pytest.mark.parametrize("method", ["fit", "predict"])
def test_a_loop_set_on_a_model_is_an_override_like_one_of_its_class(method):
    def build(altered):
        model = dense(keras.Model, loss="mse")
        if altered:
            setattr(model, method, lambda *_, **__: None)
        return model

    result = outputs.CHECK(Pair(Twins(lambda: build(False), lambda: build(True))))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert f"{method} differs: only the candidate overrides it" in result.findings[0].message
    alike = outputs.CHECK(Pair(Twins(lambda: build(True), lambda: build(True))))
    assert alike.verdict is Verdict.EQUIVALENT


def test_the_state_of_metrics_is_left_as_it_was():
    model = dense(type("Own", (keras.Model,), {"reset_metrics": lambda self: None}), loss="mse")
    model.evaluate(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    before = [variable.numpy() for metric in model.metrics for variable in metric.variables]
    outputs.CHECK(Pair(Twins(model, lambda: dense(keras.Model, loss="mse"))))
    after = [variable.numpy() for metric in model.metrics for variable in metric.variables]
    assert before == after
