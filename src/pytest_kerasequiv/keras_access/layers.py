"""The layers that a model holds, at any depth."""

from __future__ import annotations

from typing import Any


def layers_within(layer: Any, *, itself: bool = False) -> list[Any]:
    """Return the layers inside a model or layer at any depth, each once; with ``itself``, it comes first."""
    return list(layer._flatten_layers(include_self=itself))


def held_layers(layer: Any) -> list[Any]:
    """Return the layers that a model or layer holds directly, those of no graph among them."""
    return list(getattr(layer, "_layers", ()))


def state_within(model: Any) -> set[int]:
    """Return the identities of the variables that are state (statistics, seeds), not frozen weights."""
    layers = layers_within(model, itself=True)
    weights = {id(variable) for layer in layers for variable in layer._trainable_variables}
    return {id(variable) for variable in model.variables if id(variable) not in weights}


def takes_training(layer: Any) -> bool:
    """Whether the ``call`` of a layer takes ``training``."""
    return bool(layer._call_has_training_arg)
