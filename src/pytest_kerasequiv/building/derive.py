"""The other-API twin of a linear model: Sequential to functional and back, around the very same layers."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.functional import call_behind, mask_beside

_OWN_CODE = ("call", "train_step", "test_step", "predict_step", "compute_loss", "compile", "fit", "build")

REMEDY = "so it has no twin in the other API; pass candidate= as well"


def derive(model: keras.Model) -> keras.Model:
    """Return the other-API twin of ``model`` around its layers.

    The twin takes over the layers, variables included: derive from a fresh build that nobody else holds.
    Weights and dropout seeds therefore are those of the build, custom layers and closures need no config.

    Args:
        model: a built Sequential, or a functional model that is one chain of layers.

    Raises:
        InputError: the model is neither; the message names the layer with several inputs, outputs or
            consumers.
    """
    _refuse_own_code(model)
    if isinstance(model, keras.Sequential):
        return _functional(model)
    return _sequential(model)


def api_of_twin(model: keras.Model) -> str:
    """Return the name of the API that the twin of ``model`` is written in."""
    return "functional" if isinstance(model, keras.Sequential) else "Sequential"


def _refuse_own_code(model: keras.Model) -> None:
    for cls in type(model).__mro__:
        if cls.__module__.startswith("keras."):
            return
        own = [name for name in _OWN_CODE if name in vars(cls)]
        if own:
            raise InputError(
                f"reference model {model.name!r} is a {type(model).__name__} with its own {own[0]}(), which "
                f"a plain model would lose, {REMEDY}"
            )


def _functional(model: keras.Sequential) -> keras.Model:
    inputs = x = _input_like(model.inputs[0])
    for layer in model.layers:
        x = layer(x)
    return keras.Model(inputs, x)


def _sequential(model: keras.Model) -> keras.Sequential:
    return keras.Sequential([_input_like(model.inputs[0]), *_chain(model)])


def _input_like(tensor: Any) -> Any:
    return keras.Input(
        batch_shape=tensor.shape, dtype=tensor.dtype, sparse=tensor.sparse, ragged=tensor.ragged
    )


def _chain(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of a linear functional model, first to last."""
    if len(model.outputs) != 1:
        raise InputError(f"reference model {model.name!r} has {len(model.outputs)} outputs, {REMEDY}")
    nodes = _nodes_behind(model.outputs[0])
    used = [tensor for node in nodes for tensor in _inputs_of(node)]
    for node in nodes:
        _refuse_branch(node, used)
    layers = [node.operation for node in nodes if not node.is_input]
    _refuse_repeats(layers)
    if len(model.inputs) != 1:
        raise InputError(f"reference model {model.name!r} has {len(model.inputs)} inputs, {REMEDY}")
    if not layers:
        raise InputError(f"reference model {model.name!r} has no layers, {REMEDY}")
    return layers


def _nodes_behind(tensor: Any) -> list[Any]:
    """Return the calls that a tensor was computed by, first to last, without those that only make masks."""
    nodes: list[Any] = []
    waiting = [tensor]
    while waiting:
        _, node = call_behind(waiting.pop())
        if not any(node is other for other in nodes):
            nodes.append(node)
            waiting.extend(_inputs_of(node))
    return nodes[::-1]


def _inputs_of(node: Any) -> list[Any]:
    """Return the tensors that a layer was called with, without the masks that Keras handed on by itself."""
    masks = [mask for tensor in node.input_tensors if (mask := mask_beside(tensor)) is not None]
    return [tensor for tensor in node.input_tensors if not any(_same_mask(tensor, mask) for mask in masks)]


def _same_mask(tensor: Any, mask: Any) -> bool:
    """Tell whether a tensor is that mask: in a copy of a model it is, but computed a second time."""
    if tensor is mask:
        return True
    (operation, call), (other, its_call) = map(call_behind, (tensor, mask))
    if type(operation) is not type(other) or isinstance(operation, keras.Layer):
        return False
    if _settings(operation) != _settings(other):
        return False
    ours, theirs = (
        keras.tree.flatten((node.arguments.args, node.arguments.kwargs)) for node in (call, its_call)
    )
    return len(ours) == len(theirs) and all(
        _same_mask(a, b) if isinstance(a, keras.KerasTensor) and isinstance(b, keras.KerasTensor) else a == b
        for a, b in zip(ours, theirs, strict=True)
    )


def _settings(operation: Any) -> dict[str, Any]:
    return {name: value for name, value in operation.get_config().items() if name != "name"}


def _refuse_branch(node: Any, used: list[Any]) -> None:
    operation = node.operation
    name = f"layer {operation.name!r} ({type(operation).__name__})"
    inputs = _inputs_of(node)
    consumers = sum(tensor is output for tensor in used for output in node.output_tensors)
    if not isinstance(operation, keras.Layer):
        raise InputError(f"operation {operation.name!r} ({type(operation).__name__}) is no layer, {REMEDY}")
    if not node.is_input and len(inputs) != 1:
        raise InputError(f"{name} has {len(inputs)} inputs, {REMEDY}")
    if len(node.output_tensors) != 1:
        raise InputError(f"{name} has {len(node.output_tensors)} outputs, {REMEDY}")
    if consumers > 1:
        raise InputError(f"{name} has {consumers} consumers, {REMEDY}")
    extra = _extra_arguments(node)
    if extra and not node.is_input:
        raise InputError(f"{name} is called with {extra}, which a Sequential cannot say, {REMEDY}")


def _extra_arguments(node: Any) -> str:
    """Return the arguments after the input tensor; Keras itself adds masks, ``training`` and defaults."""
    own = {id(tensor) for tensor in node.input_tensors} - {id(tensor) for tensor in _inputs_of(node)}
    args = [value for value in node.arguments.args[1:] if value is not None and id(value) not in own]
    defaults = {name: one.default for name, one in inspect.signature(node.operation.call).parameters.items()}
    kwargs = {
        k: v
        for k, v in node.arguments.kwargs.items()
        if v is not None and v is not False and v is not defaults.get(k) and id(v) not in own
    }
    return ", ".join(
        [*(repr(value) for value in args), *(f"{name}={value!r}" for name, value in kwargs.items())]
    )


def _refuse_repeats(layers: list[keras.Layer]) -> None:
    seen: set[int] = set()
    for layer in layers:
        if id(layer) in seen:
            raise InputError(
                f"layer {layer.name!r} ({type(layer).__name__}) is called more than once, {REMEDY}"
            )
        seen.add(id(layer))
