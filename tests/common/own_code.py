"""The user's own code in random models: steps, losses, metrics, starts; each with two values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

OWN: dict[str, tuple[Any, ...]] = {
    "loss_label": (-1.0, -100.0),
    "metric_factor": (1.0, 2.0),
    "predict_threshold": (0.5, 0.7),
    "gradient_factor": (1.0, 0.5),
    "test_factor": (1.0, 3.0),
    "evaluation_loss": (True, False),
    "keyword_factor": (1.0, 2.0),
    "start": (None, 0.5),
}
"""What the user's own code of a model does beside its layers -> two values, which are two models."""

WORDS: dict[str, tuple[str, ...]] = {
    "loss_label": ("label",),
    "metric_factor": ("factor", "another metric"),
    "predict_threshold": ("predict_threshold", "predict_step"),
    "gradient_factor": ("gradient_factor", "train_step"),
    "test_factor": ("test_factor", "test_step"),
    "evaluation_loss": ("in_evaluation", "added loss"),
    "keyword_factor": ("keyword_factor", "scaled"),
    "start": ("start", "constant"),
}
"""What a report that names the cause says: one of these."""


class Adding(layers.Layer):
    """Adds a loss in training, and in evaluation too where it is told to."""

    def __init__(self, in_evaluation: bool) -> None:
        super().__init__()
        self.in_evaluation = in_evaluation

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the input."""
        if training or self.in_evaluation:
            self.add_loss(0.1 * keras.ops.mean(keras.ops.square(x)))
        return x


class Own(keras.Model):
    """A model around another one, with steps of its own."""

    def __init__(self, core: keras.Model, own: Mapping[str, Any]) -> None:
        super().__init__()
        self.core = core
        self.factors = {name: value for name, value in own.items() if isinstance(value, float)}
        self.adding = Adding(own["evaluation_loss"]) if "evaluation_loss" in own else None

    def call(self, x: Any, training: bool | None = None, scaled: bool = False) -> Any:
        """Run the model inside."""
        y = self.core(x, training=training)
        y = y if self.adding is None else self.adding(y, training=training)
        return y * self.factors["keyword_factor"] if scaled and "keyword_factor" in self.factors else y

    def train_step(self, data: Any) -> Any:
        """Descend by scaled gradients."""
        if "gradient_factor" not in self.factors:
            return super().train_step(data)
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True), training=True)
        if not self.trainable_variables:
            return {"loss": loss}
        found = tape.gradient(loss, [v.value for v in self.trainable_variables], unconnected_gradients="zero")
        factor = self.factors["gradient_factor"]
        scaled = [None if g is None else tf.convert_to_tensor(g) * factor for g in found]
        self.optimizer.apply_gradients(zip(scaled, self.trainable_variables, strict=True))
        return {"loss": loss}

    def test_step(self, data: Any) -> Any:
        """Log a scaled loss."""
        logs = dict(super().test_step(data))
        return {name: value * self.factors.get("test_factor", 1.0) for name, value in logs.items()}

    def predict_step(self, data: Any) -> Any:
        """Cut at a threshold."""
        found = super().predict_step(data)
        if "predict_threshold" not in self.factors:
            return found
        return keras.ops.cast(found > self.factors["predict_threshold"], "int32")


def _ignoring(label: float) -> Callable[..., Any]:
    def masked(y: Any, p: Any) -> Any:
        known = keras.ops.cast(keras.ops.not_equal(y, label), p.dtype)
        return keras.ops.mean(known * keras.ops.abs(y - p), axis=-1)

    return masked


def _scaled(factor: float) -> Callable[..., Any]:
    def scaled_error(y: Any, p: Any) -> Any:
        return factor * keras.ops.mean(keras.ops.abs(y - p), axis=-1)

    return scaled_error


def needs_own_model(own: Iterable[tuple[str, Any]]) -> bool:
    """Whether the user's own code stands in a model class."""
    in_class = {"predict_threshold", "gradient_factor", "test_factor", "evaluation_loss", "keyword_factor"}
    return bool({name for name, _ in own} & in_class)


def with_own_code(
    core: keras.Model, made: Sequence[Any], own: Mapping[str, Any], loss: str, inputs: Any
) -> tuple[keras.Model, dict[str, Any]]:
    """Return the model with the user's own code, and how it is compiled; ``made`` are its layers in order."""
    compiled: dict[str, Any] = {"loss": loss}
    if "loss_label" in own:
        compiled["loss"] = _ignoring(own["loss_label"])
    if "metric_factor" in own:
        compiled["metrics"] = [_scaled(own["metric_factor"])]
    trained = [variable for layer in made for variable in layer.trainable_variables]
    if own.get("start") is not None and trained:
        trained[-1].assign(np.full(trained[-1].shape, own["start"]))
    if needs_own_model(own.items()):
        model = Own(core, own)
        model(inputs)
        return model, compiled
    return core, compiled
