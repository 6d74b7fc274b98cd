"""Small models that many tests need, and what tells two of them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from pytest_kerasequiv.weights.variables import values_of

Build = Callable[[], keras.Model]


def functional(
    body: Callable[..., Any], *shapes: Any, name: str | None = None, **options: Any
) -> keras.Model:
    """Return the model of a function of its inputs."""
    inputs = [keras.Input(shape, **options) for shape in shapes]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], body(*inputs), name=name)


def building(shape: Any, body: Callable[[Any], Any], **options: Any) -> Build:
    """Return a builder of the model of a function of its one input."""
    return lambda: functional(body, shape, **options)


def around(shape: Any, layer: Callable[[], Any], **options: Any) -> Build:
    """Return a builder of a model of one layer, new for each build."""
    return building(shape, lambda inputs: layer()(inputs), **options)  # noqa: PLW0108 - new for each build


def flow(*stack: Any, shape: Any = (8,), **options: Any) -> keras.Model:
    """Return layers, one after the other, as a functional model."""
    inputs = outputs = keras.Input(shape, **options)
    for layer in stack:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


class Does(layers.Layer):
    """A layer that calls a function."""

    def __init__(self, what: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(**options)
        self.what = what

    def call(self, x: Any) -> Any:
        """Call it."""
        return self.what(x)


def dense(optimizer: Any = "sgd", loss: Any = "mse", **settings: Any) -> keras.Model:
    """Return a compiled model of one Dense layer."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.compile(optimizer, loss, **settings)
    return model


def fresh(build: Build) -> keras.Model:
    """Build a model as a given one, whose start nobody has watched."""
    keras.utils.set_random_seed(0)
    return build()


def same_values(one: keras.Model, other: keras.Model) -> bool:
    """Whether all variables of two models are equal, in their order."""
    return all(np.array_equal(a, b) for a, b in zip(values_of(one), values_of(other), strict=True))


def digest(model: keras.Model) -> str:
    """Return a digest of all that a training changes."""
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return hashlib.sha256(b"".join(np.asarray(v).tobytes() for v in variables)).hexdigest()
