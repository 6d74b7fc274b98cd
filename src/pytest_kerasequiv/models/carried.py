"""States that stateful RNNs carry from batch to batch: Keras does not list them among a model's variables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.variables import variables_of

if TYPE_CHECKING:
    import keras


def carried_states(model: keras.Model) -> list[Any]:
    """Return the state variables of a model's stateful RNNs that are not among `variables_of`."""
    import keras

    known = {id(variable) for variable in variables_of(model)}
    found: dict[int, Any] = {}
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.RNN) and layer.stateful and layer.states is not None:
            found |= {id(state): state for state in keras.tree.flatten(layer.states)}
    return [state for key, state in found.items() if key not in known]


@contextmanager
def carried_states_kept(model: keras.Model) -> Iterator[None]:
    """Run a block and put the carried states back."""
    import numpy as np

    states = carried_states(model)
    before = [np.asarray(state).copy() for state in states]
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)


def clear_carried_states(model: keras.Model) -> None:
    """Set the carried states to zero, as ``reset_state`` does."""
    import numpy as np

    for state in carried_states(model):
        state.assign(np.zeros(state.shape))
