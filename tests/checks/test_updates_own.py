"""Check `updates`: training steps that are the model's own, metrics of several numbers, steps that fail."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from pytest_kerasequiv import compare
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import updates
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.verdict import Verdict


class Reconstructing(keras.Model):
    """Trained as autoencoders often are: its own loss, compiled without one."""

    def __init__(self, factor):
        super().__init__()
        self.dense, self.factor = layers.Dense(3), factor

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.factor * keras.ops.mean((x - y_pred) ** 2)


class Stepping(Reconstructing):
    """The same, with a train step that takes inputs alone."""

    def train_step(self, data):
        assert not isinstance(data, tuple)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(data, None, self(data, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"reconstruction": loss}


class Teaching(Reconstructing):
    """One that needs targets."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.factor * keras.ops.mean((y - y_pred) ** 2)


@pytest.mark.parametrize("kind", [Reconstructing, Stepping, Teaching])
def test_a_training_step_of_its_own_is_run_though_no_loss_is_compiled(kind):
    def run(factor):
        twins = Twins(lambda: kind(1.0), lambda: kind(factor), input_shape=(3,), compile={"optimizer": "sgd"})
        return updates.CHECK(Pair(twins), steps=2)

    assert run(1.0).verdict is Verdict.EQUIVALENT
    assert run(1.0).figures["steps"]["compiled"] == 2
    result = run(100.0)
    assert result.verdict is Verdict.DIFFERENT
    assert "compiled optimizer" in result.differences[0].message


def test_a_metric_with_a_number_for_each_class_is_compared():
    def built(rate, threshold=None):
        def build():
            model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation="sigmoid")])
            metric = keras.metrics.F1Score(threshold=threshold)
            model.compile(keras.optimizers.SGD(rate), "binary_crossentropy", metrics=[metric])
            return model

        return build

    same = updates.CHECK(Pair(Twins(built(0.01), built(0.01))), steps=2)
    assert same.verdict is Verdict.EQUIVALENT
    assert len(same.figures["metrics"]["compiled"]["reference"][0]["f1_score"]) == 2
    other = updates.CHECK(Pair(Twins(built(0.01), built(10.0))), steps=2)
    assert "learning_rate" in other.differences[0].field


def test_steps_that_cannot_be_run_do_not_hide_settings_that_differ():
    class Broken(keras.Model):
        def call(self, x):
            return x

        def train_step(self, data):
            raise RuntimeError("not today")

    def built(rate):
        def build():
            model = Broken()
            model.compile(keras.optimizers.SGD(rate), "mse")
            return model

        return build

    def run(rate):
        return updates.CHECK(Pair(Twins(built(0.1), built(rate), input_shape=(3,))), steps=1)

    result = run(0.2)
    assert result.verdict is Verdict.DIFFERENT
    assert "learning_rate" in result.differences[0].field
    assert "could not run: RuntimeError: not today" in result.differences[1].message
    alike = run(0.1)
    assert alike.verdict is Verdict.INCONCLUSIVE
    assert "could not run: RuntimeError: not today" in alike.differences[0].message


def read_aloud():
    model = keras.Sequential([keras.Input((6, 4)), layers.Dense(3)])
    model.compile("sgd", keras.losses.CTC())
    return model


def test_a_model_with_ctc_is_trained_on_labels():
    report = compare(read_aloud, read_aloud, checks=["updates"])
    assert report.verdict is Verdict.EQUIVALENT, str(report)
