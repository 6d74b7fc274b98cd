"""What the user's own code may branch on in Python: ``if x.shape[1] > 100``, ``if mode == "fast"``."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, EnumType
from types import CodeType, FunctionType, MethodType
from typing import Any

import keras

from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.keras_access.origin import is_keras, is_library

LONGEST = 4096
"""The largest number that is taken for a length."""

ASKING = frozenset({"executing_eagerly", "executing_eagerly_outside_functions", "inside_function"})
"""Names by which code asks whether it runs eagerly; ``hasattr(x, "numpy")`` asks the same."""

LONGEST_TEXT = 24
"""The longest text that is taken for the value of a keyword."""

MOST_ITEMS = 32
"""The largest collection that is looked into."""

CONSTANTS = frozenset({"LOAD_CONST", "LOAD_SMALL_INT"})

MAKING = frozenset({"__init__", "build", "get_config", "from_config"})
"""Methods that make a layer; what they name is rarely a value of a keyword."""

OF_KERAS = frozenset({"name", "call_signature_parameters"})
"""Attributes that Keras gives to every layer."""


def own_layers(model: keras.Model) -> list[Any]:
    """Return the layers (the model among them) that run code of the user's: own classes and Lambdas."""
    return [
        layer
        for layer in layers_within(model, itself=True)
        if not is_keras(type(layer)) or isinstance(layer, keras.layers.Lambda)
    ]


def lengths_in_code(model: keras.Model) -> list[int]:
    """Return the whole numbers from 2 on in the code of own layers, its closures, globals and attributes."""
    found = {_whole(value) for layer in own_layers(model) for value in _compared_with(layer)}
    return sorted(number for number in found if 2 <= number <= LONGEST)


def texts_in_code(model: keras.Model) -> list[str]:
    """Return the short texts there, with which a keyword of ``call`` may be compared.

    First come those in code that runs in calls, of these words.
    """
    first = {value: False for layer in own_layers(model) for value in _short(_told_in_calls(layer))}
    every = {value: True for layer in own_layers(model) for value in _short(_compared_with(layer))}
    rank = every | first
    return sorted(rank, key=lambda text: (rank[text], not text.isidentifier(), text))


def _short(values: Iterable[Any]) -> Iterator[str]:
    return (value for value in _opened(values) if isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT)


def names_in_code(model: keras.Model) -> list[str]:
    """Return the names by which code that runs in calls looks up or takes what ``**kwargs`` may hold."""
    ran = [one for layer in own_layers(model) for one in _functions(layer) if one.__name__ not in MAKING]
    named = {name for one in ran for name in _looked_up(one.__code__)}
    if any(_hands_on(one.__code__) for one in ran):
        named |= {name for one in ran for name in _optional(one) if one.__name__ != "call"}
    return sorted(named - {"training"})


def _looked_up(code: CodeType) -> Iterator[str]:
    """Yield the words beside the ``**kwargs`` of a function: ``kwargs.get("mode")``, ``"mode" in kwargs``."""
    for steps, place in _uses_of_kwargs(code):
        for step in steps[max(place - 1, 0) : place + 4]:
            if step.opname in CONSTANTS and isinstance(step.argval, str) and step.argval.isidentifier():
                yield step.argval


def _hands_on(code: CodeType) -> bool:
    """Tell whether a function hands its ``**kwargs`` on, or looks a name up that is not written beside it."""
    uses = [steps[place + 1 : place + 4] for steps, place in _uses_of_kwargs(code)]
    return any(not any(step.opname in CONSTANTS for step in after) for after in uses)


def _uses_of_kwargs(code: CodeType) -> Iterator[tuple[list[dis.Instruction], int]]:
    """Yield the instructions of a function and the place of each that loads its ``**kwargs``."""
    if not code.co_flags & inspect.CO_VARKEYWORDS:
        return
    given = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARARGS)
    name, steps = code.co_varnames[given], list(dis.get_instructions(code))
    for place, step in enumerate(steps):
        loaded = step.argval if isinstance(step.argval, tuple) else (step.argval,)
        if step.opname.startswith("LOAD_") and name in loaded:
            yield steps, place


