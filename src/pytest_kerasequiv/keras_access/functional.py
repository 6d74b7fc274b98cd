"""The Keras functions behind `Sequential` and functional models, and their calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras import tree
from keras.src.models.functional import Functional


def graph_of(layer: Any) -> Any:
    """Return the Keras function behind a `Sequential` or functional model; ``None`` for any other layer.

    A subclass with a ``call`` of its own computes what that says, not what its graph says, and has none.
    """
    own = (keras.Sequential.call, Functional.call)
    return function_within(layer) if getattr(type(layer), "call", None) in own else None


def function_within(layer: Any) -> Any:
    """Return the Keras function in a `Sequential` or functional model, whatever its ``call`` does."""
    if isinstance(layer, keras.Sequential):
        return layer._functional
    return layer if isinstance(layer, Functional) else None


def calls_in(function: Any) -> Iterator[Any]:
    """Yield the calls of a Keras function in the order in which it runs them."""
    by_depth = function._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from (call for call in by_depth[depth] if call.operation and not call.is_input)


def given_to(inner: Any, call: Any) -> list[Any]:
    """Return the tensors that a nested model is called on, in the order of its inputs."""
    given = call.arguments.args[0] if call.arguments.args else call.arguments.kwargs["inputs"]
    if isinstance(given, dict) and not isinstance(inner._inputs_struct, dict):
        return [given[tensor.name] for tensor in inner.inputs]
    return list(tree.flatten(given))


def is_layer(operation: Any) -> bool:
    """Tell layers from plain operations."""
    return isinstance(operation, keras.layers.Layer)
