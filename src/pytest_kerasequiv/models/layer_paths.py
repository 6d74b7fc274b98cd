"""Which layer holds each variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kerasequiv.models.variables import variables_of

if TYPE_CHECKING:
    import keras


def owners_of(model: keras.Model) -> dict[int, tuple[str, str]]:
    """Map the index of each weight to the Keras path and the compute dtype of the layer that holds it."""
    index_of = {id(variable): index for index, variable in enumerate(variables_of(model))}
    found: dict[int, tuple[str, str]] = {}
    waiting = [(model, model.name)]
    while waiting:
        layer, path = waiting.pop()
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            if id(variable) in index_of:
                found.setdefault(index_of[id(variable)], (path, str(layer.compute_dtype)))
        below = layer._flatten_layers(include_self=False, recursive=False)
        waiting.extend((child, f"{path}/{child.name}") for child in below)
    return found
