"""What code of the user's keeps in Python from call to call, which no traced operation shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from pytest_kerasequiv.keras_access.layers import layers_within, usual_attributes
from pytest_kerasequiv.keras_access.origin import is_keras, is_library, root_of
from pytest_kerasequiv.layers.own_code import kept_between_calls

_PLAIN = (bool, int, float, str, bytes, np.generic)
FEW = 100
"""Elements of an array, or items of a container, up to which they are looked at; of others the number is."""

Name = tuple[str, str]
"""An attribute, and what of it; of code, nothing, and the name of what it reads."""

State = dict[int, dict[Name, Any]]


def state_in_python(model: keras.Model) -> State:
    """Return what the user's code keeps, by the place in the model of the layer that it belongs to.

    That is plain attributes, what objects and functions in attributes hold, and of the code of the class what
    it closes over, the globals that it reads, and attributes of the class.
    """
    classes: dict[type, dict[str, Any]] = {}
    layers = enumerate(layers_within(model, itself=True))
    found = {place: dict(_kept(layer, classes)) for place, layer in layers}
    return {place: held for place, held in found.items() if held}


def changing_layers(
    model: keras.Model, before: State, call: Callable[[], Any]
) -> Iterator[tuple[Any, list[Name]]]:
    """Yield the layers that each call leaves otherwise, with what changes: a trace shows one moment.

    What a call only notes, such as a shape, is the same after one call more.

    Args:
        model: the model.
        before: what `state_in_python` returned before the model was called so at all.
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
        changed = [name for name, value in held.items() if twice.get(place, {}).get(name) != value]
        if changed:
            yield layers[place], changed


def in_words(layer: Any, name: Name) -> str:
    """Say what each call of a layer changes."""
    attribute, inner = name
    kind = type(layer).__name__
    if attribute:
        return f"each call of {kind} changes its attribute {'.'.join(filter(None, name))!r}"
    return f"each call of {kind} changes {inner!r}, which its code reads"


def without(code: Mapping[str, Any], names: list[Name]) -> dict[str, Any]:
    """Return a description of code without what says only how often it was called."""
    unsaid = {inner or f"attribute {attribute}" for attribute, inner in names}
    return _stripped(code, unsaid)


def _stripped(code: Mapping[str, Any], unsaid: set[str]) -> dict[str, Any]:
    return {
        name: _stripped(value, unsaid) if isinstance(value, Mapping) else value
        for name, value in code.items()
        if name not in unsaid
    }


def _kept(layer: Any, classes: dict[type, dict[str, Any]]) -> Iterator[tuple[Name, Any]]:
    kind = type(layer)
    own = not is_keras(kind)
    usual = usual_attributes(kind)
    for name, value in list(vars(layer).items()):
        shown = _shown(value) if own else None
        if shown is not None:
            yield (name, ""), shown
        elif (
            name not in usual and not name.startswith(("_self_", "_kerasequiv")) and _may_keep(value, own=own)
        ):
            yield from (((name, inner), content) for inner, content in kept_between_calls(value).items())
    if own:
        if kind not in classes:
            classes[kind] = kept_between_calls(kind)
        yield from ((("", inner), content) for inner, content in classes[kind].items())


def _may_keep(value: Any, *, own: bool) -> bool:
    """Tell whether an attribute may hold what a call changes: in a layer of Keras's, functions alone."""
    if isinstance(value, type) or root_of(value) in {"keras", "tensorflow"}:
        return False
    return own or (callable(value) and not is_library(value))


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
