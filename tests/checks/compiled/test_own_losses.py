"""Own losses and metrics against others: by their traced programs, else by what they say in words."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from tests.common.settings import compared

from pytest_kerasequiv.checks.compiled.in_force import settings_of

LOSSES, METRICS = keras.losses, keras.metrics


def one(loss="mse", activation=None, **settings):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation=activation)])
    model.compile("sgd", loss, **settings)
    return model


def own_mse(y, p):
    return ops.mean(ops.square(y - p), axis=-1)


def mse_otherwise(y, p):
    difference = p - y
    return ops.sum(difference * difference, axis=-1) / 3.0


def own_accuracy(y, p):
    return ops.cast(ops.equal(ops.argmax(y, -1), ops.argmax(p, -1)), "float32")


def ignoring(label):
    def masked(y, p):
        known = ops.cast(ops.not_equal(y, label), p.dtype)
        return ops.sum(known * ops.abs(y - p)) / (ops.sum(known) + 1e-9)

    return masked


def clipped(limit):
    return lambda y, p: ops.mean(ops.minimum(ops.square(y - p), limit), axis=-1)


def unused(flag):
    def loss(y, p):
        return own_mse(y, p) if flag is not None else p

    return loss


class Unweighted(LOSSES.Loss):
    """A loss that may ignore sample weights."""

    def __init__(self, weighted):
        super().__init__()
        self.weighted = weighted

    def call(self, y, p):
        return ops.mean(ops.square(y - p), -1)

    def __call__(self, y, p, sample_weight=None):
        return super().__call__(y, p, sample_weight if self.weighted else None)


class Threshold(METRICS.Metric):
    """An own metric with state."""

    def __init__(self, threshold, name="threshold"):
        super().__init__(name=name)
        self.threshold = threshold
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y, p, sample_weight=None):
        self.count.assign_add(ops.sum(ops.cast(p > self.threshold, "float32")))

    def result(self):
        return self.count


SAME = {
    "own mse": ("mse", own_mse),
    "a lambda": ("mse", lambda y, p: ops.mean(ops.square(y - p), axis=-1)),
    "a partial at the default": ("huber", functools.partial(LOSSES.huber, delta=1.0)),
    "a compiled function": (own_mse, tf.function(own_mse)),
    "a class and its name": (LOSSES.MeanSquaredError(), "mse"),
    "a flag without effect": (unused(True), unused(False)),
    "a cached function": (own_mse, functools.wraps(own_mse)(functools.partial(own_mse))),
    "a class of its own": (Unweighted(weighted=True), "mse"),
}


@pytest.mark.parametrize("name", SAME)
def test_losses_of_one_program_are_the_same(name):
    ours, theirs = SAME[name]
    assert compared(one(ours), one(theirs))[0] == []
    assert compared(one(theirs), one(ours))[0] == []


def test_a_loss_written_otherwise_with_the_same_values_is_a_note():
    found, messages = compared(one("mse"), one(mse_otherwise))
    assert found == [("loss", "note")]
    assert "'mean_squared_error' in the reference and 'mse_otherwise' in the candidate" in messages[0]


def log_cosh_otherwise(y, p):
    return ops.mean(ops.logaddexp(y - p, p - y) - ops.log(2.0), axis=-1)


def focal_otherwise(y, p):
    of_class = 1 - y - p + 2 * y * p
    return ops.mean((1 - of_class) * (1 - of_class) * ops.binary_crossentropy(y, p), axis=-1)


@pytest.mark.parametrize(
    ("ours", "theirs", "activation"),
    [
        ("log_cosh", log_cosh_otherwise, None),  # a number of its own, -2, is tried on both sides
        ("binary_focal_crossentropy", focal_otherwise, "sigmoid"),  # only with probabilities
    ],
)
def test_losses_written_otherwise_are_compared_on_the_same_batches_of_what_the_model_makes(
    ours, theirs, activation
):
    assert compared(one(ours, activation), one(theirs, activation))[0] == [("loss", "note")]


DIFFERENT = {
    "closure": (
        ignoring(-1.0),
        ignoring(-100.0),
        "ignoring.masked: label is -1.0 in the reference and -100.0 in",
    ),
    "threshold": (
        clipped(50.0),
        clipped(100.0),
        "clipped.<lambda>: limit is 50.0 in the reference and",
    ),
    "far threshold": (clipped(1e20), clipped(1e21), "limit is 1e+20"),
    "partial": (
        functools.partial(LOSSES.huber, delta=1.0),
        functools.partial(LOSSES.huber, delta=2.0),
        "delta is",
    ),
    "sample weights": (
        Unweighted(True),
        Unweighted(False),
        "Unweighted: weighted is True in",
    ),
    "sample weights of Keras's": (
        "mse",
        Unweighted(False),
        "'Unweighted' in the",
    ),
    "another": (own_mse, "mae", "'own_mse' in the reference, 'mean_absolute_error' in the candidate"),
    "nearly mse": ("mse", clipped(1e9), "'mean_squared_error' in the reference, 'clipped.<lambda>' in"),
    "a label": (
        "mae",
        ignoring(-12345.0),
        "'ignoring.masked' in the",
    ),
    "class weights": (
        lambda y, p, w=(1.0, 2.0, 3.0): ops.mean(ops.square(y - p) * ops.convert_to_tensor(w)),
        lambda y, p, w=(1.0, 2.0, 5.0): ops.mean(ops.square(y - p) * ops.convert_to_tensor(w)),
        "w is [1.0, 2.0, 3.0] in the reference and [1.0, 2.0, 5.0] in the candidate",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_losses_that_differ_are_named_by_what_differs(name):
    ours, theirs, words = DIFFERENT[name]
    found, messages = compared(one(ours), one(theirs))
    assert {severity for _, severity in found} == {"difference"}
    assert words in messages[0]
    assert compared(one(theirs), one(ours))[0] == found


def test_the_loss_of_logits_or_of_their_softmax_is_one_loss():
    models = [one(LOSSES.CategoricalCrossentropy(from_logits=f), "softmax") for f in (True, False)]
    assert compared(*models)[0] == []
    models = [one(LOSSES.CategoricalCrossentropy(from_logits=f)) for f in (True, False)]
    assert compared(*models)[0] == [("loss.from_logits", "difference")]


@pytest.mark.parametrize(
    ("ours", "theirs", "renamed"),
    [
        (lambda: "accuracy", METRICS.CategoricalAccuracy, True),
        (lambda: own_accuracy, lambda: METRICS.CategoricalAccuracy(name="own_accuracy"), False),
        (lambda: "mae", lambda: LOSSES.mean_absolute_error, True),
    ],
)
def test_metrics_of_one_program_are_the_same_but_for_their_names(ours, theirs, renamed):
    models = [one("categorical_crossentropy", "softmax", metrics=[metric()]) for metric in (ours, theirs)]
    found = compared(*models)[0]
    assert {severity for _, severity in found} <= {"note"}
    assert (("metrics.names", "note") in found) is renamed


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (
            lambda: ignoring(-1.0),
            lambda: ignoring(-100.0),
            "label is -1.0 in the reference and -100.0 in",
        ),
        (lambda: Threshold(0.5), lambda: Threshold(0.7), "threshold is 0.5 in the reference and 0.7 in the"),
        (lambda: Threshold(0.5), lambda: "mae", "mean_absolute_error"),
        (lambda: METRICS.AUC(num_thresholds=9), lambda: METRICS.AUC(num_thresholds=8), "num_thresholds=9"),
        (lambda: METRICS.F1Score(threshold=0.5), lambda: METRICS.F1Score(threshold=0.6), "threshold=0.5"),
    ],
)
@pytest.mark.parametrize("kind", ["metrics", "weighted_metrics"])
def test_metrics_that_differ_are_named_by_what_differs(kind, ours, theirs, words):
    models = [one(activation="sigmoid", **{kind: [metric()]}) for metric in (ours, theirs)]
    found, messages = compared(*models)
    assert found == [(kind, "difference")]
    assert words in messages[0]


def test_a_users_loss_and_metric_are_left_as_they_are():
    metric = Threshold(0.5)
    model = one(metrics=[metric])
    model.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
    before = float(metric.result())
    model.evaluate(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
    settings_of(model)
    assert float(metric.result()) == before or before == 0.0


def test_a_loss_that_cannot_be_traced_is_compared_in_words():
    def untraceable(k):
        return lambda y, p: ops.mean(y - p) * float(np.asarray(p).sum() * 0 + k)

    found, messages = compared(one(untraceable(2)), one(untraceable(3)))
    assert found == [("loss.code", "difference")]
    assert "k is 2 in the reference and 3 in the candidate" in messages[0]


def of_steps(loss):
    model = keras.Sequential([keras.Input((5, 4)), layers.Dense(3)])
    model.compile("sgd", loss)
    return model


def test_losses_of_outputs_with_steps_are_compared_by_what_they_compute():
    def found(loss):
        return compared(of_steps("mse"), of_steps(loss))[0]

    assert found(LOSSES.MeanSquaredError(reduction="mean")) == []
    assert found(mse_otherwise) == [("loss", "note")]
    assert found(LOSSES.MeanSquaredError(reduction="sum")) == [("loss.reduction", "difference")]
