"""A batch of the user's for a training step of the model's own."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from pytest_kerasequiv import InputError, Twins, Verdict, compare
from pytest_kerasequiv.building.batches import given_batch

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
BATCH = {"image": ROWS, "target": ROWS[:, :2]}


class Dictionary(keras.Model):
    """Trains on a dictionary that holds the targets."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.dense, self.factor = layers.Dense(2), factor

    def call(self, x):
        return self.dense(x["image"])

    def train_step(self, batch):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = self.factor * ops.mean(ops.square(self(batch, training=True) - batch["target"]))
        weights = self.trainable_weights
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


def compiled(factor=1.0):
    model = Dictionary(factor)
    model.compile("sgd")
    return model


SHAPE = {"image": (4,)}


def test_own_steps_are_compared_on_the_users_batch():
    same = compare(compiled, compiled, input_shape=SHAPE, batch=BATCH, checks=["program", "updates"])
    assert same["program"].verdict is same["updates"].verdict is Verdict.EQUIVALENT
    other = compare(
        compiled, lambda: compiled(2.0), input_shape=SHAPE, batch=lambda: BATCH, checks=["updates"]
    )
    assert other.verdict is Verdict.DIFFERENT


def test_without_a_batch_the_report_asks_for_one():
    report = compare(compiled, compiled, input_shape=SHAPE, checks=["updates"])
    assert report.verdict is Verdict.INCONCLUSIVE
    words = " ".join(str(report).split())
    assert "Dictionary.train_step takes neither generated inputs nor these with targets" in words
    assert "pass batch=" in words


def test_a_function_is_called_once_and_floats_follow_keras():
    calls = []

    def batch():
        calls.append(1)
        return BATCH

    twins = Twins(compiled, compiled, input_shape=SHAPE, batch=batch)
    for model in (twins.reference, twins.candidate):
        assert given_batch(model)["image"].dtype == np.float32
    assert len(calls) == 1
    keras.config.set_floatx("float64")
    try:
        assert given_batch(twins.reference)["image"].dtype == np.float64
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.parametrize("batch", [3, "text"])
def test_what_is_no_batch_is_refused(batch):
    with pytest.raises(InputError, match="is no batch; pass what train_step takes"):
        Twins(compiled, batch=batch, input_shape=SHAPE)


@pytest.mark.parametrize("batch", [{"image": ROWS, "target": ROWS[:3]}, {}])
def test_a_batch_of_unlike_rows_is_refused(batch):
    twins = Twins(compiled, compiled, batch=batch, input_shape=SHAPE)
    with pytest.raises(InputError, match="the same number of rows"):
        given_batch(twins.reference)
