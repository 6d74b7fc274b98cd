"""One thread at a time: what is switched for a while in Keras and TensorFlow holds for the whole process."""

from __future__ import annotations

from threading import RLock

import tensorflow as tf

from pytest_kerasequiv.errors import InputError

EXCLUSIVE = RLock()
"""Held by whoever builds or checks models: floatx, random functions and the like are changed meanwhile."""


def refuse_context() -> None:
    """Refuse to compare where nothing that is built or computed would be real.

    Raises:
        InputError: inside a ``tf.function``, a ``tf.Graph`` or the scope of a strategy.
    """
    if not tf.executing_eagerly():
        raise InputError(
            "compare() was called inside a tf.function or a tf.Graph, where models are traced and not run; "
            "call it outside"
        )
    if tf.distribute.has_strategy():
        raise InputError(
            "compare() was called inside the scope of a tf.distribute strategy, where both twins would be "
            "spread over its devices; call it outside"
        )
