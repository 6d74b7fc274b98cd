"""A copy of a given model gives the same bits on one batch, in both modes, or it is refused."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.common.models import flow

from pytest_kerasequiv import InputError
from pytest_kerasequiv.building.probing import refuse_other_results
from pytest_kerasequiv.building.rebuild import rebuild
from pytest_kerasequiv.weights.variables import assign, values_of


class Held(layers.Layer):
    """Computes with what an object holds, in training or always."""

    def __init__(self, in_training: bool = False) -> None:
        super().__init__()
        self.in_training, self.kept = in_training, {"factor": ops.ones(())}
        self.kept_in = Box(1.0)

    def call(self, x: Any, training: bool = False) -> Any:
        return x if self.in_training and not training else x * self.kept_in.factor

    def get_config(self) -> dict[str, Any]:
        return {"in_training": self.in_training}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


class Box:
    def __init__(self, factor: float) -> None:
        self.factor = factor


@pytest.mark.parametrize("in_training", [False, True])
def test_what_no_attribute_shows_is_seen_in_what_is_computed(in_training: bool) -> None:
    model = flow(Held(in_training))
    rebuild(model, with_weights=True)
    model.layers[1].kept_in.factor = 2.0
    with pytest.raises(InputError, match="called on one batch, it gives other numbers"):
        rebuild(model, with_weights=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: flow(layers.Conv1D(3, 7), layers.GlobalMaxPooling1D(), shape=(None, 2)),
        lambda: flow(layers.Conv1D(3, 20), layers.GlobalMaxPooling1D(), shape=(None, 2)),
        lambda: flow(layers.Embedding(4, 3), layers.LSTM(2), shape=(5,), dtype="int32"),
        lambda: flow(layers.StringLookup(vocabulary=["a", "b"]), shape=(3,), dtype="string"),
        lambda: flow(layers.BatchNormalization(), layers.Dropout(0.5), layers.GaussianNoise(1.0)),
        lambda: flow(layers.Dense(3, kernel_regularizer="l2", activity_regularizer="l1")),
    ],
)
def test_copies_of_ordinary_models_pass(make: Any) -> None:
    model = make()
    assert len(rebuild(model, with_weights=True).variables) == len(model.variables)


def test_the_model_is_left_as_it_is() -> None:
    model = flow(layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(2, kernel_regularizer="l2"))
    model(np.ones((3, 8), "float32"), training=True)
    before = values_of(model), len(model.losses)
    rebuild(model, with_weights=True)
    assert len(model.losses) == before[1]
    for one, other in zip(before[0], values_of(model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_states_and_losses_are_seen() -> None:
    model, other = (
        flow(layers.BatchNormalization(momentum=0.9)),
        flow(layers.BatchNormalization(momentum=0.8)),
    )
    assign(other, values_of(model))
    with pytest.raises(InputError, match="other numbers"):
        refuse_other_results(model, other)
    regular, plain = flow(layers.Dense(2, bias_regularizer="l2")), flow(layers.Dense(2))
    with pytest.raises(InputError, match="other numbers"):
        refuse_other_results(regular, plain)


def test_a_model_that_takes_no_made_up_batch_needs_a_builder() -> None:
    class Picky(layers.Layer):
        def call(self, x: Any) -> Any:
            if not isinstance(x, keras.KerasTensor) and len(x) != 3:
                raise ValueError("three rows")
            return x

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

        def compute_output_spec(self, x: Any) -> Any:
            return keras.KerasTensor(x.shape, x.dtype)

    with pytest.raises(InputError, match=r"cannot be called on a made-up batch.*pass a builder"):
        rebuild(flow(Picky()), with_weights=True)
