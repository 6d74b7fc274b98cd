"""What code of the user's keeps in Python from call to call, which no traced operation shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from pytest_kerasequiv.keras_access.layers import layers_within, usual_attributes
from pytest_kerasequiv.keras_access.origin import is_keras, is_library
from pytest_kerasequiv.layers.kept_between_calls import kept_between_calls

Name = tuple[str, str]
"""An attribute, and what of it; of code, nothing, and the name of what it reads."""

State = dict[int, dict[Name, Any]]


def state_in_python(model: keras.Model) -> State:
    """Return what the user's code keeps, by the place in the model of the layer that it belongs to.

    That is plain attributes, what objects and functions in attributes hold, and of the code of the class what
    it closes over, the globals that it reads, and attributes of the class.
    """
    if not _runs_own_code(model):
        return {}
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


def _runs_own_code(model: keras.Model) -> bool:
    """Tell whether a layer of a model is the user's, or holds a function or object of the user's."""
    return any(
        not is_keras(type(layer))
        or any(callable(one) and not is_library(one) for one in vars(layer).values())
        for layer in layers_within(model, itself=True)
    )


def _kept(layer: Any, classes: dict[type, dict[str, Any]]) -> Iterator[tuple[Name, Any]]:
    kind = type(layer)
    usual = usual_attributes(kind)
    for name, value in list(vars(layer).items()):
        if name not in usual and not name.startswith(("_self_", "_kerasequiv")):
            yield from (((name, inner), content) for inner, content in kept_between_calls(value).items())
    if not is_keras(kind):
        if kind not in classes:
            classes[kind] = kept_between_calls(kind)
        yield from ((("", inner), content) for inner, content in classes[kind].items())
