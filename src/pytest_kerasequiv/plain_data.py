"""Dataclasses of arrays, numbers and texts as JSON-able data beside arrays, and back."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Literal, TypeVar, Union

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.generic]]


def to_data(value: Any) -> tuple[Any, Arrays]:
    """Return JSON-able data for a value, and the arrays it refers to by name, as ``numpy.savez`` takes them.

    Args:
        value: dataclasses of this package, mappings, tuples, lists, arrays, numbers, texts and ``None``, at
            any depth.

    Raises:
        TypeError: it holds anything else, such as a live model.
    """
    arrays: Arrays = {}
    return _encoded(value, arrays), arrays


def from_data(
    data: Any, arrays: Mapping[str, NDArray[np.generic]], expected: Any, also: Collection[type] = ()
) -> Any:
    """Return the value that `to_data` returned as data and arrays.

    The data may be anybody's: nothing is imported, and only what the annotations name is made: dataclasses
    and members of enumerations.

    Args:
        data: JSON-able data.
        arrays: what it refers to.
        expected: annotation of the value, such as a dataclass: what the value must be, fields included.
        also: classes that may stand where the annotations say ``Any``, or for a base class.

    Raises:
        ValueError: the data are no such value.
    """
    try:
        classes = set().union(*map(classes_within, (expected, *also)))
        value = _Reading(arrays, {cls.__qualname__: cls for cls in classes}).value(data)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"the data are of another form: {type(error).__name__}: {error}") from None
    if not conforms(value, expected):
        raise ValueError(f"the data are no {getattr(expected, '__name__', expected)}")
    return value


def _encoded(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, Enum):
        return {"enum": [type(value).__qualname__, value.value]}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, list):
        return [_encoded(item, arrays) for item in value]
    if isinstance(value, tuple | set | frozenset):
        items = value if isinstance(value, tuple) else sorted(value, key=repr)
        return {type(value).__name__: [_encoded(item, arrays) for item in items]}
    if isinstance(value, Mapping):
        return {"dict": [[_encoded(key, arrays), _encoded(item, arrays)] for key, item in value.items()]}
    if is_dataclass(value) and type(value).__module__.startswith(f"{__package__}."):
        found = {field.name: _encoded(getattr(value, field.name), arrays) for field in fields(value)}
        return {"dataclass": [type(value).__qualname__, found]}
    if isinstance(value, np.ndarray | np.generic):
        return _encoded_array(np.asarray(value), arrays)
    raise TypeError(f"a {type(value).__name__} is no plain data")


def _encoded_array(array: NDArray[Any], arrays: Arrays) -> Any:
    if array.dtype.kind in "OSU":
        flat = [item.decode() if isinstance(item, bytes) else str(item) for item in array.ravel()]
        return {"texts": [flat, list(array.shape)]}
    name = f"a{len(arrays)}"
    narrow = array.dtype.kind == "V"  # bfloat16, which NumPy's files do not know
    arrays[name] = array.astype(np.float32) if narrow else array
    return {"array": [name, array.dtype.name]}


class _Reading:
    """Reads data with the given arrays and classes."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], classes: Mapping[str, type]) -> None:
        self._arrays = arrays
        self._classes = classes
        self._readers: dict[str, Callable[[Any], Any]] = {
            "float": float,
            "tuple": lambda content: tuple(map(self.value, content)),
            "set": lambda content: set(map(self.value, content)),
            "frozenset": lambda content: frozenset(map(self.value, content)),
            "dict": lambda content: {self.value(key): self.value(item) for key, item in content},
            "dataclass": self._dataclass,
            "enum": self._member,
            "array": self._array,
            "texts": self._texts,
        }

    def value(self, data: Any) -> Any:
        if isinstance(data, list):
            return [self.value(item) for item in data]
        if not isinstance(data, dict):
            return data
        ((kind, content),) = data.items()
        return self._readers[kind](content)

    def _dataclass(self, content: Any) -> Any:
        name, found = content
        if not is_dataclass(self._classes[name]):
            raise ValueError(f"{name} is no dataclass")
        return self._classes[name](**{key: self.value(item) for key, item in found.items()})

    def _member(self, content: Any) -> Any:
        name, value = content
        if not issubclass(self._classes[name], Enum):
            raise ValueError(f"{name} is no enumeration")  # noqa: TRY004 - of data, not of an argument
        return self._classes[name](value)

    def _array(self, content: Any) -> NDArray[Any]:
        name, dtype = content
        array = self._arrays[name]
        if array.dtype.name == dtype:
            return array
        if (dtype, array.dtype.name) != ("bfloat16", "float32"):
            raise ValueError(f"array {name!r} is {array.dtype.name}, not {dtype!r}")
        return array.astype(dtype)

    def _texts(self, content: Any) -> NDArray[Any]:
        flat, shape = content
        if not all(isinstance(text, str) for text in flat):
            raise ValueError("texts are no texts")
        return np.array(flat, dtype=object).reshape(shape)


