"""A model that draws random numbers outside Keras's generators is never DIFFERENT from itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.keras_access.random_state import preserved_state

L = keras.layers


class Hidden(L.Layer):
    """Adds numbers that TensorFlow draws: always, in training only, or where inputs are large."""

    def __init__(self, scale: float, when: str = "always") -> None:
        super().__init__()
        self.scale, self.when = scale, when

    def call(self, x: Any, training: bool | None = None) -> Any:
        if self.when == "training" and not training:
            return x
        noise = self.scale * tf.random.normal(tf.shape(x))
        return x + (tf.where(tf.abs(x) > 5.0, noise, 0.0) if self.when == "large" else noise)


def net(layer: Callable[[], L.Layer], *, rewritten: bool = False, units: int = 3) -> Any:
    def build() -> keras.Model:
        inputs = keras.Input((4,))
        x = L.Dense(units)(layer()(L.Dense(5)(inputs)))
        return keras.Model(inputs, 0.5 * x + 0.5 * x if rewritten else x)

    return build


HIDDEN = {
    "plain": lambda: Hidden(1.0),
    "a thousandth": lambda: Hidden(1e-3),
    "in training": lambda: Hidden(1e-3, "training"),
    "on some probes": lambda: Hidden(1.0, "large"),
}


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("rewritten", [False, True])
def test_a_model_that_draws_in_secret_is_not_different_from_itself(name, seed, rewritten):
    with preserved_state():
        if seed is not None:
            tf.random.set_seed(seed)
        report = compare(net(HIDDEN[name]), net(HIDDEN[name], rewritten=rewritten))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert "stochastic" in {finding.field for finding in report.findings}


def test_what_differs_where_nothing_is_drawn_stays_different():
    def scaled(factor: float) -> Any:
        def build() -> keras.Model:
            inputs = keras.Input((4,))
            return keras.Model(inputs, Hidden(1.0, "training")(factor * L.Dense(5)(inputs)))

        return build

    assert compare(scaled(1.0), scaled(1.5)).verdict is Verdict.DIFFERENT
    assert compare(net(HIDDEN["plain"]), net(HIDDEN["plain"], units=2)).verdict is Verdict.DIFFERENT


class AtWill(L.Layer):
    """Adds what TensorFlow draws where its caller says so."""

    def call(self, x: Any, noisy: bool = False) -> Any:
        return x + tf.random.normal(tf.shape(x)) if noisy else x


class Asked(keras.Model):
    """Draws in secret under one keyword of its ``call`` only, after some more draws or none."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.dense, self.noise, self.more = L.Dense(3), AtWill(), more

    def call(self, x: Any, noisy: bool = False) -> Any:
        x = self.dense(x)
        for _ in range(self.more if noisy else 0):
            x = x + 0.0 * tf.random.normal(tf.shape(x))
        return self.noise(x, noisy=noisy)


def test_an_entry_that_draws_in_secret_is_no_difference():
    report = compare(lambda: Asked(0), lambda: Asked(2), input_shape=(4,))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
