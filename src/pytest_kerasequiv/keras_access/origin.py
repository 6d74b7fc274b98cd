"""Whose code a class, function or module is: Keras's, another installed library's, or the user's own."""

from __future__ import annotations

import functools
import sys
import sysconfig
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

_ALWAYS = frozenset({"keras", "tensorflow", "jax", "torch", "builtins", "abc", "typing"})


def is_keras(thing: Any) -> bool:
    """Tell whether a class or function is Keras's own, or an object one of Keras's as its class made it."""
    return root_of(thing) == "keras" and not replaced(thing)


def is_library(thing: Any) -> bool:
    """Tell whether something comes from Python or an installed library, by where it is.

    It may be a class, a function, a module, or an object that has no code of the user's set on it.
    """
    return not isinstance(thing, functools.partial) and _installed(root_of(thing)) and not replaced(thing)


def replaced(thing: Any) -> list[str]:
    """Return the names of methods that an object has others of: a user's code set on one of a library's."""
    if isinstance(thing, type | ModuleType | FunctionType):
        return []
    return [
        name
        for name, value in getattr(thing, "__dict__", {}).items()
        if callable(value) and callable(getattr(type(thing), name, None)) and not is_library(value)
    ]


def root_of(thing: Any) -> str:
    """Return the top-level package of a class or function, or of a module, by name."""
    module = getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
    return str(module).partition(".")[0]


@functools.cache
def _installed(root: str) -> bool:
    if root in _ALWAYS or root in sys.builtin_module_names:
        return True
    file = getattr(sys.modules.get(root), "__file__", None)
    if file is None:
        return False
    paths = sysconfig.get_paths()
    folders = [Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    place = Path(file).resolve()
    return any(folder in place.parents for folder in folders) or "site-packages" in place.parts
