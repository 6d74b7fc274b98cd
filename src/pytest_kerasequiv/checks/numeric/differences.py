"""Two arrays held side by side: how many elements differ, where most, and what would have passed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_UP, Context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.tolerance import Tolerance
from pytest_kerasequiv.verdict import MISMATCHED

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Difference:
    """The outcome of comparing two arrays of one shape.

    Attributes:
        elements: how many were compared.
        mismatched: how many exceed what is allowed.
        absolute: greatest absolute difference, and ``index`` where.
        relative: greatest relative difference, and ``relative_index`` where.
        reference: the reference's value at ``index``; ``candidate`` the candidate's; ``allowed`` the
            allowed difference.
        used: greatest share of the allowed difference that was used; above 1 is a mismatch.
        nonfinite: elements that are NaN or infinite alike on both sides; they were not compared further.
        split: elements that are NaN or infinite on one side only, or infinite with opposite signs.
        tolerance: what was allowed.
    """

    elements: int
    mismatched: int
    absolute: float
    index: tuple[int, ...]
    relative: float
    relative_index: tuple[int, ...]
    reference: float
    candidate: float
    allowed: float
    used: float
    nonfinite: int
    split: int
    tolerance: Tolerance

    @property
    def agrees(self) -> bool:
        """Whether no element exceeds what is allowed."""
        return self.mismatched == 0

    def __str__(self) -> str:
        share = 100 * self.mismatched / max(self.elements, 1)
        lines = [f"{MISMATCHED}{self.mismatched} / {self.elements} ({share:.1f} %)"]
        if self.split:
            lines.append(f"NaN or infinite on one side only: {self.split} elements")
        lines += [
            f"greatest absolute difference: {self.absolute:.6g} at index {self.index} "
            f"({self.reference:.9g} against {self.candidate:.9g}; up to {self.allowed:.3g} allowed)",
            f"greatest relative difference: {self.relative:.3g} at index {self.relative_index}",
        ]
        if not self.agrees and not self.split:
            lines.append(f"smallest tolerance that would pass: {self.smallest_that_passes()}")
        return "\n".join(lines)

    def smallest_that_passes(self) -> str:
        """Return the tolerance, of the same proportions, that would have let this difference pass."""
        if not math.isfinite(self.used):  # nothing was allowed at some element, so no multiple of it would do
            return f"atol={_rounded_up(self.absolute)}"
        rtol, atol = self.tolerance.rtol * self.used, self.tolerance.atol * self.used
        parts = [f"rtol={_rounded_up(rtol)}"] if rtol else []
        if not rtol and not atol:  # nothing was allowed at all
            atol = self.absolute
        return ", ".join([*parts, f"atol={_rounded_up(atol)}"] if atol or not parts else parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-able data."""
        return {
            "elements": self.elements,
            "mismatched": self.mismatched,
            "difference": self.absolute,
            "index": list(self.index),
            "relative_difference": self.relative,
            "allowed": self.allowed,
            "used": self.used,
            "headroom": None if self.used == 0 else 1 / self.used,
            "nonfinite": self.nonfinite,
            "tolerance": {
                "rtol": self.tolerance.rtol,
                "atol": self.tolerance.atol,
                "origin": self.tolerance.origin,
            },
        }


def _rounded_up(value: float) -> str:
    """Return three digits, the last rounded away from zero, so that the shown number would pass."""
    return f"{float(Context(prec=3, rounding=ROUND_UP).create_decimal(repr(value))):.3g}"


def difference(reference: Array, candidate: Array, tolerance: Tolerance) -> Difference:
    """Compare two arrays of one shape element by element.

    Args:
        reference: the reference's values, any shape; float, integer or boolean.
        candidate: the candidate's.
        tolerance: what is allowed.
    """
    first, second = np.asarray(reference, np.float64), np.asarray(candidate, np.float64)
    finite = np.isfinite(first) & np.isfinite(second)
    alike = ~finite & ((first == second) | (np.isnan(first) & np.isnan(second)))
    split = int((~finite & ~alike).sum())
    apart = np.where(finite, np.abs(np.where(finite, first, 0) - np.where(finite, second, 0)), 0.0)
    allowed = np.broadcast_to(tolerance.allowed(first), apart.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.where(apart > 0, apart / allowed, 0.0)
        relative = np.where(apart > 0, apart / np.where(finite, np.abs(first), 1.0), 0.0)
    if not first.size:
        return Difference(0, 0, 0.0, (), 0.0, (), 0.0, 0.0, 0.0, 0.0, 0, 0, tolerance)
    rank = np.where(~finite & ~alike, np.inf, np.where(np.isfinite(used), used, np.finfo(np.float64).max))
    worst, steepest = _where_largest(rank), _where_largest(relative)
    return Difference(
        elements=int(first.size),
        mismatched=int((apart > allowed).sum()) + split,
        absolute=float(apart[worst]),
        index=worst,
        relative=float(relative[steepest]),
        relative_index=steepest,
        reference=float(first[worst]),
        candidate=float(second[worst]),
        allowed=float(allowed[worst]),
        used=float(used.max()),
        nonfinite=int(alike.sum()),
        split=split,
        tolerance=tolerance,
    )


def _where_largest(values: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(values)), values.shape))
