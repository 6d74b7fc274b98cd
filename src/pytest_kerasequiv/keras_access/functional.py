"""The Keras functions behind `Sequential` and functional models, and their calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras import tree
from keras.src.models.functional import Functional, functional_like_constructor

__all__ = [
    "Functional",
    "call_behind",
    "calls_in",
    "carry_mask",
    "core_of",
    "function_within",
    "functional_like_constructor",
    "given_to",
    "graph_of",
    "input_layer_of",
    "inputs_structure",
    "is_layer",
    "is_symbolic",
    "levels_of",
    "mask_beside",
    "outputs_structure",
]


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


def core_of(model: Any) -> Any:
    """Return the Keras function that a `Sequential` keeps its graph in; any other model itself."""
    return getattr(model, "_functional", None) or model


def levels_of(function: Any) -> dict[int, list[Any]]:
    """Return the calls of a Keras function by their distance from its outputs; none for what has no graph."""
    return getattr(function, "_nodes_by_depth", None) or {}


def calls_in(function: Any) -> Iterator[Any]:
    """Yield the calls of a Keras function in the order in which it runs them."""
    by_depth = function._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from (call for call in by_depth[depth] if call.operation and not call.is_input)


def is_symbolic(tensor: Any) -> bool:
    """Tell whether a tensor is the symbolic result of a call."""
    return hasattr(tensor, "_keras_history")


def call_behind(tensor: Any) -> tuple[Any, Any]:
    """Return the operation that a symbolic tensor comes from, and its call."""
    history = tensor._keras_history
    return history.operation, history.operation._inbound_nodes[history.node_index]


def mask_beside(tensor: Any) -> Any:
    """Return the mask that Keras hands on with a tensor; ``None`` where there is none."""
    return getattr(tensor, "_keras_mask", None)


def carry_mask(tensor: Any, mask: Any) -> None:
    """Hand a mask on with a tensor."""
    tensor._keras_mask = mask


def carries_logits(tensor: Any) -> bool:
    """Tell whether Keras hands the logits on with the probabilities that it made of them."""
    return hasattr(tensor, "_keras_logits")


def carry_logits(tensor: Any, logits: Any) -> None:
    """Hand logits on with probabilities."""
    tensor._keras_logits = logits


def outputs_structure(model: Any) -> Any:
    """Return the symbolic outputs of a `Sequential` or functional model in their structure, else ``None``."""
    return getattr(core_of(model), "_outputs_struct", None)


def inputs_structure(model: Any) -> Any:
    """Return the symbolic inputs of a `Sequential` or functional model in their structure, else ``None``."""
    return getattr(function_within(model) or model, "_inputs_struct", None)


def input_layer_of(model: Any) -> Any:
    """Return the InputLayer that a `Sequential` begins with; ``None`` where there is none."""
    first = next(iter(getattr(model, "_layers", ())), None)
    return first if isinstance(first, keras.layers.InputLayer) else None


def given_to(inner: Any, call: Any) -> list[Any]:
    """Return the tensors that a nested model is called on, in the order of its inputs."""
    given = call.arguments.args[0] if call.arguments.args else call.arguments.kwargs["inputs"]
    if isinstance(given, dict) and not isinstance(inner._inputs_struct, dict):
        return [given[tensor.name] for tensor in inner.inputs]
    return list(tree.flatten(given))


def is_layer(operation: Any) -> bool:
    """Tell layers from plain operations."""
    return isinstance(operation, keras.layers.Layer)
