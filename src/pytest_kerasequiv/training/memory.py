"""How many replicas of a model one program may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

BUDGET = 2 * 1024**3
"""Bytes set aside for all replicas together."""
_COPIES_OF_WEIGHTS = 6
_COPIES_OF_OUTPUTS = 6
_BYTES = 4


def most_replicas(model: keras.Model, batch_size: int, budget: int | None = None) -> int:
    """Estimate how many replicas fit into ``budget`` bytes, with slots, gradients and outputs."""
    weights = sum(_size(variable.shape) for variable in model.variables)
    kept = batch_size * sum(_outputs(layer) for layer in model._flatten_layers(include_self=False))
    replica = _BYTES * (_COPIES_OF_WEIGHTS * weights + _COPIES_OF_OUTPUTS * kept)
    return int((BUDGET if budget is None else budget) // max(replica, 1))


def _outputs(layer: Any) -> int:
    """Elements that one sample leaves at a layer for the backward pass, all steps of a recurrent one."""
    import keras

    try:
        shapes = [tensor.shape[1:] for tensor in keras.tree.flatten(layer.output)]
    except (AttributeError, ValueError):  # a layer that is called by no functional model
        return 0
    elements = sum(_size(shape) for shape in shapes)
    if isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
        steps = keras.tree.flatten(layer.input)[0].shape[1] or 1  # the mask is an input too
        return 8 * steps * (elements if len(shapes[0]) == 1 else elements // steps)
    return elements


def _size(shape: Any) -> int:
    size = 1
    for axis in shape:
        size *= axis or 1
    return size
