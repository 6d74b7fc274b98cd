"""Own steps that unpack ``x, y = data`` and take no sample weights."""

import keras
import pytest
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


class Branching(keras.Model):
    """Its steps tell inputs alone from inputs with targets; ``alone`` and ``targets`` are factors of each."""

    def __init__(self, alone=1.0, targets=1.0):
        super().__init__()
        self.dense, self.alone, self.targets = layers.Dense(3), alone, targets

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self._of(self(x, training=True), y)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}

    def test_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        return {"loss": self._of(self(x), y)}

    def predict_step(self, data):
        return self._of(self(data[0]), 0.0) if isinstance(data, tuple) else self._of(self(data), None)

    def _of(self, outputs, y):
        if y is None:
            return self.alone * ops.mean(ops.square(outputs))
        return self.targets * ops.mean(ops.square(y - outputs))


class Training(Branching):
    test_step, predict_step = keras.Model.test_step, keras.Model.predict_step


class Testing(Branching):
    train_step, predict_step = keras.Model.train_step, keras.Model.predict_step


class Predicting(Branching):
    train_step, test_step = keras.Model.train_step, keras.Model.test_step


def stepping(kind, loss, **factors):
    def build():
        model = kind(**factors)
        model(ops.zeros((1, 4)))
        model.compile("sgd", loss)
        return model

    return build


@pytest.mark.parametrize("loss", [None, "mse"])
@pytest.mark.parametrize("kind", [Training, Testing, Predicting])
@pytest.mark.parametrize("factor", ["alone", "targets"])
def test_a_step_is_looked_at_on_inputs_alone_and_with_targets(kind, loss, factor):
    report = compare(stepping(kind, loss), stepping(kind, loss, **{factor: 2.0}))
    assert report.verdict is Verdict.DIFFERENT, str(report)


def test_a_step_that_tells_batches_apart_is_proved_the_same():
    report = compare(stepping(Branching, None), stepping(Branching, None))
    assert report.evidence is Evidence.PROVED, str(report)
    assert {"train_step with targets", "test_step with targets"} <= set(report["program"].figures["entries"])


class OfClasses(keras.Model):
    """Trains on classes, by a loss that is not compiled."""

    def __init__(self, weight):
        super().__init__()
        self.dense, self.weight = layers.Dense(3), weight

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return self.weight * crossentropy(y, y_pred) + 1e-6 * ops.sum(y_pred)


def of_classes(weight):
    def build():
        model = OfClasses(weight)
        model(ops.zeros((1, 4)))
        model.compile("sgd")
        return model

    return build


def test_a_loss_that_is_not_compiled_may_take_classes():
    report = compare(of_classes(1.0), of_classes(1.0))
    assert report.evidence is Evidence.PROVED, str(report)
    report = compare(of_classes(1.0), of_classes(1.0), checks="all")
    assert report.verdict is Verdict.EQUIVALENT, str(report)
    assert compare(of_classes(1.0), of_classes(1.1)).verdict is Verdict.DIFFERENT


def test_metrics_without_a_loss_are_compared():
    def build(threshold):
        def built():
            model = Training()
            model(ops.zeros((1, 4)))
            model.compile("sgd", metrics=[keras.metrics.BinaryAccuracy(threshold=threshold)])
            return model

        return built

    assert compare(build(0.5), build(0.5)).evidence is Evidence.PROVED
    assert compare(build(0.5), build(0.6)).verdict is Verdict.DIFFERENT
