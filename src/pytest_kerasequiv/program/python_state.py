"""What layers of the user's keep in Python from call to call, which no traced operation shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.keras_access.origin import is_keras

_PLAIN = (bool, int, float, str, bytes, np.generic)
FEW = 100
"""Elements of an array, or items of a container, up to which they are looked at; of others the number is."""

State = dict[int, dict[str, Any]]


def state_in_python(model: keras.Model) -> State:
    """Return the plain attributes of the user's layers, by the layer's place in the model."""
    layers = enumerate(layers_within(model, itself=True))
    return {place: dict(_attributes(layer)) for place, layer in layers if not is_keras(type(layer))}


def changing_layers(
    model: keras.Model, before: State, call: Callable[[], Any]
) -> Iterator[tuple[Any, list[str]]]:
    """Yield the layers that each call leaves otherwise, with the attributes: a trace shows one moment.

    What a call only notes, such as a shape, is the same after one call more.

    Args:
        model: the model.
        before: what `state_in_python` returned before the model was called at all.
        call: calls the model; the same call each time.
    """
    if state_in_python(model) == before:
        return
    call()
    once = state_in_python(model)
    call()
    twice = state_in_python(model)
    layers = layers_within(model, itself=True)
    for place, held in once.items():
        changed = [name for name, value in held.items() if twice[place].get(name) != value]
        if changed:
            yield layers[place], changed


def _attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    for name, value in vars(layer).items():
        shown = _shown(value)
        if shown is not None:
            yield name, shown


def _shown(value: Any) -> Any:
    """Return a plain value as one that stays as it is; ``None`` for other objects."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.ndarray):
        return (value.shape, value.tobytes() if value.size <= FEW else None)
    if isinstance(value, dict | list | tuple | set):
        items = list(value.items() if isinstance(value, dict) else value)
        return (len(items), repr([item for item in items if isinstance(item, _PLAIN)][:FEW]))
    return None
