"""Models that part in one entry of their surface alone: name -> builder of variants 1 and 2, and where."""

import keras
import tensorflow as tf
from keras import layers, ops
from tests.common.models import functional


def dense(cls, *arguments, loss=None, metrics=None, **attributes):
    """Return a model of an own class with one Dense layer, compiled where a loss is given."""
    inputs = keras.Input((4,))
    model = cls(inputs, layers.Dense(2, activation="sigmoid")(inputs))
    for name, value in attributes.items():
        setattr(model, name, value)
    if loss is not None:
        model.compile("sgd", loss, metrics=metrics)
    return model


class AddsLoss(layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x, training=None):
        self.add_loss((1.0 if training else self.factor) * ops.mean(x * x))
        return x


class TellsPlain(layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x, training=None):
        return x * self.factor if training is None else x


class Unweighted(keras.losses.Loss):
    def __init__(self, power):
        super().__init__()
        self.power = power

    def call(self, y, p):
        return ops.mean(ops.square(y - p), -1)

    def __call__(self, y, p, sample_weight=None):
        return super().__call__(y, p, None if sample_weight is None else sample_weight**self.power)


class Counter(keras.metrics.Metric):
    """A metric with a state: it counts predictions above a threshold, over batches."""

    def __init__(self, threshold=0.5, **options):
        super().__init__(**options)
        self.threshold, self.seen = threshold, self.add_weight(name="seen", initializer="zeros")

    def update_state(self, y, p, sample_weight=None):
        self.seen.assign_add(ops.sum(ops.cast(p > self.threshold, "float32")))

    def result(self):
        return self.seen

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class Starting(Counter):
    def reset_state(self):
        self.seen.assign(self.threshold)


class Gate(layers.Layer):
    """Three inputs, the last two optional; the factor counts where the last is left out."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x, y=None, z=None):
        x = x if y is None else x + y
        return self.factor * x if z is None else x + z


def optional(factor):
    inputs = [keras.Input((3,)), keras.Input((3,), optional=True), keras.Input((3,), optional=True)]
    return keras.Model(inputs, Gate(factor)(*inputs))


class Keywords(keras.Model):
    def __init__(self, factor, keyword):
        super().__init__()
        self.dense, self.factor, self.keyword = layers.Dense(3), factor, keyword

    def call(self, x, scaled=False, power=1, context=None, mask=None):
        given = {
            "scaled": scaled,
            "power": power != 1,
            "context": context is not None,
            "mask": mask is not None,
        }
        return self.dense(x) * self.factor if given[self.keyword] else self.dense(x)


def keyword(name):
    def build(factor):
        model = Keywords(float(factor), name)
        model(ops.zeros((2, 5, 4)))
        return model

    return build


class ScalesGradients(keras.Model):
    def train_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply([self.value * gradient for gradient in gradients], self.trainable_variables)
        return {"loss": loss}


class OtherLogs(keras.Model):
    def test_step(self, data):
        return {**super().test_step(data), "bonus": ops.convert_to_tensor(self.value)}


class Sharpened(keras.Model):
    def predict_step(self, data):
        return ops.softmax(super().predict_step(data) * self.value)


class BranchingLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight)
        return loss if training else loss * self.value


class OtherMetrics(keras.Model):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {
            **super().compute_metrics(x, y, y_pred, sample_weight),
            "value": self.value * ops.mean(y_pred),
        }


class OwnReset(keras.Model):
    def reset_metrics(self):
        super().reset_metrics()
        self.non_trainable_variables[-1].assign(self.value * ops.ones((2,)))


class KeepsLoss(keras.Model):
    def reset_metrics(self):
        if self.value == 1:
            super().reset_metrics()


class TrainsFew(keras.Model):
    @property
    def trainable_weights(self):
        return super().trainable_weights[: self.value]


class Cut(layers.Layer):
    def __init__(self, length):
        super().__init__()
        self.length = length

    def call(self, x):
        return x * 2 if x.shape[1] is not None and x.shape[1] > self.length else x


def masked_loss(factor):
    class Masked(keras.losses.Loss):
        def call(self, y, p):
            return ops.mean(ops.square(y - p), -1) * (factor if hasattr(p, "_keras_mask") else 1.0)

    model = functional(layers.Embedding(9, 3, mask_zero=True), (5,), dtype="int32")
    model.compile("sgd", Masked())
    return model


def nested(kind):
    def body(x):
        a, b = layers.Dense(2)(x), layers.Dense(2)(x)
        return {1: (a, (b, a)), 2: ((a, b), a)}[kind]

    return functional(body, (4,))


def inputs_in_order(kind):
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    return keras.Model([a, b] if kind == 1 else [b, a], a - b)


def own_reset(value):
    inputs = keras.Input((2,))
    model = OwnReset(inputs, layers.BatchNormalization()(inputs))
    model.value = value
    return model


MEMBERS = {
    "a loss added in evaluation": (lambda v: functional(AddsLoss(v), (4,)), "inference"),
    "a plain call": (lambda v: functional(TellsPlain(v), (4,)), "plain call"),
    "weights at the loss": (lambda v: dense(keras.Model, loss=Unweighted(v)), "loss and metrics"),
    "masks at the loss": (masked_loss, "training|loss and metrics"),
    "a metric with a state": (
        lambda v: dense(keras.Model, loss="mse", metrics=[Counter(0.001 if v == 1 else 0.999)]),
        "loss and metrics",
    ),
    "how a metric is reset": (
        lambda v: dense(keras.Model, loss="mse", metrics=[Starting(v / 4)]),
        "loss and metrics",
    ),
    "an optional input of two": (optional, "without input 2"),
    "a boolean keyword": (keyword("scaled"), "call with scaled=True"),
    "a number as keyword": (keyword("power"), "call with power=2"),
    "a tensor as keyword": (keyword("context"), "call with context="),
    "a mask as keyword": (keyword("mask"), "call with mask=a mask"),
    "gradients scaled by an attribute": (
        lambda v: dense(ScalesGradients, loss="mse", value=float(v)),
        "train_step",
    ),
    "other logs": (lambda v: dense(OtherLogs, loss="mse", value=v), "test_step"),
    "an attribute of predict_step": (lambda v: dense(Sharpened, value=float(v)), "predict_step"),
    "a branch in compute_loss": (lambda v: dense(BranchingLoss, loss="mse", value=float(v)), "test_step"),
    "compute_metrics": (lambda v: dense(OtherMetrics, loss="mse", value=float(v)), "_step"),
    "reset_metrics": (lambda v: own_reset(float(v)), "reset_metrics"),
    "metrics that are not reset": (lambda v: dense(KeepsLoss, loss="mse", value=v), "reset_metrics"),
    "trainable_weights": (lambda v: dense(TrainsFew, loss="mse", value=v), "train_step"),
    "a length to branch on": (
        lambda v: functional(Cut({1: 16, 2: 300}[v]), (None, 2)),
        "static sizes|free axes|entry",
    ),
    "nested outputs": (nested, "inference"),
    "inputs of a list in another order": (inputs_in_order, "inference"),
    "height against width": (
        lambda v: functional(layers.Resizing(4, 4, crop_to_aspect_ratio=v == 2), (None, None, 3)),
        "inference",
    ),
}
