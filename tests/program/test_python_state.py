"""Layers that keep something in Python from call to call."""

import itertools
import logging
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pytest_kerasequiv import Evidence, Verdict, compare
from pytest_kerasequiv.program import trace


class Plain(layers.Layer):
    def call(self, x):
        return x


class Counts(layers.Layer):
    """Doubles from its thousandth call on."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return x if self.calls < 1000 else 2 * x


class Collects(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = []

    def call(self, x):
        self.seen.append(x.shape[-1])
        return x if len(self.seen) < 1000 else 2 * x


class Notes(layers.Layer):
    """Notes the shape of its input, as code for shapes does."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.size = None

    def call(self, x):
        self.size = x.shape[1]
        return x


CALLS = [0]


class CountsInModule(layers.Layer):
    def call(self, x):
        CALLS[0] += 1
        return x if CALLS[0] < 1000 else 2 * x


class CountsInClass(layers.Layer):
    calls = 0

    def call(self, x):
        type(self).calls += 1
        return x if self.calls < 1000 else 2 * x


class CountsInTraining(Counts):
    def call(self, x, training=None):
        return super().call(x) if training else x


class Tally:
    def __init__(self):
        self.calls = 0


class CountsInObject(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tally = Tally()

    def call(self, x):
        self.tally.calls += 1
        return x if self.tally.calls < 1000 else 2 * x


class Draws(layers.Layer):
    """Draws from a generator of NumPy's, which each call moves on."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.rng = np.random.default_rng(0)

    def call(self, x):
        return x + self.rng.normal()


class Steps(layers.Layer):
    """Doubles once what it takes a number of has come to 1000."""

    def __init__(self, make, take, **kwargs):
        super().__init__(**kwargs)
        self.held, self.take = make(), take

    def call(self, x):
        return x if self.take(self.held) < 1000 else 2 * x


def appended(held):
    held[0].append(1)
    return len(held[0])


KEPT = {
    "a generator": (lambda: (i for i in itertools.count()), next),
    "a map": (lambda: map(abs, itertools.count()), next),
    "the place in a list": (lambda: iter([1] * 50 + [5000]), next),
    "a generator of Python's": (lambda: random.Random(0), lambda held: held.random()),
    "a list in a list": (lambda: [[0]], appended),
}


@pytest.mark.parametrize("kind", KEPT)
def test_whatever_holds_it(kind):
    program = trace(net(lambda name: Steps(*KEPT[kind], name=name))())
    assert program.reason.startswith("each call of Steps changes its attribute 'held"), program.reason


class CountsOnDense(layers.Layer):
    """Counts on the layer within."""

    def __init__(self, *, counts, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.counts = layers.Dense(2), counts
        self.dense.hits = 0

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        self.dense.hits += self.counts
        return self.dense(x) if self.dense.hits < 1000 else 2 * self.dense(x)


def test_on_a_layer_of_keras_too():
    ours, theirs = (net(lambda name, n=n: CountsOnDense(counts=n, name=name)) for n in (0, 1))
    assert trace(theirs()).reason == "each call of Dense changes its attribute 'hits'"
    assert compare(ours, theirs).verdict is not Verdict.EQUIVALENT


class Penalty(keras.regularizers.Regularizer):
    def __init__(self, counts):
        self.counts, self.calls = counts, 0

    def __call__(self, weight):
        self.calls += self.counts
        return keras.ops.sum(weight) * (0.1 if self.calls < 1000 else 2.0)

    def get_config(self):
        return {"counts": self.counts}


def test_in_a_regularizer_of_a_layer_of_keras():
    def regularised(counts):
        def build():
            dense = layers.Dense(1, kernel_regularizer=Penalty(counts))
            return keras.Sequential([keras.Input((4,)), dense])

        return build

    report = compare(regularised(0), regularised(1))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)


def net(cls):
    def build():
        return keras.Sequential([keras.Input((4, 2)), cls(name="middle"), layers.Dense(1, name="out")])

    return build


def counting_closure():
    count = itertools.count()
    return lambda x: x if next(count) < 1000 else 2 * x


def counting_default():
    def counted(x, calls=[0]):  # noqa: B006 - that it is kept is the point
        calls[0] += 1
        return x if calls[0] < 1000 else 2 * x

    return counted


def counting_attribute():
    def counted(x):
        counted.calls += 1
        return x if counted.calls < 1000 else 2 * x

    counted.calls = 0
    return counted


def lambda_net(make):
    return net(lambda name: layers.Lambda(make(), name=name))


class Stepping(keras.Model):
    """Trains no more from its thousandth step on."""

    def __init__(self, *, counts):
        super().__init__()
        self.out = layers.Dense(1)
        self.counts, self.steps = counts, 0

    def call(self, x):
        return self.out(x)

    def train_step(self, data):
        self.steps += self.counts
        x, y = data[:2]
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True)) * (1.0 if self.steps < 1000 else 0.0)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def stepping(*, counts):
    def build():
        model = Stepping(counts=counts)
        model(keras.ops.zeros((1, 3)))
        model.compile("sgd", "mse")
        return model

    return build


@pytest.mark.parametrize(("cls", "attribute"), [(Counts, "calls"), (Collects, "seen")])
def test_a_layer_that_each_call_leaves_otherwise_is_not_proved(cls, attribute):
    program = trace(net(cls)())
    assert program.reason == f"each call of {cls.__name__} changes its attribute '{attribute}'"
    report = compare(net(Plain), net(cls))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert any(f"{cls.__name__} is code that cannot be traced" in f.message for f in report.findings)


@pytest.mark.parametrize(
    ("cls", "what"),
    [
        (CountsInModule, "'call.CALLS', which its code reads"),
        (CountsInClass, "'calls', which its code reads"),
        (CountsInTraining, "its attribute 'calls'"),
        (CountsInObject, "its attribute 'tally.calls'"),
        (Draws, "its attribute 'rng"),
    ],
)
def test_wherever_it_keeps_it(cls, what):
    program = trace(net(cls)())
    assert program.reason.startswith(f"each call of {cls.__name__} changes {what}")
    report = compare(net(Plain), net(cls))
    assert report.verdict is Verdict.INCONCLUSIVE or cls is Draws, str(report)


@pytest.mark.parametrize("make", [counting_closure, counting_default, counting_attribute])
def test_so_a_function_in_a_layer_of_keras(make):
    assert trace(lambda_net(make)()).reason.startswith("each call of Lambda changes")
    report = compare(net(Plain), lambda_net(make))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)


def test_a_step_that_counts_is_not_proved():
    report = compare(stepping(counts=0), stepping(counts=1))
    assert report.verdict is not Verdict.EQUIVALENT, str(report)
    report = compare(stepping(counts=1), stepping(counts=1))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED), str(report)


@pytest.mark.parametrize("cls", [CountsInModule, CountsInObject])
def test_the_same_counter_on_both_sides_is_measured(cls):
    report = compare(net(cls), net(cls))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED), str(report)


def test_the_same_code_on_both_sides_is_measured():
    report = compare(net(Counts), net(Counts))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED), str(report)


def test_how_often_a_layer_was_called_before_is_no_difference():
    used = net(Counts)()
    for _ in range(3):
        used(keras.ops.zeros((1, 4, 2)))
    report = compare(net(Counts), used)
    assert report.verdict is Verdict.EQUIVALENT, str(report)


LOGGER = logging.getLogger(__name__)


class Logs(layers.Layer):
    def call(self, x):
        LOGGER.warning("called with %s", x.shape)
        return x


def test_a_layer_that_logs_is_proved(caplog):
    report = compare(net(Plain), net(Logs))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED), str(report)
    assert caplog.records


def test_a_layer_that_notes_a_shape_is_proved():
    report = compare(net(Notes), net(Notes))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED), str(report)
