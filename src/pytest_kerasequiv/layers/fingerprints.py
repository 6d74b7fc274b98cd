"""What the user's own functions and classes do, as a digest: equal digests, equal code."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Iterable, Iterator
from typing import Any

OPAQUE = "opaque:"
"""Begins the digest of code that depends on an object that cannot be compared."""


def is_keras(thing: Any) -> bool:
    """Tell whether a class or function is Keras's own."""
    return str(getattr(thing, "__module__", "")).split(".")[0] == "keras"


def function_label(function: Any) -> dict[str, Any]:
    """Return the name of a function and, for the user's, a digest of its code, defaults and closure."""
    name = str(getattr(function, "__name__", type(function).__name__))
    if is_keras(function):
        return {"class": "function", "of": name}
    return {"class": "function", "of": name, "code": digest(function)}


_LIBRARIES = frozenset({"keras", "tensorflow", "jax", "torch", "builtins", "abc", "typing"})
_NOT_CODE = {
    "__module__",
    "__qualname__",
    "__dict__",
    "__weakref__",
    "__doc__",
    "__firstlineno__",
    "__static_attributes__",
    "__annotations__",
    "__abstractmethods__",
    "_abc_impl",
}


def class_digest(cls: type) -> str:
    """Return a digest of the code of a class and of its bases, down to those of the libraries."""
    parts = [
        f"{'' if not is_opaque(own := digest(member)) else OPAQUE}{name}={own}"
        for base in cls.__mro__
        if base.__module__.split(".")[0] not in _LIBRARIES
        for name, member in sorted(vars(base).items())
        if name not in _NOT_CODE
    ]
    return _hash(parts)


def is_opaque(label: Any) -> bool:
    """Tell whether a digest (or a label that holds one) leaves something out that the code depends on."""
    return OPAQUE in repr(label)


def digest(thing: Any) -> str:
    """Return a digest of a function, a method, a property or a plain value; its place does not count."""
    return _hash(_describe(thing, frozenset()))


def _describe(thing: Any, seen: frozenset[int]) -> Iterator[str]:
    """Yield texts that together decide what ``thing`` does; ``seen`` breaks cycles of functions."""
    if _is_number_or_text(thing):
        yield repr(thing)
    elif id(thing) in seen:
        yield "seen"
    elif isinstance(thing, type):
        yield thing.__name__  # not where it is defined: a class may be moved
    else:
        seen = seen | {id(thing)}
        parts = _parts_of(thing)
        if parts is not None:
            for part in parts:
                yield from _describe(part, seen)
        elif isinstance(thing, types.FunctionType):
            yield from _describe_function(thing, seen)
        elif isinstance(thing, types.CodeType):
            yield from _describe_code(thing, seen)
        else:
            yield _name_of(thing)


def _parts_of(thing: Any) -> Iterable[Any] | None:
    """Return what a container or a wrapper of functions is made of; ``None`` for anything else."""
    if isinstance(thing, staticmethod | classmethod):
        return [thing.__func__]
    if isinstance(thing, property):
        return [thing.fget]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, list | tuple):
        return thing
    if isinstance(thing, dict):
        return [part for key in sorted(thing, key=repr) for part in (repr(key), thing[key])]
    if isinstance(thing, set | frozenset):
        return [repr(sorted(thing, key=repr))]
    return None


def _name_of(thing: Any) -> str:
    """Return the name of a module or compiled function, the content of an array, or a mark."""
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    if callable(thing) and isinstance(getattr(thing, "__qualname__", None), str):
        return f"{getattr(thing, '__module__', '')}.{thing.__qualname__}"
    if hasattr(thing, "tobytes") and hasattr(thing, "dtype"):
        return f"{thing.dtype}{thing.shape}{thing.tobytes().hex()}"
    return OPAQUE + type(thing).__qualname__


def _describe_function(function: types.FunctionType, seen: frozenset[int]) -> Iterator[str]:
    if is_keras(function):
        yield f"{function.__module__}.{function.__qualname__}"
        return
    yield from _describe(function.__code__, seen)
    yield from _describe(function.__defaults__, seen)
    yield repr(function.__kwdefaults__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield from () if name == "__class__" else _describe(_cell_value(cell), seen)
    for name in sorted(_names(function.__code__) & function.__globals__.keys()):
        yield name
        for text in _describe(function.__globals__[name], seen):
            # one object per module: the name stands for it
            yield f"{function.__module__}.{name}" if text.startswith(OPAQUE) else text


def _describe_code(code: types.CodeType, seen: frozenset[int]) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_argcount, code.co_kwonlyargcount))
    for constant in code.co_consts:
        yield from _describe(constant, seen)


def _names(code: types.CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*(_names(constant) for constant in inner))


def _cell_value(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # an empty cell: a name that is not bound yet
        return None


def _is_number_or_text(thing: Any) -> bool:
    return thing is None or thing is Ellipsis or isinstance(thing, str | bytes | int | float | complex)


def _hash(parts: Iterable[str]) -> str:
    """Return a digest of texts, marked where one of them leaves something out."""
    texts = list(parts)
    mark = OPAQUE if any(text.startswith(OPAQUE) for text in texts) else ""
    return mark + hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
