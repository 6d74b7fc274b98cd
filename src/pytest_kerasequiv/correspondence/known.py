"""What is known of each variable of one model before anything is run, as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.keras_access.layers import held_layers, weights_held
from pytest_kerasequiv.weights.variables import is_seed, values_of, variables_of

COMPOSED = ("MultiHeadAttention", "GroupQueryAttention")
"""Layers of Keras that are made of others of one class, which only their place in it tells apart."""


@dataclass(frozen=True)
class Described:
    """One variable, but for what it holds.

    Attributes:
        path: its Keras path, for messages, and for the rest that nothing else tells apart.
        name: its own name, the last part of the path.
        shape: shape of its value.
        dtype: dtype of its value.
        trainable: whether it is trained.
        seed: whether it is the state of a seed generator.
        owner: number of the layer that holds it.
        role: class of that layer and the variable's name in it; names of user's own choice do not come in
            where the class is Keras's.
        constant: the value of all its elements where they are equal, as zeros and ones at the start are.
    """

    path: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    seed: bool
    owner: int
    role: str
    constant: float | None


@dataclass(frozen=True)
class Known(Described):
    """One variable; ``value`` is what it holds."""

    value: NDArray[np.generic]


def known_variables(model: keras.Model) -> tuple[Known, ...]:
    """Return what is known of each of `variables_of(model)`."""
    held = _held(model)
    return tuple(
        Known(
            path=variable.path,
            name=variable.name,
            shape=tuple(variable.shape),
            dtype=str(variable.dtype),
            trainable=bool(variable.trainable),
            seed=is_seed(variable),
            owner=held[id(variable)][0] if id(variable) in held else -1,
            role=held[id(variable)][1] if id(variable) in held else variable.name,
            constant=_constant(value),
            value=value,
        )
        for variable, value in zip(variables_of(model), values_of(model), strict=True)
    )


def _held(model: keras.Model) -> dict[int, tuple[int, str]]:
    found: dict[int, tuple[int, str]] = {}
    for number, (layer, prefix) in enumerate(_layers(model, "", set())):
        own = weights_held(layer)
        for variable in own:
            found.setdefault(id(variable), (number, f"{prefix}{type(layer).__qualname__}.{variable.name}"))
    return found


def _layers(layer: Any, prefix: str, seen: set[int]) -> Iterator[tuple[Any, str]]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield layer, prefix
    composed = type(layer).__name__ in COMPOSED
    for place, inner in enumerate(held_layers(layer)):
        yield from _layers(inner, f"{prefix}{type(layer).__name__}[{place}]/" if composed else prefix, seen)


def _constant(value: NDArray[np.generic]) -> float | None:
    if value.size < 2 or value.dtype.kind not in "fiub":
        return None
    return float(value.flat[0]) if bool(np.all(value == value.flat[0])) else None


def elements(variables: Sequence[Known], *, trainable: bool) -> int:
    """Return how many numbers the weights hold that are trained, or that are not."""
    return sum(int(np.prod(one.shape)) for one in variables if not one.seed and one.trainable == trainable)
