"""Running traced functions as they were traced, without TensorFlow's graph optimiser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

_SWITCH = "disable_meta_optimizer"


@contextmanager
def graphs_as_written() -> Iterator[None]:
    """Run a block in which no graph is optimised; the setting is as before afterwards."""
    before = tf.config.optimizer.get_experimental_options().get(_SWITCH, False)
    tf.config.optimizer.set_experimental_options({_SWITCH: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_SWITCH: before})
