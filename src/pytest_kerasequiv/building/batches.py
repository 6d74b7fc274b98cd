"""A batch for training that the user gives: what a ``train_step`` of the model's own takes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import keras
import numpy as np

from pytest_kerasequiv.errors import InputError

_HELD = "_kerasequiv_batch"


class Batch:
    """A batch, or a function that returns one, which is called once.

    Args:
        given: what the caller passed as ``batch=``.
    """

    def __init__(self, given: Any) -> None:
        self._given = given

    @cached_property
    def content(self) -> Any:
        """The batch, with NumPy arrays in place of its tensors.

        Raises:
            InputError: it holds no arrays, or arrays of unlike numbers of rows.
        """
        given = self._given() if callable(self._given) else self._given
        leaves = keras.tree.flatten(given)
        arrays = [np.asarray(leaf.numpy() if hasattr(leaf, "numpy") else leaf) for leaf in leaves]
        rows = sorted({array.shape[0] if array.ndim else 0 for array in arrays})
        if len(rows) != 1 or not rows[0]:
            raise InputError(
                f"batch= is {type(given).__name__} of arrays with {rows or 'no'} rows; pass one batch as "
                "train_step takes it, or a function that returns one: arrays in tuples, lists and "
                "dictionaries, all with the same number of rows"
            )
        return keras.tree.pack_sequence_as(given, arrays)


def hold_batch(model: keras.Model, batch: Batch | None) -> None:
    """Let a model know the batch that its own training step is given."""
    if batch is not None:
        setattr(model, _HELD, batch)


def given_batch(model: keras.Model) -> Any:
    """Return the batch that the user gave for a model's training step; ``None`` where there is none.

    Floating-point arrays come in Keras's float type of now, so that a float64 twin computes in it.
    """
    held = getattr(model, _HELD, None)
    return None if held is None else keras.tree.map_structure(_as_floatx, held.content)


def check_batch(batch: Any) -> Batch | None:
    """Read ``Twins(batch=...)``.

    Raises:
        InputError: it is neither a function nor a structure of arrays.
    """
    __tracebackhide__ = True
    if batch is None:
        return None
    if not (callable(batch) or isinstance(batch, Mapping | list | tuple) or hasattr(batch, "shape")):
        raise InputError(
            f"batch={batch!r} is no batch; pass what train_step takes, such as (x, y) or "
            '{"image": x, "target": y}, or a function without arguments that returns it'
        )
    return Batch(batch)


def _as_floatx(array: Any) -> Any:
    return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array
