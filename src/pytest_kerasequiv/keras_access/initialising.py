"""Noting how Keras gives each variable its first value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.initializers.random_initializers import RandomInitializer


@dataclass(frozen=True, eq=False)
class Initialised:
    """A variable that was made.

    Attributes:
        variable: the variable; held, so that no other gets its identity.
        initializer: what made its value: an object or a function; ``None`` where the value was given.
        tensor: the value, ``None`` where there was none to read.
    """

    variable: Any
    initializer: Any
    tensor: Any


@contextmanager
def initialisations() -> Iterator[dict[int, Initialised]]:
    """Note each variable that is made meanwhile, by its identity.

    The values are held without a copy: an assignment gives a variable another buffer.
    """
    kind: Any = keras.Variable
    by_value, by_initializer = kind._initialize, kind._initialize_with_initializer
    found: dict[int, Initialised] = {}

    def given(variable: Any, value: Any) -> None:
        by_value(variable, value)
        found[id(variable)] = Initialised(variable, None, _value_of(variable))

    def initialised(variable: Any, initializer: Any) -> None:
        by_initializer(variable, initializer)
        made = found.get(id(variable))  # most come by `given`, and reading a value costs
        tensor = _value_of(variable) if made is None else made.tensor
        found[id(variable)] = Initialised(variable, initializer, tensor)

    kind._initialize, kind._initialize_with_initializer = given, initialised
    try:
        yield found
    finally:
        kind._initialize, kind._initialize_with_initializer = by_value, by_initializer


@contextmanager
def nothing_drawn() -> Iterator[None]:
    """Make variables meanwhile whose random initialisers are not run: all zeros, to be assigned later."""
    kind: Any = keras.Variable
    by_initializer = kind._initialize_with_initializer

    def initialised(variable: Any, initializer: Any) -> None:
        random = isinstance(initializer, RandomInitializer)
        by_initializer(variable, keras.initializers.Zeros() if random else initializer)

    kind._initialize_with_initializer = initialised
    try:
        yield
    finally:
        kind._initialize_with_initializer = by_initializer


def _value_of(variable: Any) -> Any:
    tensor = tensor_of(variable._value)
    return tensor if hasattr(tensor, "numpy") else None


def tensor_of(value: Any) -> Any:
    """Return a variable's value as a tensor of TensorFlow: its own buffer, on other backends a copy."""
    if keras.config.backend() != "tensorflow":
        value = np.array(keras.ops.convert_to_numpy(value))
    return tf.convert_to_tensor(value)


def draws(initializer: Any) -> bool:
    """Whether an initialiser of Keras's own draws random numbers, from a seed."""
    return hasattr(initializer, "seed")


def explicit_seed(initializer: Any) -> Any:
    """Return the seed that an initialiser was given; ``None`` where it follows the global one."""
    return getattr(initializer, "_init_seed", None)


@contextmanager
def initializers_noted() -> Iterator[dict[int, Any]]:
    """Note each variable's initialiser while models are built."""
    kind: Any = keras.Variable
    original = kind._initialize_with_initializer
    found: dict[int, Any] = {}

    def noted(variable: Any, initializer: Any) -> None:
        found[id(variable)] = initializer
        original(variable, initializer)

    kind._initialize_with_initializer = noted
    try:
        yield found
    finally:
        kind._initialize_with_initializer = original
