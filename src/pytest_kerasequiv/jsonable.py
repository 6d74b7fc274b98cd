"""Data as JSON has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any


def to_jsonable(value: Any) -> Any:
    """Return ``value`` as JSON-able data: arrays as lists, NaN and infinities as text."""
    if value is None or (isinstance(value, bool | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [to_jsonable(item) for item in items]
    if hasattr(value, "tolist"):
        return to_jsonable(value.tolist())
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return str(value)
