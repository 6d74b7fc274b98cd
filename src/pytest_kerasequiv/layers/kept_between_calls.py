"""What plain code may leave otherwise from call to call in functions, classes and objects that it reads."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from pytest_kerasequiv.keras_access.origin import is_library, replaced, root_of
from pytest_kerasequiv.layers.own_code import Reader, carried
from pytest_kerasequiv.layers.plain_values import SHOWN_VALUES, array_label

HOLDERS = frozenset(
    {"builtins", "collections", "functools", "itertools", "numpy", "random", "threading", "_thread"}
)
"""Whose objects of the libraries' hold what code of the user's counts and draws."""


def kept_between_calls(thing: Any) -> dict[str, Any]:
    """Return what a call may leave otherwise of what a function, class or object holds: as `described`.

    Of arrays of more than a few elements only the shapes are told, nothing of tensors, variables and layers.
    """
    return _Kept().read(thing)


class _Kept(Reader):
    """Describes what plain code may change; what is large, or Keras's to keep, it passes over."""

    def _read(self, thing: Any) -> dict[str, Any]:
        if isinstance(thing, keras.Layer) or not _may_hold(thing):
            return {}
        if isinstance(thing, types.GeneratorType):
            frame = thing.gi_frame
            return {} if frame is None else self._named([("", frame.f_lasti), *frame.f_locals.items()])
        return super()._read(thing)

    def _array(self, thing: Any) -> Any:
        if not isinstance(thing, np.ndarray | np.generic):
            return "a tensor"
        return array_label(thing) if thing.size <= SHOWN_VALUES else list(thing.shape)

    def _object(self, thing: Any) -> dict[str, Any]:
        hidden = is_library(type(thing)) and any(
            "__reduce__" in vars(base) for base in type(thing).__mro__[:-1]
        )
        return super()._object(thing) | (self._named(carried(thing)) if hidden else {})


def _may_hold(thing: Any) -> bool:
    """Tell whether a call of the user's may keep something in an object: in no logger of Python's, say."""
    kind = type(thing)
    if isinstance(thing, type) or not is_library(kind) or root_of(kind) in HOLDERS:
        return True
    collection = isinstance(thing, Mapping | list | tuple | set)  # Keras wraps those of layers
    return collection or hasattr(thing, "python_function") or bool(replaced(thing))
