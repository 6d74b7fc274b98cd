"""What the user's own functions and classes do, as a digest: equal digests, equal code."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Iterator
from typing import Any


def is_keras(thing: Any) -> bool:
    """Tell whether a class or function is Keras's own."""
    return str(getattr(thing, "__module__", "")).split(".")[0] == "keras"


def function_label(function: Any) -> dict[str, Any]:
    """Return the name of a function and, for the user's, a digest of its code, defaults and closure."""
    name = str(getattr(function, "__name__", type(function).__name__))
    if is_keras(function):
        return {"class": "function", "of": name}
    return {"class": "function", "of": name, "code": digest(function)}


def class_digest(cls: type) -> str:
    """Return a digest of the code of a class and of its bases that are not Keras's."""
    parts = [
        f"{name}={digest(member)}"
        for base in cls.__mro__
        if base is not object and not is_keras(base)
        for name, member in sorted(vars(base).items())
        if name not in {"__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__firstlineno__"}
    ]
    return _hash(parts)


def digest(thing: Any) -> str:
    """Return a digest of a function, a method, a property or a plain value; its place does not count."""
    return _hash(_describe(thing, frozenset()))


def _describe(thing: Any, seen: frozenset[int]) -> Iterator[str]:
    """Yield texts that together decide what ``thing`` does; ``seen`` breaks cycles of functions."""
    if id(thing) in seen:
        yield "seen"
        return
    seen = seen | {id(thing)}
    if isinstance(thing, staticmethod | classmethod):
        yield from _describe(thing.__func__, seen)
    elif isinstance(thing, property):
        yield from _describe(thing.fget, seen)
    elif isinstance(thing, types.FunctionType):
        yield from _describe_function(thing, seen)
    elif isinstance(thing, types.CodeType):
        yield from _describe_code(thing, seen)
    elif isinstance(thing, list | tuple):
        for item in thing:
            yield from _describe(item, seen)
    elif isinstance(thing, types.ModuleType | type) or callable(thing):
        name = getattr(thing, "__qualname__", getattr(thing, "__name__", ""))
        yield f"{getattr(thing, '__module__', '')}.{name}"
    elif hasattr(thing, "tobytes") and hasattr(thing, "dtype"):
        yield f"{thing.dtype}{thing.shape}{thing.tobytes().hex()}"
    elif isinstance(thing, dict | set | frozenset | str | bytes | int | float | complex | type(None)):
        yield repr(thing) if not isinstance(thing, set | frozenset) else repr(sorted(thing, key=repr))
    else:
        yield type(thing).__qualname__


def _describe_function(function: types.FunctionType, seen: frozenset[int]) -> Iterator[str]:
    if is_keras(function):
        yield f"{function.__module__}.{function.__qualname__}"
        return
    yield from _describe(function.__code__, seen)
    yield from _describe(function.__defaults__, seen)
    yield repr(function.__kwdefaults__)
    for cell in function.__closure__ or ():
        yield from _describe(_cell_value(cell), seen)
    for name in sorted(_names(function.__code__) & function.__globals__.keys()):
        yield name
        yield from _describe(function.__globals__[name], seen)


def _describe_code(code: types.CodeType, seen: frozenset[int]) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_argcount, code.co_kwonlyargcount))
    for constant in code.co_consts:
        yield from _describe(constant, seen - {id(constant)})


def _names(code: types.CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*(_names(constant) for constant in inner))


def _cell_value(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # an empty cell: a name that is not bound yet
        return None


def _hash(parts: Any) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
