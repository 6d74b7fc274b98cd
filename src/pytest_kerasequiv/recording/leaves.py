"""The arrays within plain data: where each is, and the same data with others in their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Path = tuple[Any, ...]
"""Names of fields, positions and keys that lead to an array."""

Array = NDArray[Any]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Array]]:
    """Yield each array within dataclasses, mappings, tuples and lists, and where it is."""
    if isinstance(value, np.ndarray):
        yield path, value
    for key, item in _items(value):
        yield from leaves(item, (*path, key))


def with_leaves(value: Any, change: Callable[[Path, Array], Array], path: Path = ()) -> Any:
    """Return the same data with what ``change`` returns for each path and array in its place."""
    if isinstance(value, np.ndarray):
        return change(path, value)
    changed = [(key, with_leaves(item, change, (*path, key))) for key, item in _items(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **dict(changed))
    if isinstance(value, Mapping):
        return dict(changed)
    if isinstance(value, tuple | list):
        return type(value)(item for _, item in changed)
    return value


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if is_dataclass(value) and not isinstance(value, type):
        yield from ((field.name, getattr(value, field.name)) for field in fields(value))
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, tuple | list):
        yield from enumerate(value)
