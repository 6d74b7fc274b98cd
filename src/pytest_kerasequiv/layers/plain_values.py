"""Values as plain, JSON-able data that compare with ``==``, and as a reader expects them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

SHOWN_VALUES = 16
"""Arrays of up to so many elements are told by their values, larger ones by a digest."""

LONGEST = 200
"""Lists and texts of up to so many elements are told, longer ones by a digest."""


def number(value: float) -> Any:
    """Return equal numbers as equal values: 3.0 is 3; NaN and infinities are texts."""
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN is the one that differs from itself
        return repr(float(value))
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else float(value)


def is_array(value: Any) -> bool:
    """Tell whether a value is an array, a tensor or a variable that can be read."""
    if isinstance(value, np.ndarray | np.generic):
        return True
    has = not isinstance(value, type | ModuleType) and hasattr(value, "dtype") and hasattr(value, "shape")
    return has and (hasattr(value, "numpy") or hasattr(value, "__array__"))


def array_label(value: Any) -> Any:
    """Return an array as plain data: a number, its few values, or a digest with shape and dtype."""
    value = value.detach() if hasattr(value, "detach") else value  # of torch
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    if array.ndim == 0 and array.dtype.kind in "biuf":
        return bool(array) if array.dtype.kind == "b" else number(array.item())
    told = {"class": "array", "shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size <= SHOWN_VALUES and array.dtype.kind in "biuf":
        return told | {"values": [number(one) for one in array.ravel().tolist()]}
    content = (
        repr(array.tolist()).encode() if array.dtype == object else np.ascontiguousarray(array).tobytes()
    )
    return told | {"sha256": hashlib.sha256(content).hexdigest()[:16]}


def is_plain(value: Any) -> bool:
    """Tell whether a value is a number, a text, nothing, or a flat collection of such."""
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_scalar, value))
    return _is_scalar(value)


def plain(value: Any) -> Any:
    """Return a plain value as JSON-able data; sets are sorted, long lists a digest."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value), key=repr)
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        return items if len(items) <= LONGEST else _digested("list", items)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):  # noqa: PLR0124
        return repr(value)
    return value if isinstance(value, int | float) else repr(value)


def shown(value: Any) -> str:
    """Return a canonical value as a reader expects it: ``L2(l2=0.01)``, ``'relu'``, ``[3, 3]``."""
    if isinstance(value, Mapping) and "class" in value:
        hidden = {"class", "built on", *(["of"] if value["class"] == "function" else [])}
        told = [key for key in value if key not in hidden and key.rpartition(".")[2] != "code"]
        inside = ", ".join(f"{key}={shown(value[key])}" for key in told)
        name = value.get("of") if value["class"] == "function" else value["class"]
        return f"{name}({inside})" if inside or name == value["class"] else str(name)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    return repr(value)


def _is_scalar(value: Any) -> bool:
    return value is None or value is Ellipsis or isinstance(value, bool | int | float | complex | str | bytes)


def _digested(kind: str, items: list[Any]) -> dict[str, Any]:
    content = hashlib.sha256(repr(items).encode()).hexdigest()[:16]
    return {"class": kind, "length": len(items), "sha256": content}