def classes_within(annotation: Any) -> set[type]:
    """Return the dataclasses and enumerations that a value of an annotation may hold, at any depth."""
    found: set[type] = set()
    waiting = [annotation]
    while waiting:
        one = unfolded(waiting.pop())
        if isinstance(one, type) and is_dataclass(one) and one not in found:
            found.add(one)
            waiting += [hint for _, hint in _hints(one)]
        if isinstance(one, type) and issubclass(one, Enum):
            found.add(one)
        origin = typing.get_origin(one)
        waiting += [] if origin is None else [origin, *typing.get_args(one)]
    return found


def unfolded(annotation: Any) -> Any:
    """Return what an annotation stands for where it is an alias, as ``NDArray`` is from NumPy 2.5 on."""
    alias = typing.get_origin(annotation) or annotation
    while hasattr(alias, "__type_params__") and hasattr(alias, "__value__"):
        arguments = typing.get_args(annotation)
        annotation = alias.__value__[arguments] if arguments else alias.__value__
        alias = typing.get_origin(annotation) or annotation
    return annotation


def conforms(value: Any, annotation: Any) -> bool:
    """Tell whether a value is what an annotation says, the fields of dataclasses included."""
    annotation = unfolded(annotation)
    if annotation is Any or isinstance(annotation, TypeVar):
        return True
    if annotation is None:
        return value is None
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is None:
        return _is_one(value, annotation)
    if origin is Literal:
        return value in arguments
    if origin in {Union, types.UnionType}:
        return any(conforms(value, one) for one in arguments)
    if issubclass(origin, tuple):
        return isinstance(value, tuple) and _in_turn(value, arguments)
    if issubclass(origin, Mapping):
        return isinstance(value, dict) and all(
            conforms(key, arguments[0]) and conforms(item, arguments[1]) for key, item in value.items()
        )
    if origin in {list, typing.get_origin(typing.Sequence[int])}:
        return isinstance(value, list | tuple) and all(conforms(item, arguments[0]) for item in value)
    if is_dataclass(origin):
        return _is_one(value, origin)
    return isinstance(value, origin) and (
        not issubclass(origin, set | frozenset) or all(conforms(item, arguments[0]) for item in value)
    )


def _in_turn(value: tuple[Any, ...], arguments: tuple[Any, ...]) -> bool:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return all(conforms(item, arguments[0]) for item in value)
    return len(value) == len(arguments) and all(map(conforms, value, arguments))


def _is_one(value: Any, cls: Any) -> bool:
    if is_dataclass(cls):
        return isinstance(value, cls) and all(  # type: ignore[arg-type]
            conforms(getattr(value, name), hint) for name, hint in _hints(type(value))
        )
    if cls is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    return isinstance(value, cls) and (cls is not int or not isinstance(value, bool))


def _hints(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a dataclass and their annotations, those of generic bases as it fills them."""
    bound = _bound(cls, {})
    hints = typing.get_type_hints(cls)
    for field in fields(cls):
        hint = hints[field.name]
        open_ = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
        filled = hint[tuple(bound.get(one, Any) for one in open_)] if open_ else hint
        yield field.name, bound.get(filled, filled)


def _bound(cls: type, given: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return what the type variables of a class's generic bases stand for."""
    found: dict[Any, Any] = {}
    for base in getattr(cls, "__orig_bases__", ()):
        origin = typing.get_origin(base)
        if isinstance(origin, type) and is_dataclass(origin):
            names = origin.__parameters__  # type: ignore[attr-defined]
            filled = {
                name: given.get(one, one) for name, one in zip(names, typing.get_args(base), strict=True)
            }
            found |= filled | _bound(origin, filled)
    return found
