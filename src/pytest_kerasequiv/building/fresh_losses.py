"""Losses of the user's own that have state: each model needs one of its own, as the given one is now."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from types import BuiltinFunctionType, FunctionType
from typing import Any

import keras

from pytest_kerasequiv.keras_access.compile_state import float_type_of
from pytest_kerasequiv.keras_access.origin import is_keras

_STATELESS = frozenset({"name", "reduction", "_dtype", "_dtype_policy"})
"""Attributes of every loss, which no call changes."""


def fresh_loss(loss: Any, remake: Callable[[Any], Any]) -> Any:
    """Return a copy of a loss with the same state, or the loss itself: it has none, or cannot be copied.

    Keras's own losses have no state, and ``Huber`` would lose ``delta`` in a copy.

    Args:
        loss: a ``keras.losses.Loss``.
        remake: makes an object again from its config.
    """
    if is_keras(type(loss)) or not any(_is_state(loss, name) for name in vars(loss)):
        return loss
    for make in (remake, _from_known_arguments):
        try:
            copy = make(loss)
            if all(_carry(name, value, copy, remake) for name, value in vars(loss).items()):
                return copy
        except Exception:  # it is not made so, or an attribute refuses its value
            continue
    return loss


def widened(loss: Any) -> Any:
    """Return a loss that computes in float64 where that is Keras's float type now; else the loss itself.

    A loss keeps the float type of the time it was made, and casts what it is given.
    """
    wide = keras.config.floatx()
    if wide != "float64" or float_type_of(loss) in {None, wide}:
        return loss
    made = object.__new__(type(loss))
    vars(made).update(vars(loss), _dtype=wide, _dtype_policy=keras.DTypePolicy(wide))
    return made


def _from_known_arguments(loss: Any) -> Any:
    """Make a loss again whose constructor takes not all that its config has: often none at all."""
    known = inspect.signature(type(loss)).parameters
    return type(loss)(**{name: value for name, value in loss.get_config().items() if name in known})


def _is_state(loss: Any, name: str) -> bool:
    value = vars(loss)[name]
    return name not in _STATELESS and (_is_variable(value) or _is_plain(value) or _is_seeds(value))


def _carry(name: str, value: Any, copy: Any, remake: Callable[[Any], Any]) -> bool:
    """Give ``copy`` one attribute of a loss; return whether it now has it alike, and for itself."""
    if _is_variable(value):
        return _assigned(vars(copy).get(name), value)
    if _is_seeds(value):
        return _is_seeds(vars(copy).get(name)) and _assigned(vars(copy)[name].state, value.state)
    if isinstance(value, keras.losses.Loss):
        setattr(copy, name, fresh_loss(value, remake))
    elif _is_plain(value):
        setattr(copy, name, deepcopy(value))
    elif name in _STATELESS or isinstance(value, keras.Layer | type | FunctionType | BuiltinFunctionType):
        setattr(copy, name, value)  # a model in a loss is a constant of it
    else:
        return False
    return True


def _assigned(theirs: Any, ours: Any) -> bool:
    if not _is_variable(theirs) or theirs is ours or tuple(theirs.shape) != tuple(ours.shape):
        return False
    theirs.assign(ours)
    return True


def _is_variable(value: Any) -> bool:
    return hasattr(value, "assign") and hasattr(value, "shape")


def _is_seeds(value: Any) -> bool:
    return isinstance(value, keras.random.SeedGenerator)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple | set):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str) or type(value).__module__ == "numpy"
