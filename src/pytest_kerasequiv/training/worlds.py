"""The surroundings of one seeded training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_kerasequiv.models.seeds import seeded


@contextmanager
def training_world(seed: int) -> Iterator[None]:
    """Run a training under a seed and leave the caller's world as it was.

    On a CPU, Keras training repeats bit by bit as it is, so the op-determinism flag stays as the caller has
    it and
    the results are those of the caller's own loop. Kernels of a GPU repeat only under op determinism.
    """
    import tensorflow as tf

    with seeded(seed):
        if tf.config.list_logical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
        yield
