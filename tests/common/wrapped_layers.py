"""Layers of Keras that need another call than ``layer(x)``, or an inner layer, made from plain arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers


def around(inner: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes a wrapper around a layer of the given arguments."""

    def wraps(cls: Any, **arguments: Any) -> Any:
        return cls(inner(**arguments))

    return wraps


def cells(cls: Any, units: int, activation: str) -> Any:
    """Return an RNN over stacked cells."""
    stacked = [layers.GRUCell(units), layers.SimpleRNNCell(units, activation=activation)]
    return layers.RNN(cls(stacked))


def one_cell(cls: Any, units: int, activation: str) -> Any:
    """Return an RNN over one cell."""
    return layers.RNN(cls(units, activation=activation), return_sequences=True)


class SelfAttending(layers.Layer):
    """An attention layer that gets one sequence as query, value and key."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Attend to the sequence itself."""
        if isinstance(self.inner, layers.Attention | layers.AdditiveAttention):
            return self.inner([x, x, x], training=training)
        return self.inner(x, x, training=training)


def attending(cls: Any, **arguments: Any) -> Any:
    """Return attention of a sequence to itself."""
    return SelfAttending(cls(**arguments))


class Merging(layers.Layer):
    """A merge of a tensor with a fixed function of itself."""

    def __init__(self, inner: Any, factor: float) -> None:
        super().__init__()
        self.inner, self.factor = inner, factor

    def call(self, x: Any) -> Any:
        """Merge."""
        return self.inner([x, keras.ops.tanh(x) * self.factor])


def merging(cls: Any, factor: float) -> Any:
    """Return a merge of a tensor with a fixed function of itself."""
    return Merging(cls(), factor)


def dotted(cls: Any, normalize: bool) -> Any:
    """Return the products of all steps of a sequence with each other."""
    return Merging(cls(axes=2, normalize=normalize), 1.0)


class Crossing(layers.Layer):
    """A hash of each integer together with another one."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def call(self, x: Any) -> Any:
        """Cross each column with the first."""
        first = x[:, :1]
        crossed = [self.inner((first, x[:, place : place + 1])) for place in range(x.shape[1])]
        return keras.ops.concatenate(crossed, axis=1)


def crossing(cls: Any, num_bins: int) -> Any:
    """Return a hash of integers crossed."""
    return Crossing(cls(num_bins=num_bins))


def adapted(cls: Any, spread: float) -> Any:
    """Return a normalization that has seen data."""
    layer = cls(axis=None)
    layer.adapt(spread * np.linspace(-1.0, 2.0, 24).reshape(4, 6))
    return layer


def scaled_by_code(cls: Any, factor: float) -> Any:
    """Return a Lambda over a closure."""
    return cls(lambda x: keras.ops.tanh(x) * factor)


def piped(cls: Any, factor: float) -> Any:
    """Return a pipeline of two augmentations."""
    return cls([layers.RandomFlip("horizontal"), layers.RandomBrightness(factor)])


OWN_LAYERS = {cls.__name__: cls for cls in (SelfAttending, Merging, Crossing)}
"""Name -> class, to load saved models."""
