"""Model classes of a user's own, one feature each: entry points, keywords, lengths, draws and starts.

Each is a class to inherit from, around another model ``core``; `MIXINS` names the attribute with its value.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops


class Around(keras.Model):
    """A model around another one, with the values of its features as attributes."""

    def __init__(self, core: keras.Model, own: Mapping[str, Any]) -> None:
        super().__init__()
        self.core = core
        for name, value in own.items():
            setattr(self, name, value)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Run the model inside."""
        return self.core(x, training=training)


class Adding(layers.Layer):
    """Adds a loss in training, and in evaluation too where it is told to."""

    def __init__(self, in_evaluation: bool) -> None:
        super().__init__()
        self.in_evaluation = in_evaluation

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the input."""
        if training or self.in_evaluation:
            self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


class AddsLoss(Around):
    """Adds a loss."""

    def __init__(self, core: keras.Model, own: Mapping[str, Any]) -> None:
        super().__init__(core, own)
        self.adding = Adding(own["evaluation_loss"])

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Add a loss of the outputs."""
        return self.adding(super().call(x, training=training), training=training)


class TellsPlain(Around):
    """Does something else in a plain call."""

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Scale where nothing tells whether it trains."""
        y = super().call(x, training=training)
        return y * self.plain_factor if training is None else y


class Lengthy(Around):
    """Branches in Python on a length."""

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Double what comes of long inputs."""
        y = super().call(x, training=training)
        return y * 2 if x.shape[1] is not None and x.shape[1] > self.free_length else y


class Draws(Around):
    """Drops out twice, with seeds."""

    def __init__(self, core: keras.Model, own: Mapping[str, Any]) -> None:
        super().__init__(core, own)
        self.first = layers.Dropout(0.3, seed=1)
        self.second = layers.Dropout(0.3, seed=own["second_seed"])

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Average two masks."""
        y = super().call(x, training=training)
        return self.first(y, training=training) + 0.5 * self.second(y, training=training)


class Scales(Around):
    """Scales by two weights, which start equal where they share an initializer."""

    def __init__(self, core: keras.Model, own: Mapping[str, Any]) -> None:
        super().__init__(core, own)
        first = keras.initializers.RandomNormal(seed=3)
        second = first if own["same_start"] else keras.initializers.RandomNormal(seed=4)
        self.pair = [self.add_weight(shape=(3,), initializer=one) for one in (first, second)]

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Scale by the sum of squares of one and twice the other."""
        first, second = self.pair
        return super().call(x, training=training) * ops.sum(ops.square(first) + 2 * ops.square(second))


class Scaled(Around):
    """Takes a boolean keyword."""

    def call(self, x: Any, training: bool | None = None, scaled: bool = False) -> Any:
        """Scale where asked to."""
        y = super().call(x, training=training)
        return y * self.scaled_factor if scaled else y


class Powered(Around):
    """Takes a number as keyword."""

    def call(self, x: Any, training: bool | None = None, power: int = 1) -> Any:
        """Scale for another number than 1."""
        y = super().call(x, training=training)
        return y * self.power_factor if power != 1 else y


class InContext(Around):
    """Takes a tensor as keyword."""

    def call(self, x: Any, training: bool | None = None, context: Any = None) -> Any:
        """Scale where a context is given."""
        y = super().call(x, training=training)
        return y if context is None else y * self.context_factor


class ScalesGradients(Around):
    """Has a train step of its own."""

    def train_step(self, data: Any) -> Any:
        """Descend by scaled gradients."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True), training=True)
        if not self.trainable_variables:
            return {"loss": loss}
        found = tape.gradient(loss, [v.value for v in self.trainable_variables], unconnected_gradients="zero")
        scaled = [None if g is None else tf.convert_to_tensor(g) * self.gradient_factor for g in found]
        self.optimizer.apply_gradients(zip(scaled, self.trainable_variables, strict=True))
        return {"loss": loss}


class ScalesLogs(Around):
    """Has a test step of its own."""

    def test_step(self, data: Any) -> Any:
        """Log a scaled loss."""
        return {name: value * self.test_factor for name, value in dict(super().test_step(data)).items()}


class Cuts(Around):
    """Has a predict step of its own."""

    def predict_step(self, data: Any) -> Any:
        """Cut at a threshold."""
        return ops.cast(super().predict_step(data) > self.predict_threshold, "int32")


class BranchingLoss(Around):
    """Computes another loss in evaluation."""

    def compute_loss(self, *given: Any, training: bool = True, **more: Any) -> Any:
        """Scale the loss in evaluation."""
        loss = super().compute_loss(*given, training=training, **more)
        return loss if training else loss * self.evaluation_factor


class OtherMetrics(Around):
    """Computes a metric of its own."""

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add the scaled mean prediction."""
        value = self.mean_factor * ops.mean(y_pred)
        return {**super().compute_metrics(x, y, y_pred, sample_weight), "value": value}


MIXINS: dict[str, type[Around]] = {
    "scaled_factor": Scaled,
    "power_factor": Powered,
    "context_factor": InContext,
    "plain_factor": TellsPlain,
    "evaluation_loss": AddsLoss,
    "second_seed": Draws,
    "same_start": Scales,
    "free_length": Lengthy,
    "gradient_factor": ScalesGradients,
    "test_factor": ScalesLogs,
    "predict_threshold": Cuts,
    "evaluation_factor": BranchingLoss,
    "mean_factor": OtherMetrics,
}
"""What a model class of the user's does -> the class; those whose ``call`` takes keywords come first."""

KEYWORDS = frozenset({"scaled_factor", "power_factor", "context_factor"})
"""Features with a signature of ``call`` of their own, of which a model has one at most."""


@functools.cache
def own_class(names: frozenset[str]) -> Any:
    """Return the class with some features; the same one each time."""
    bases = [mixin for name, mixin in MIXINS.items() if name in names]
    return type("Own", tuple(bases), {})
