"""How Keras's own steps call a model."""

from __future__ import annotations

from typing import Any

import keras


def call_as_in_step(model: keras.Model, inputs: Any, *, training: bool, **arguments: Any) -> Any:
    """Call a model as ``fit``, ``evaluate`` and ``predict`` do.

    One whose ``call`` takes no ``training`` gets none. Its layers then run in their own default mode: a
    Dropout drops nothing, not even in ``fit``.
    """
    if model._call_has_training_arg:
        return model(inputs, training=training, **arguments)
    return model(inputs, **arguments)
