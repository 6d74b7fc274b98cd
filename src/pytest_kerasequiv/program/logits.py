"""What a model applies last to each output: losses of probabilities undo it and compute from the logits."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.keras_access.functional import carries_logits, carry_logits

SIGMOID = "Sigmoid"
LASTS = ("Softmax", SIGMOID)
"""The operations that Keras's losses undo."""

_SEEN: weakref.WeakKeyDictionary[keras.Model, tuple[str, ...]] = weakref.WeakKeyDictionary()


def last_operation(output: Any) -> str:
    """Return which of `LASTS` makes an output of a traced model; nothing where none does."""
    operation = str(output.op.type)
    if carries_logits(output):
        return SIGMOID if operation == SIGMOID else LASTS[0]
    return operation if operation in LASTS else ""


def keep_lasts(model: keras.Model, lasts: tuple[str, ...]) -> None:
    """Keep what makes each output of a model, as its trace showed it."""
    _SEEN[model] = lasts


def kept_lasts(model: keras.Model) -> tuple[str, ...] | None:
    """Return what makes each output of a model; ``None`` where it was not traced."""
    return _SEEN.get(model)


def with_logits(lasts: Sequence[str], outputs: Any) -> Any:
    """Return outputs that carry their logits where those of the model do; values and structure stay.

    Args:
        lasts: for each output which of `LASTS` makes it, or nothing.
        outputs: a structure of probabilities where that is one of `LASTS`.
    """
    flat = [logits_of(last, one) for last, one in zip(lasts, keras.tree.flatten(outputs), strict=True)]
    return keras.tree.pack_sequence_as(outputs, flat)


def logits_of(last: str, output: Any) -> Any:
    """Return one output that carries its logits, as Keras's own activations mark it."""
    if not last:
        return output
    marked = tf.identity(output)  # what is given stays as it is
    logits = _log(output)
    carry_logits(marked, logits - _log(1 - output) if last == SIGMOID else logits)
    return marked


def _log(value: Any) -> Any:
    return tf.math.log(tf.maximum(value, tf.cast(1e-37, value.dtype)))
