"""Runs that ended, but not well: a model that predicts one value whatever it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SHOWN = 16
"""How many test inputs a trained model is shown to see whether it still tells them apart."""


def predicts_a_constant(predict: Callable[..., Any], x: Any) -> bool:
    """Tell whether a trained model gives one output for all test inputs, as with a dead relu.

    Args:
        predict: calls the trained model in inference mode on a batch.
        x: test inputs, arrays or nested arrays with one row a sample.
    """
    import keras

    shown = distinct_rows(x)
    if shown is None:
        return False
    try:
        outputs = predict(shown)
        return all(is_constant(keras.ops.convert_to_numpy(output)) for output in keras.tree.flatten(outputs))
    except Exception:  # it only describes; whatever stops it has not stopped the run
        return False


def is_constant(output: Any) -> bool:
    """Tell whether all rows of an array, shape ``(rows, ...)``, are equal to about float32 rounding."""
    import numpy as np

    output = np.asarray(output)
    if len(output) < 2 or not np.isfinite(output).all():
        return False
    scale = max(float(np.abs(output).max()), 1e-30)
    return bool((np.ptp(output, axis=0) <= 1e-6 * scale).all())


def distinct_rows(x: Any) -> Any:
    """Return up to `SHOWN` rows spread over the data, nested as ``x``; ``None`` where they all are equal."""
    import keras
    import numpy as np

    arrays = keras.tree.flatten(x)
    rows = np.unique(np.linspace(0, len(arrays[0]) - 1, SHOWN).astype(int))
    if not any((array[rows] != array[rows[:1]]).any() for array in arrays):
        return None
    return keras.tree.map_structure(lambda array: array[rows], x)
