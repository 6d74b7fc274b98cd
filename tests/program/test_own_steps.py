"""Own steps that unpack ``x, y = data`` and take no sample weights."""

import keras
import tensorflow as tf
from keras import layers, ops

from pytest_kerasequiv import Evidence, Verdict, compare


def clipping(limit):
    class Model(keras.Sequential):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = ops.mean(ops.square(y - self(x, training=True)))
            gradients = tape.gradient(loss, self.trainable_variables)
            clipped = [ops.clip(gradient, -limit, limit) for gradient in gradients]
            self.optimizer.apply(clipped, self.trainable_variables)
            return {"loss": loss}

    def build():
        model = Model([keras.Input((4,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    return build


def test_the_same_step_is_proved():
    report = compare(clipping(2e6), clipping(2e6))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED)


def test_a_constant_that_nothing_reaches_is_never_equivalent():
    assert compare(clipping(2e6), clipping(3e6)).verdict is Verdict.INCONCLUSIVE


class Stopping(keras.Sequential):
    """Trains for one epoch only, if ``after`` says so."""

    after = None

    def train_step(self, data):
        logs = super().train_step(data)
        if self.after == 1:
            self.stop_training = True
        return logs


def stopping(after):
    def build():
        model = Stopping([keras.Input((4,)), layers.Dense(1)])
        model.after = after
        model.compile("sgd", "mse")
        return model

    return build


def test_a_step_that_ends_the_training_is_another():
    report = compare(stopping(None), stopping(1))
    assert report.verdict is Verdict.DIFFERENT, str(report)
