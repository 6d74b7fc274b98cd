"""Calls without ``training`` of models that may tell them from inference."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from pytest_kerasequiv import Evidence, Verdict, compare
from pytest_kerasequiv.program import trace

L = keras.layers


def layers() -> list[Any]:
    return [L.Dense(4, activation="relu"), L.BatchNormalization(), L.Dropout(0.2), L.Dense(2)]


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input((6,)), *layers()])


class Handing(keras.Model):
    """Hands ``training`` on."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = layers()

    def call(self, x: Any, training: bool | None = None) -> Any:
        dense, norm, drop, last = self.parts
        return last(drop(norm(dense(x), training=training), training=training))


class ByDefault(Handing):
    def call(self, x: Any, training: bool | None = False) -> Any:
        return super().call(x, training=training)


class Trained(Handing):
    """In a plain call it trains."""

    def call(self, x: Any, training: bool | None = None) -> Any:
        return super().call(x, training=True if training is None else training)


def built(cls: type[keras.Model]) -> keras.Model:
    model = cls()
    model(np.zeros((1, 6), np.float32), training=False)
    return model


@pytest.mark.parametrize("cls", [Handing, ByDefault])
def test_a_class_that_hands_training_on_is_proved_against_a_sequential(cls: type[keras.Model]) -> None:
    assert "plain call" not in trace(built(cls)).entries
    report = compare(sequential, lambda: built(cls), compile={"optimizer": "sgd", "loss": "mse"})
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED)


def test_a_plain_call_that_trains_stays_an_entry() -> None:
    assert "plain call" in trace(built(Trained)).entries
    report = compare(sequential, lambda: built(Trained))
    assert report.verdict is Verdict.DIFFERENT
    assert any(finding.field == "plain call" for finding in report.findings)
