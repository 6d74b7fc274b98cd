"""Which attributes of a layer may steer what it does, and which of them how it is built."""

from __future__ import annotations

import dis
import functools
import inspect
import types
from typing import Any

import keras
from keras.src.models.functional import Functional

from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.layers.graph_reading import _plain_layer_attributes


def steering_attributes(layer: Any) -> dict[str, Any]:
    """Return what may steer a layer: its public attributes, and private ones that no Keras class sets."""
    skipped = _plain_layer_attributes() | (_model_names() if isinstance(layer, keras.Model) else frozenset())
    known = _stored_by_keras(type(layer))
    own = not is_keras(type(layer))
    return {
        name: value
        for name, value in vars(layer).items()
        if name not in skipped
        and not name.startswith(("_self_", "_kerasequiv", "_obj_reference_counts"))
        and (not name.startswith("_") or (own and name not in known))
        and not callable(getattr(type(layer), name, None))
    }


def is_own_name(layer: Any, name: str) -> bool:
    """Whether an attribute is the user's: the objects in Keras's own ones come from the config."""
    return not is_keras(type(layer)) and name not in _stored_by_keras(type(layer))


def steers_building(layer: Any, name: str) -> bool:
    """Whether an attribute comes from ``__init__`` or was set later; others may tell how far a build is."""
    if is_own_name(layer, name):
        return name not in _stored_later(type(layer))
    return any(_is_library(base) and name in _parameters(base) for base in type(layer).__mro__)


def _parameters(cls: Any) -> frozenset[str]:
    return frozenset(inspect.signature(cls.__init__).parameters)


@functools.cache
def _model_names() -> frozenset[str]:
    """Return what models and their trainers keep on themselves."""
    return _stored_by_keras(keras.Sequential) | _stored_by_keras(Functional) | {"optimizer", "history"}


def _stored_by_keras(cls: Any) -> frozenset[str]:
    """Return the attributes that the code of Keras's and TensorFlow's classes among the bases sets."""
    return frozenset().union(*(_stored_by_library(base) for base in cls.__mro__ if _is_library(base)))


@functools.cache
def _stored_by_library(cls: Any) -> frozenset[str]:
    return frozenset().union(*map(_stored, _functions(cls)))


def _stored_later(cls: Any) -> frozenset[str]:
    """Return what the user's classes among the bases set in other methods than ``__init__``."""
    own = [base for base in cls.__mro__ if not _is_library(base)]
    later = [each for base in own for each in _functions(base) if each.__name__ != "__init__"]
    return frozenset().union(*map(_stored, later))


def _is_library(cls: Any) -> bool:
    return str(cls.__module__).split(".")[0] in {"keras", "tensorflow"}


def _functions(cls: type) -> list[types.FunctionType]:
    found = []
    for member in vars(cls).values():
        for each in (member, *(getattr(member, part, None) for part in ("fget", "fset", "__func__"))):
            function = getattr(each, "__wrapped__", each)
            if isinstance(function, types.FunctionType):
                found.append(function)
    return found


def _stored(function: types.FunctionType) -> set[str]:
    return _stored_in(function.__code__)


def _stored_in(code: types.CodeType) -> set[str]:
    names = {str(step.argval) for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"}
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return names.union(*map(_stored_in, inner))
