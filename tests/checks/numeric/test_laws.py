"""Draws that do not correspond: equal in law is INCONCLUSIVE, another law DIFFERENT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import ops
from tests.common.models import building

from pytest_kerasequiv import Verdict, compare

L = keras.layers
Body = Callable[[Any], Any]


def joined(first: float, second: float) -> Body:
    def body(inputs: Any) -> Any:
        parts = L.Dense(3)(inputs), L.Dense(2)(inputs)
        return L.Concatenate()([L.Dropout(first)(parts[0]), L.Dropout(second)(parts[1])])

    return body


def join_first(inputs: Any) -> Any:
    return L.Dropout(0.5)(L.Concatenate()([L.Dense(3)(inputs), L.Dense(2)(inputs)]))


def dropped(make: Callable[[], Any]) -> Body:
    return lambda inputs: L.Permute((2, 1))(make()(L.Dense(3)(inputs)))


def dropped_after(make: Callable[[], Any]) -> Body:
    return lambda inputs: make()(L.Permute((2, 1))(L.Dense(3)(inputs)))


def stacked(inputs: Any) -> Any:
    return L.Dropout(0.5)(ops.stack([L.Dense(3)(inputs), L.Dense(3)(inputs)], 1))


def stacked_after(inputs: Any) -> Any:
    return ops.stack([L.Dropout(0.5)(L.Dense(3)(inputs)), L.Dropout(0.5)(L.Dense(3)(inputs))], 1)


HALF = dropped(lambda: L.Dropout(0.5))

EQUAL = {
    "around a Concatenate": (join_first, joined(0.5, 0.5)),
    "around a Permute": (HALF, dropped_after(lambda: L.Dropout(0.5))),
    "one on a stack against two": (stacked, stacked_after),
}
OTHER = {
    "another rate of one": (join_first, joined(0.5, 0.2)),
    "another rate": (HALF, dropped_after(lambda: L.Dropout(0.45))),
    "a missing one": (HALF, dropped(lambda: L.Activation("linear"))),
    "an extra one": (HALF, lambda i: L.Dropout(0.5)(HALF(i))),
    "whole channels": (HALF, dropped_after(lambda: L.SpatialDropout1D(0.5))),
    "gaussian": (HALF, dropped_after(lambda: L.GaussianDropout(0.5))),
    "a regulariser beside it": (
        HALF,
        lambda i: L.Dropout(0.5)(L.Permute((2, 1))(L.Dense(3, kernel_regularizer="l2")(i))),
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_draws_that_are_equal_in_law_are_inconclusive(name: str) -> None:
    reference, candidate = EQUAL[name]
    report = compare(
        building((5, 4), reference), building((5, 4), candidate), checks=["outputs", "gradients", "updates"]
    )
    assert report["outputs"].verdict is Verdict.EQUIVALENT
    for check in ("gradients", "updates"):
        assert report[check].verdict is Verdict.INCONCLUSIVE
        assert [finding.field for finding in report[check].differences] == ["draws"]
        assert "`training` can decide" in report[check].differences[0].message


@pytest.mark.parametrize("name", OTHER)
def test_draws_of_another_law_are_different(name: str) -> None:
    reference, candidate = OTHER[name]
    report = compare(building((5, 4), reference), building((5, 4), candidate), checks=["gradients"])
    assert report["gradients"].verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("rate", [0.5, 0.2])
def test_plain_calls_that_draw_are_compared_in_law(rate: float) -> None:
    """A Dropout that a functional model fixes in training mode draws in ``model(x)``."""

    def before(inputs: Any) -> Any:
        return L.Permute((2, 1))(L.Dropout(0.5)(L.Dense(3)(inputs), training=True))

    def after(inputs: Any) -> Any:
        return L.Dropout(rate)(L.Permute((2, 1))(L.Dense(3)(inputs)), training=True)

    report = compare(building((5, 4), before), building((5, 4), after))
    assert report.verdict is (Verdict.INCONCLUSIVE if rate == 0.5 else Verdict.DIFFERENT), str(report)


def test_seeds_that_no_trace_pairs_do_not_make_a_difference() -> None:
    """RandomCrop promises a size that it does not return, so training is not traced."""

    class InReverse(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.crop = L.RandomCrop(6, 6)
            self.contrast = L.RandomContrast(0.2)

        def call(self, x: Any, training: bool = True) -> Any:
            return self.crop(self.contrast(x, training=training), training=training)

    def functional() -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, L.RandomCrop(6, 6)(L.RandomContrast(0.2)(inputs)))

    report = compare(functional, InReverse, input_shape=(8, 8, 3))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
