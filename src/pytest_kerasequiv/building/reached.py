"""What layers and variables a function holds on to, through its closure, its globals and its objects."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator, Mapping, Set
from typing import Any

import keras

LIBRARIES = frozenset({"keras", "tensorflow", "threading", "_thread", "weakref", "logging", "inspect"})
"""Packages whose objects hold nothing of the user's that is of interest here."""

_PLAIN = (bool, int, float, complex, str, bytes, type, slice, range, types.EllipsisType, types.ModuleType)
_DEEPEST = 12


def reached_from(thing: Any) -> Iterator[Any]:
    """Yield the layers and variables that a function, or an object of the user's, holds on to."""
    yield from _reached(thing, None, {}, 0)


def _reached(thing: Any, names: frozenset[str] | None, seen: dict[Any, Any], depth: int) -> Iterator[Any]:
    """Yield the layers and variables that a function, or an object of the user's, holds on to.

    Args:
        thing: what to look into.
        names: the attributes that the function which holds ``thing`` looks up; ``None`` for all.
        seen: what was looked into.
        depth: how deep this is.
    """
    key = (id(thing), names)
    if key in seen or isinstance(thing, _PLAIN) or thing is None or depth > _DEEPEST:
        return
    seen[key] = thing  # kept, so that no other thing gets its id
    if is_state(thing):
        yield thing
        return
    if isinstance(thing, types.FunctionType):
        names = frozenset(_looked_up(thing.__code__, "LOAD_ATTR", "LOAD_METHOD"))
    for part in _parts_of(thing, names):
        yield from _reached(part, names, seen, depth + 1)


def _parts_of(thing: Any, names: frozenset[str] | None) -> list[Any]:
    if isinstance(thing, Mapping):
        return list(thing.values())
    if isinstance(thing, list | tuple | Set):
        return list(thing)
    if str(getattr(thing, "__module__", "")).split(".")[0] in LIBRARIES:
        return []
    if isinstance(thing, types.FunctionType):
        return _parts_of_function(thing)
    if isinstance(thing, types.MethodType):
        return [thing.__func__, *_read_by_method(thing)]
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if type(thing).__module__.split(".")[0] in LIBRARIES | {"numpy", "builtins"}:
        return []
    return _parts_of_object(thing, names)


def _parts_of_function(function: types.FunctionType) -> list[Any]:
    own = [*cells_of(function), *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    present = function.__globals__
    return own + [present[name] for name in _looked_up(function.__code__, "LOAD_GLOBAL") if name in present]


def _read_by_method(method: types.MethodType) -> list[Any]:
    """Return what a method reads of its own object: all of it where its code is not Python's."""
    code = getattr(method.__func__, "__code__", None)
    looked_up = None if code is None else frozenset(_looked_up(code, "LOAD_ATTR", "LOAD_METHOD"))
    return [method.__self__] if is_state(method.__self__) else _parts_of_object(method.__self__, looked_up)


def _parts_of_object(thing: Any, names: frozenset[str] | None) -> list[Any]:
    """Return the attributes of an object, or of them those looked up, and its methods among these."""
    held = getattr(thing, "__dict__", {})
    if names is None:
        return list(held.values())
    methods = [getattr(type(thing), name, None) for name in names if name not in held]
    bound = [types.MethodType(each, thing) for each in methods if isinstance(each, types.FunctionType)]
    return [*bound, *(value for name, value in held.items() if name in names)]


def cells_of(function: types.FunctionType) -> list[Any]:
    """Return what a function has captured."""
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # an empty cell: a name that is not bound yet
            found.append(None)
    return found


def _looked_up(code: types.CodeType, *operations: str) -> set[str]:
    names = {str(step.argval) for step in dis.get_instructions(code) if step.opname in operations}
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return names.union(*(_looked_up(each, *operations) for each in inner))


def is_state(value: Any) -> bool:
    """Whether ``value`` is one of the Keras objects whose state is copied elsewhere."""
    return isinstance(value, keras.Layer | keras.Variable | keras.random.SeedGenerator | keras.metrics.Metric)
