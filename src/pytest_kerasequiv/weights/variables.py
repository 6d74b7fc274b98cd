"""The variables of a model, in one order: reading and writing their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.keras_access.emptying import empty, refilled
from pytest_kerasequiv.keras_access.initialising import tensor_of
from pytest_kerasequiv.keras_access.layers import layers_within

SEED_ROLE = "seed_generator_state"
"""How the name of the state of a seed generator begins."""


def is_seed(variable: Any) -> bool:
    """Tell whether a variable is the state of a seed generator."""
    return str(variable.name).startswith(SEED_ROLE)


def variables_of(model: keras.Model) -> list[keras.Variable]:
    """Return all state of a model's layers: weights and seed-generator states, each variable once.

    The index into this list is how the package names a variable of a built model: Keras paths are not unique.
    """
    seen: dict[int, Any] = {}
    for variable in model.variables:
        seen.setdefault(id(variable), variable)
    return list(seen.values())


def values_of(model: keras.Model) -> list[NDArray[np.generic]]:
    """Return the values of `variables_of`, in its order; they stay whatever is done to the model later."""
    return [peek(variable) for variable in variables_of(model)]


def assign(model: keras.Model, values: Sequence[NDArray[np.generic]]) -> None:
    """Write ``values`` into `variables_of`, in its order.

    A Normalization computes with copies of its variables, which follow.
    """
    changed = {id(v) for v, value in zip(variables_of(model), values, strict=True) if write(v, value)}
    for layer in layers_within(model) if changed else ():
        if isinstance(layer, keras.layers.Normalization) and changed & {id(v) for v in layer.variables}:
            layer.finalize_state()


def write(variable: keras.Variable, value: NDArray[np.generic]) -> bool:
    """Write a value into a variable, unless it holds these very bits: most variables seldom change.

    What `peek` returned goes back without a copy: both then share one buffer until the variable changes.

    Returns:
        Whether the variable changed.
    """
    held = peek(variable)
    if _same_bits(held, value):
        return False
    if not refilled(variable, held, _tensor_of(value)):
        variable.assign(_tensor_of(value))
    return True


def emptied(model: keras.Model, *, but: keras.Model) -> None:
    """Take all numbers out of a model that nobody runs until `assign` gives it values again.

    Args:
        model: the model.
        but: keeps the variables that it has too: a builder may use one layer in every model that it makes.
    """
    kept = {id(variable) for variable in variables_of(but)}
    for variable in variables_of(model):
        if id(variable) not in kept:
            empty(variable)


def share(variable: keras.Variable, value: NDArray[np.generic]) -> None:
    """Let a variable that holds these very bits hold them in the buffer of ``value``, not in its own."""
    tensor = _tensor_of(value)
    if tensor is not value and holds(variable, value):
        variable.assign(tensor)


def _tensor_of(value: NDArray[np.generic]) -> Any:
    """Return the tensor whose buffer an array is, as a whole; else the array."""
    tensor = getattr(value, "tensor", None)
    return value if tensor is None else tensor


def holds(variable: keras.Variable, value: NDArray[np.generic]) -> bool:
    """Whether a variable holds exactly ``value``: dtype, shape and bits, so that -0.0 is not 0.0."""
    return _same_bits(peek(variable), value)


def _same_bits(held: NDArray[np.generic], value: NDArray[np.generic]) -> bool:
    if held.dtype != value.dtype or held.shape != value.shape:
        return False
    return same_buffer(held, value) or np.array_equal(_bits(held), _bits(value))


def same_buffer(held: NDArray[np.generic], value: NDArray[np.generic]) -> bool:
    """Whether two arrays of one shape and dtype lie in the same place, so that no bits need comparing."""
    places = held.__array_interface__["data"], value.__array_interface__["data"]
    return places[0] == places[1] and held.strides == value.strides


def peek(variable: keras.Variable) -> NDArray[np.generic]:
    """Return the value without copying it, where ``.numpy()`` would copy twice.

    The array is read-only and keeps this value: TensorFlow does not write into a buffer that is shared, but
    gives the variable another one. While the array lives, a changed variable costs its size once more.
    """
    return buffer_view(tensor_of(variable.value))


def _bits(array: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.ascontiguousarray(array).reshape(-1).view(f"u{min(array.dtype.itemsize, 8)}")


@contextmanager
def assigned(model: keras.Model, values: Sequence[NDArray[np.generic]]) -> Iterator[None]:
    """Give a model other values for a while; on leaving, all its state is as it was on entry."""
    before = [
        value if holds(variable, value) else peek(variable)
        for variable, value in zip(variables_of(model), values, strict=True)
    ]
    assign(model, values)
    try:
        yield
    finally:
        assign(model, before)


class BufferView(np.ndarray[Any, Any]):
    """An array that is the buffer of a tensor; what is computed from it are plain arrays.

    Attributes:
        tensor: the tensor, which NumPy's array alone would not give back; ``None`` for views and copies.
    """

    tensor: Any = None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Make results of NumPy's functions plain arrays."""
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain


def buffer_view(tensor: Any) -> NDArray[np.generic]:
    """Return the buffer of an eager tensor as a read-only array."""
    array = np.asarray(tensor).view(BufferView)
    array.flags.writeable = False
    array.tensor = tensor
    return array
