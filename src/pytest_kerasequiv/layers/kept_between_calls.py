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


def kept_between_calls(thing: Any) -> dict[str, Any]:
    """Return what a call may leave otherwise of what a function, class or object holds: as `described`.

    Of arrays of more than a few elements only the shapes are told, nothing of tensors, variables and layers.
    """
    return _Kept().read(thing)


class _Kept(Reader):
    """Describes what plain code may change; what is large, or Keras's to keep, it passes over."""

    def _read(self, thing: Any) -> dict[str, Any]:
        if isinstance(thing, keras.Layer) or _is_kerass(thing):
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


def _is_kerass(thing: Any) -> bool:
    """Tell whether an object is one of Keras's or TensorFlow's, and neither holds a function nor values."""
    collection = isinstance(thing, Mapping | list | tuple | set)  # Keras wraps those of layers
    told = root_of(type(thing)) in {"keras", "tensorflow"} and not hasattr(thing, "python_function")
    return told and not collection and not replaced(thing)
