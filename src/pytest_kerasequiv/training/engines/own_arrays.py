"""The arrays that the user's own ``fit`` reads: one that it changes is another one in the next run."""

from __future__ import annotations

import functools
import inspect
import zlib
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray


class OwnArrays:
    """The arrays that a function can reach, as they are now."""

    def __init__(self, function: Any) -> None:
        self._arrays = dict(_reached(function, "", depth=3))
        self._sums = {name: _sum_of(array) for name, array in self._arrays.items()}

    def changed(self) -> list[str]:
        """Return the names of those that are other ones now."""
        return [name for name, array in self._arrays.items() if _sum_of(array) != self._sums[name]]


def _sum_of(array: NDArray[Any]) -> int:
    octets: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return zlib.crc32(octets)


def _reached(value: Any, name: str, depth: int) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays that a value leads to, by the name that its author knows."""
    if isinstance(value, np.ndarray):
        if value.size and not value.dtype.hasobject:
            yield name, value
    elif depth:
        for inner, one in _parts(value, name):
            yield from _reached(one, inner, depth - 1)


def _parts(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, FunctionType):
        yield from _read_by(value)
    elif isinstance(value, MethodType):
        yield from ((f"self.{key}", one) for key, one in getattr(value.__self__, "__dict__", {}).items())
        yield name, value.__func__
    elif isinstance(value, functools.partial):
        yield from value.keywords.items()
        yield from ((f"argument {number}", one) for number, one in enumerate(value.args))
        yield name, value.func
    elif isinstance(value, Mapping):
        yield from ((f"{name}[{key!r}]", one) for key, one in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"{name}[{number}]", one) for number, one in enumerate(value))
    elif not name and callable(value):  # an object that is the loop itself
        yield from ((f"self.{key}", one) for key, one in getattr(value, "__dict__", {}).items())
        yield name, type(value).__call__


def _read_by(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function reads from outside: its closure, the globals that it names, its defaults."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for name in dict.fromkeys(_names_in(function.__code__)):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is not parameter.empty:
            yield name, parameter.default


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
