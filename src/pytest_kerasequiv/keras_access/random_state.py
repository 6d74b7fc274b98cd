"""Doing random things without a trace: the caller's random state, Keras names and settings come back."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state
from tensorflow.python.eager import context
from tensorflow.python.framework import config
from tensorflow.python.ops import stateful_random_ops

from pytest_kerasequiv.keras_access.kept_kernels import kernels_kept
from pytest_kerasequiv.keras_access.python_random import own_generator
from pytest_kerasequiv.keras_access.supported import is_before
from pytest_kerasequiv.keras_access.switches import Restore, switches, working_folder


@contextmanager
def preserved_state() -> Iterator[None]:
    """Run a block and put back the state that building and training a Keras model changes.

    Covered: the random states of Python, NumPy, TensorFlow (global seed, generator of operation seeds, global
    generator) and Keras (global seed, global seed generator), the counters of automatic Keras names and the
    op-determinism flag; the working folder, the environment and the switches of `keras_access.switches`.

    Not covered: the position within the stream of a legacy TensorFlow operation that was given its own
    ``seed=`` (``tf.random.uniform((), seed=3)``). It lives in TensorFlow's kernel cache, which every
    ``tf.random.set_seed`` empties.
    """
    of_randomness = (_python, _numpy, _tensorflow, _determinism, _keras_random)
    restores = [take() for take in (*of_randomness, _keras_names, switches, working_folder)]
    try:
        yield
    finally:
        for restore in restores:
            restore()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block under ``keras.utils.set_random_seed(seed)`` with fresh names, inside `preserved_state`.

    What other threads draw from Python's ``random`` meanwhile does not change what the block draws.
    """
    with own_generator(), preserved_state(), fresh_names():
        # Version switch: else Keras before 3.13 goes on drawing from it. Goes when the floor is Keras 3.13.
        global_state.set_global_attribute("global_seed_generator", None)
        with kernels_kept(lambda: keras.utils.set_random_seed(int(seed))):
            yield


@contextmanager
def fresh_names() -> Iterator[None]:
    """Let automatic Keras names count from the start (``dense``, ``dense_1`` ...); the counters come back."""
    counters = dict(_global_state().get_global_attribute("object_name_uids") or {})
    _set_name_counters({})
    try:
        yield
    finally:
        _set_name_counters(counters)


def _python() -> Restore:
    state = random.getstate()
    return lambda: random.setstate(state)


def _numpy() -> Restore:
    state = np.random.get_state()  # noqa: NPY002 - the legacy global state is what callers and Keras use
    return lambda: np.random.set_state(state)  # noqa: NPY002


def _tensorflow() -> Restore:
    eager = context.context()
    seed, rng = eager._seed, getattr(eager, "_rng", None)
    rng_state = rng.getstate() if rng is not None else None
    generator = stateful_random_ops.global_generator
    generator_state = generator.state.numpy() if generator is not None else None

    def restore() -> None:
        eager._seed = seed
        if rng is not None:
            rng.setstate(rng_state)
            eager._rng = rng
        if generator is not None:
            generator.state.assign(generator_state)
        stateful_random_ops.global_generator = generator

    return restore


def _determinism() -> Restore:
    enabled = config.is_op_determinism_enabled()

    def restore() -> None:
        if enabled:
            config.enable_op_determinism()
        else:
            config.disable_op_determinism()

    return restore


def _keras_random() -> Restore:
    state = _global_state()
    seed = state.get_global_attribute("global_random_seed")
    generator = state.get_global_attribute("global_seed_generator")
    position = generator.state.numpy() if generator is not None else None

    def restore() -> None:
        state.set_global_attribute("global_random_seed", seed)
        state.set_global_attribute("global_seed_generator", generator)
        if generator is not None:
            generator.state.assign(position)

    return restore


def _keras_names() -> Restore:
    counters = dict(_global_state().get_global_attribute("object_name_uids") or {})
    return lambda: _set_name_counters(counters)


def global_seed() -> int | None:
    """Return what ``keras.utils.set_random_seed`` was last called with; ``None`` where it never was.

    Version switch: Keras 3.9 does not keep it, but sets TensorFlow's too. Goes when the floor is Keras 3.10.
    """
    if is_before(keras, 3, 10):
        of_tensorflow: int | None = context.context()._seed
        return of_tensorflow
    seed: int | None = _global_state().get_global_attribute("global_random_seed")
    return seed


def _set_name_counters(counters: dict[str, int]) -> None:
    _global_state().set_global_attribute("object_name_uids", defaultdict(int, counters))


def _global_state() -> Any:
    return global_state


def eager_generator() -> Any:
    """Return what TensorFlow draws eagerly from; ``None`` before the first draw."""
    return getattr(context.context(), "_rng", None)