def _optional(function: FunctionType) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [one.name for one in parameters if one.default is not one.empty]


def compared_in_code(model: keras.Model) -> tuple[list[str], list[Enum], list[float]]:
    """Return texts, choices and numbers that code there compares with something, as ``scale > 100`` does."""
    ran = (one for layer in own_layers(model) for one in _functions(layer) if one.__name__ not in MAKING)
    told = [value for one in ran for value in _opened(_compared(one))]
    texts = {value for value in told if isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT}
    choices = {value for value in told if isinstance(value, Enum)}
    numbers = {value for value in told if type(value) in {int, float} and abs(value) <= LONGEST}
    return sorted(texts), sorted(choices, key=str), sorted(numbers)


def _told_in_calls(layer: Any) -> Iterator[Any]:
    return (value for one in _functions(layer) if one.__name__ not in MAKING for value in _values(one))


def _compared_with(layer: Any) -> Iterator[Any]:
    """Yield what a layer's own code may compare with: constants, and attributes of it and of its classes."""
    own = [vars(base) for base in type(layer).__mro__ if not is_library(base)]
    for members in (vars(layer), *own):
        named = (value for name, value in members.items() if name not in OF_KERAS and name[0] != "_")
        yield from _opened(named)
    for function in _functions(layer):
        yield from _opened(_values(function))


def _opened(values: Iterable[Any], depth: int = 2) -> Iterator[Any]:
    """Yield values, and what collections hold: ``mode in ("fast", "slow")``, keys of mappings, members."""
    for value in values:
        if isinstance(value, EnumType):
            yield from value
        elif not isinstance(value, tuple | list | set | frozenset | Mapping):
            yield value
        elif depth and len(value) <= MOST_ITEMS:
            yield from _opened(list(value), depth - 1)


def asking_how_they_run(model: keras.Model) -> list[Any]:
    """Return the own layers whose code asks whether it runs eagerly: traced, it is told that it does not."""
    return [layer for layer in own_layers(model) if any(_asks(one.__code__) for one in _functions(layer))]


def _asks(code: CodeType) -> bool:
    asks = not ASKING.isdisjoint(code.co_names) or {"hasattr", "numpy"} <= {*code.co_names, *_texts(code)}
    return asks or any(_asks(inner) for inner in code.co_consts if isinstance(inner, CodeType))


def _texts(code: CodeType) -> set[str]:
    return {constant for constant in code.co_consts if isinstance(constant, str)}


def _functions(layer: Any) -> Iterator[FunctionType]:
    """Yield the functions that a layer's calls run: methods of its own classes, or what a Lambda holds."""
    members = [value for base in type(layer).__mro__ if not is_library(base) for value in vars(base).values()]
    for member in [*members, *vars(layer).values()]:
        function = member.__func__ if isinstance(member, MethodType) else member
        if isinstance(function, FunctionType) and not is_library(function):
            yield function


def _values(function: FunctionType) -> Iterator[Any]:
    """Yield the constants of a function and of those within it, what it closes over, and globals it names."""
    codes: list[CodeType] = [function.__code__]
    for code in codes:
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        yield from code.co_consts
        yield from (function.__globals__.get(name) for name in code.co_names)
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a name that is not bound yet
            continue


def _compared(function: FunctionType) -> Iterator[Any]:
    """Yield the constants and globals that comparisons of a function, or of one within it, take."""
    codes: list[CodeType] = [function.__code__]
    for code in codes:
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        steps = list(dis.get_instructions(code))
        for place, step in enumerate(steps):
            if step.opname in {"COMPARE_OP", "CONTAINS_OP", "IS_OP"}:
                for before in steps[max(place - 2, 0) : place]:
                    named = function.__globals__ if before.opname == "LOAD_GLOBAL" else {}
                    yield before.argval if before.opname in CONSTANTS else named.get(before.argval)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
