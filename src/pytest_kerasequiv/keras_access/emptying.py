"""Taking the numbers out of TensorFlow's variables, so that a model that is not run takes no memory."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def empty(variable: keras.Variable) -> None:
    """Take a variable's numbers away; it can do nothing until it is `refilled`."""
    if keras.config.backend() == "tensorflow":
        _put(variable, tf.zeros([0], variable.dtype))


def refilled(variable: keras.Variable, held: Any, value: Any) -> bool:
    """Give an empty variable a value, which ``assign`` refuses.

    Args:
        variable: a variable.
        held: what is in it.
        value: the value.

    Returns:
        Whether it was empty.
    """
    if tuple(held.shape) == tuple(variable.shape):
        return False
    _put(variable, tf.cast(value, variable.dtype))
    return True


def _put(variable: keras.Variable, value: Any) -> None:
    tf.raw_ops.AssignVariableOp(resource=variable._value.handle, value=value, validate_shape=False)
