"""What a model applies last to each output: losses of probabilities undo it and compute from the logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from pytest_kerasequiv.keras_access.functional import call_behind, core_of, is_symbolic

Activation = Callable[[Any], Any]


def last_activations(model: Any, count: int) -> list[Activation]:
    """Return, for each output of a model, the softmax or sigmoid that makes it, else what changes nothing.

    Args:
        model: a built model.
        count: how many outputs it has.
    """
    outputs = getattr(core_of(model), "outputs", None)
    made = [
        call_behind(output)[0] if is_symbolic(output) else None
        for output in keras.tree.flatten(outputs or [])
    ]
    return [_activation(operation) for operation in made] if len(made) == count else [_unchanged] * count


def activated(activations: list[Activation], outputs: Any) -> Any:
    """Return outputs with its activation applied to each; their structure stays."""
    flat = [last(one) for last, one in zip(activations, keras.tree.flatten(outputs), strict=True)]
    return keras.tree.pack_sequence_as(outputs, flat)


def _activation(operation: Any) -> Activation:
    found: Activation = getattr(operation, "activation", None) or _unchanged
    return found if found in (keras.activations.softmax, keras.activations.sigmoid) else _unchanged


def _unchanged(value: Any) -> Any:
    return value
