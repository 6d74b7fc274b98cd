"""The margin: the largest mean difference that still counts as the same."""

from __future__ import annotations

import math
import numbers
import re
from dataclasses import dataclass
from typing import Literal

from pytest_kerasequiv.errors import InputError

_TEXT = re.compile(r"\s*(?P<size>[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)\s*(?P<unit>%|sd|)\s*", re.IGNORECASE)
_KINDS: dict[str, Literal["absolute", "relative", "sd"]] = {"": "absolute", "%": "relative", "sd": "sd"}
_REMEDY = (
    'give a positive number in units of the metric (0.05), a share of the reference mean ("10%"), a number '
    'of reference standard deviations ("0.5sd"), or None for "1sd"'
)


@dataclass(frozen=True)
class Margin:
    """The largest mean difference that still counts as the same.

    Attributes:
        kind: ``"absolute"`` (units of the metric), ``"relative"`` (share of the reference mean) or ``"sd"``
            (reference standard deviations).
        size: positive; 0.1 for ``"10%"``, 0.5 for ``"0.5sd"``.
    """

    kind: Literal["absolute", "relative", "sd"]
    size: float

    @property
    def label(self) -> str:
        """The margin as a reader would write it: ``0.05``, ``10%`` or ``0.5 sd``."""
        return label_of(self.kind, self.size)


def label_of(kind: str, size: float) -> str:
    """Return ``size`` in the unit of ``kind``, with four significant digits."""
    return {"absolute": f"{size:.4g}", "relative": f"{100 * size:.4g}%", "sd": f"{size:.4g} sd"}[kind]


def parse_margin(margin: float | str | Margin | None) -> Margin:
    """Read a margin.

    Args:
        margin: a positive number in units of the metric, ``"10%"`` of the reference mean, ``"0.5sd"`` of the
            reference, or ``None`` for the default of one reference standard deviation.

    Raises:
        InputError: the margin is none of these, not finite, zero or negative, or 100 % and more.
    """
    if isinstance(margin, Margin):
        return margin
    if margin is None:
        return Margin("sd", 1.0)
    unit, size = _read(margin)
    if not math.isfinite(size) or size <= 0:
        raise InputError(f"margin={margin!r} is not a positive finite size; {_REMEDY}")
    if unit == "%" and size >= 100:
        raise InputError(f"margin={margin!r} allows the metric to vanish altogether; give less than 100%")
    return Margin(_KINDS[unit], size / 100 if unit == "%" else size)


def _read(margin: object) -> tuple[str, float]:
    if not isinstance(margin, bool) and isinstance(margin, numbers.Real):
        return "", float(margin)
    found = _TEXT.fullmatch(margin) if isinstance(margin, str) else None
    if found is None:
        raise InputError(f"margin={margin!r} cannot be read as a margin; {_REMEDY}")
    return found["unit"].lower(), float(found["size"])
