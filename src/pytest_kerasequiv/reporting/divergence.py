"""How far each layer of the twins is apart, as bars on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

LOWEST = 1e-16
HIGHEST = 1e4


def divergence_rows(layers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return per layer its name, difference, allowed difference, and both as shares of the scale in percent.

    The scale runs from the smallest to the largest number shown, in decades. Differences of zero have no bar.
    """
    rows = [_row(layer) for layer in layers]
    sizes = [row[key] for row in rows for key in ("difference", "allowed") if row[key]]
    low, high = _decades(sizes)
    for row in rows:
        for key in ("difference", "allowed"):
            row[f"{key}_share"] = _share(row[key], low, high)
        row["over"] = row["difference"] is not None and row["difference"] > (row["allowed"] or 0.0)
    return rows


def _row(layer: Mapping[str, Any]) -> dict[str, Any]:
    name = " / ".join(dict.fromkeys(str(layer[side]) for side in ("reference", "candidate") if layer[side]))
    return {"name": name, "difference": _size(layer["difference"]), "allowed": _size(layer["allowed"])}


def _size(value: Any) -> float | None:
    """Return a number; NaN and infinities, which travel as text, count as the largest."""
    if value is None:
        return None
    size = abs(float(value))
    return size if math.isfinite(size) else HIGHEST


def _decades(sizes: Iterable[float]) -> tuple[float, float]:
    logs = [math.log10(min(max(size, LOWEST), HIGHEST)) for size in sizes]
    return (math.floor(min(logs)) - 1, math.ceil(max(logs))) if logs else (-1, 0)


def _share(size: float | None, low: float, high: float) -> float:
    if not size:
        return 0.0
    log = math.log10(min(max(size, LOWEST), HIGHEST))
    return round(100 * (log - low) / (high - low), 1)
