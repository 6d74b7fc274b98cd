"""A candidate that is no Keras model: a function of inputs, such as a session of another runtime."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from pytest_kerasequiv.errors import InputError

DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Function:
    """A candidate that is called with inputs and returns outputs: a runtime's session, a served endpoint.

    A function that needs exactly one argument is taken for one as it is; this says it of any other callable,
    and in which dtype it computes.

    Args:
        call: takes what the reference takes, as NumPy arrays (one, or a list or dict of them), and returns
            what the reference returns: arrays, or a list, tuple or dict of arrays.
        dtype: the coarsest dtype it computes in; by default that of what it returns.
        name: how reports call it.

    Raises:
        InputError: an argument cannot be used.
    """

    call: Callable[[Any], Any]
    dtype: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if not callable(self.call):
            raise InputError(f"call={self.call!r} cannot be called; pass a function f(inputs) -> outputs")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise InputError(f"dtype={self.dtype!r} is unknown; choose from {', '.join(DTYPES)}")

    @property
    def label(self) -> str:
        """How a reader knows it."""
        call = self.call.func if isinstance(self.call, functools.partial) else self.call
        code = getattr(call, "__code__", None)
        place = "" if code is None else f" ({Path(code.co_filename).name}:{code.co_firstlineno})"
        own = str(getattr(call, "__qualname__", type(call).__name__)).rsplit("<locals>.", 1)[-1]
        return self.name or f"{own}{place if own == '<lambda>' else ''}"


def function_of(candidate: Any) -> Function | None:
    """Return the function of inputs that a candidate is; ``None`` for what makes a model, or is one.

    A callable that needs no argument is a builder; one that needs exactly one is a function of inputs.
    """
    if isinstance(candidate, Function):
        return candidate
    if isinstance(candidate, str | os.PathLike | keras.Layer) or inspect.isclass(candidate):
        return None
    if not callable(candidate):
        return None
    try:
        parameters = inspect.signature(candidate).parameters.values()
    except (TypeError, ValueError):
        return None
    filled = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    needed = [one for one in parameters if one.default is one.empty and one.kind not in filled]
    by_name = any(one.kind is one.KEYWORD_ONLY for one in needed)
    return Function(candidate) if len(needed) == 1 and not by_name else None
