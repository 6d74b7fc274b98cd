"""A layer of one's own against the layers that it calls, spelled out: the setting that differs is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.reporting.causes import account

Build = Callable[[], keras.Model]


class Block(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = layers.Dense(8, activation="relu"), layers.Dense(6)
        self.norm, self.drop = layers.BatchNormalization(momentum=0.9), layers.Dropout(0.1)

    def call(self, x: Any, training: bool | None = None) -> Any:
        inner = self.drop(self.norm(self.first(x), training=training), training=training)
        return x + self.second(inner)


def blocks(count: int) -> Build:
    def build() -> keras.Model:
        inputs = x = keras.Input((6,))
        for _ in range(count):
            x = Block()(x)
        return keras.Model(inputs, layers.Dense(2)(x))

    return build


class Stack(keras.Model):
    """The blocks in a subclassed model, which has no layer graph."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks, self.last = [Block(), Block()], layers.Dense(2)

    def call(self, x: Any, training: bool | None = None) -> Any:
        for block in self.blocks:
            x = block(x, training=training)
        return self.last(x)


def spelled_out(count: int, extra: float = 0.0, **changed: Any) -> Build:
    """Return a builder of the same layers, the settings of the last block changed."""

    def build() -> keras.Model:
        inputs = x = keras.Input((6,))
        for place in range(count):
            own = changed if place == count - 1 else {}
            first = layers.Dense(8, activation=own.get("activation", "relu"))
            first.kernel_regularizer = own.get("kernel_regularizer")
            inner = layers.BatchNormalization(momentum=own.get("momentum", 0.9))(first(x))
            inner = layers.Dense(6)(layers.Dropout(own.get("rate", 0.1))(inner))
            x = layers.Add()([x, inner])
        x = layers.Dropout(extra, name="extra")(x) if extra else x
        return keras.Model(inputs, layers.Dense(2)(x))

    return build


CHANGES = {
    "activation": "tanh",
    "rate": 0.3,
    "momentum": 0.99,
    "kernel_regularizer": keras.regularizers.L2(0.1),
}


@pytest.mark.parametrize(
    ("reference", "count", "field"),
    [*((blocks(1), 1, field) for field in CHANGES), (blocks(2), 2, "momentum"), (Stack, 2, "rate")],
    ids=[*CHANGES, "two blocks", "subclassed"],
)
def test_the_setting_is_the_cause_and_the_layers_are_form(reference: Build, count: int, field: str) -> None:
    candidate = spelled_out(count, **{field: CHANGES[field]})
    report = compare(reference, candidate, input_shape=(6,))
    assert report.verdict is Verdict.DIFFERENT
    causes = account(report).causes
    assert [cause.field for cause in causes] == [field], report


def test_the_same_layers_are_the_same_model() -> None:
    assert compare(blocks(2), spelled_out(2)).verdict is Verdict.EQUIVALENT


def test_a_dropout_without_partner_is_told_beside_the_setting() -> None:
    causes = account(compare(blocks(2), spelled_out(2, extra=0.2, activation="tanh"))).causes
    assert causes[0].field == "activation"
    assert any("extra" in str(cause.candidate_layer) for cause in causes[1:])


def split(momentum: float, activation: str | None) -> Build:
    def build() -> keras.Model:
        inputs = keras.Input((6,))
        x = layers.Dense(8, activation=activation)(inputs)
        x = x if activation else layers.ReLU()(x)
        return keras.Model(inputs, layers.Dense(1)(layers.BatchNormalization(momentum=momentum)(x)))

    return build


def test_an_activation_that_became_a_layer_is_not_at_fault_for_its_shape() -> None:
    """A ReLU of its own does make another shape of what the Dense is given."""
    causes = account(compare(split(0.99, "relu"), split(0.9, None))).causes
    assert [cause.field for cause in causes] == ["momentum"]
