"""Other results of a step are explained by what was compiled, and by what own steps say."""

from __future__ import annotations

from functools import partial

import keras
import pytest
import tensorflow as tf

from pytest_kerasequiv import Verdict, compare, record
from pytest_kerasequiv.reporting.causes import account


def compiled(**settings) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **settings})
    return model


class Farthest(keras.metrics.Metric):
    def __init__(self) -> None:
        super().__init__()
        self.total = self.add_weight(initializer="zeros")

    def update_state(self, y, predicted, sample_weight=None):
        self.total.assign(tf.reduce_max(tf.abs(y - predicted)))

    def result(self):
        return self.total


class Nearest(Farthest):
    def update_state(self, y, predicted, sample_weight=None):
        self.total.assign(tf.reduce_min(tf.abs(y - predicted)))


def halved(y, predicted):
    return 0.5 * tf.reduce_mean(tf.square(y - predicted))


def doubled(y, predicted):
    return 2.0 * tf.reduce_mean(tf.square(y - predicted))


def cutoff(value: float) -> list[keras.metrics.Metric]:
    return [keras.metrics.BinaryAccuracy(threshold=value)]


PAIRS = {
    "threshold": ({"metrics": cutoff(0.5)}, {"metrics": cutoff(0.3)}, "threshold=0.3"),
    "one metric": ({"metrics": ["mae"]}, {}, "compiled with other metrics"),
    "own metric": ({"metrics": [Farthest()]}, {"metrics": [Nearest()]}, "Farthest / Nearest: "),
    "own loss": ({"loss": halved}, {"loss": doubled}, "`return 2.0 * tf.reduce_mean"),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("recorded", [False, True])
def test_what_was_compiled_otherwise_comes_first(name: str, recorded: bool, tmp_path) -> None:
    ours, theirs, told = PAIRS[name]
    reference = partial(compiled, **ours)
    given = record(reference, tmp_path / "kept.kerasequiv") if recorded else reference
    report = compare(given, partial(compiled, **theirs))
    assert report.verdict is Verdict.DIFFERENT
    (cause,) = account(report).causes
    assert told in cause.message


class Penalised(keras.Sequential):
    strength = 1.0

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((y - self(x, training=True)) ** 2) + self.strength * sum(self.losses)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


class Free(Penalised):
    strength = 0.0


class Renamed(Penalised):
    def train_step(self, data):
        return {"mse": super().train_step(data)["loss"]}


def own(kind: type) -> keras.Model:
    model = kind([keras.Input((4,)), keras.layers.Dense(1, kernel_regularizer="l2")])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("kind", "told"),
    [(Free, "strength is 1.0 in the reference and 0.0 in the candidate"), (Renamed, '{"mse"')],
)
def test_an_own_step_is_told_by_what_its_classes_say(kind: type, told: str) -> None:
    report = compare(partial(own, Penalised), partial(own, kind))
    assert report.verdict is Verdict.DIFFERENT
    (cause,) = account(report).causes
    assert cause.field == "train_step.code"
    assert told in cause.message
    assert "inherited" not in cause.message
