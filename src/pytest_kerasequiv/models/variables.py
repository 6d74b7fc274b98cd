"""The variables of a model, in one order: reading and writing their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray


def variables_of(model: keras.Model) -> list[keras.Variable]:
    """Return all state of a model's layers: weights and seed-generator states, each variable once.

    The index into this list is how the package names a variable of a built model: Keras paths are not unique.
    """
    seen: dict[int, Any] = {}
    for variable in model.variables:
        seen.setdefault(id(variable), variable)
    return list(seen.values())


def values_of(model: keras.Model) -> list[NDArray[np.generic]]:
    """Return copies of the values of `variables_of`, in its order."""
    # Not np.array(variable): NumPy 2 warns about the way in which Keras 3.15 implements it.
    return [variable.numpy().copy() for variable in variables_of(model)]


def assign(model: keras.Model, values: Sequence[NDArray[np.generic]]) -> None:
    """Write ``values`` into `variables_of`, in its order."""
    for variable, value in zip(variables_of(model), values, strict=True):
        variable.assign(value)


@contextmanager
def assigned(model: keras.Model, values: Sequence[NDArray[np.generic]]) -> Iterator[None]:
    """Give a model other values for a while; on leaving, all its state is as it was on entry."""
    before = values_of(model)
    assign(model, values)
    try:
        yield
    finally:
        assign(model, before)
