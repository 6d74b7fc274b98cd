"""What a reader wants to know of the luck of a single run, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def luck_sentences(figures: Mapping[str, Any]) -> list[str]:
    """Return what a reader wants to know, from the figures that `Luck.to_dict` wrote."""
    return [_usual(figures), *([] if figures["observed"] is None else [_seen(figures)])]


def _usual(figures: Mapping[str, Any]) -> str:
    if not any(figures["differences"]):
        return f"all {figures['n']} runs of the reference came out the same"
    low, high = (float(end) for end in figures["half_interval"])
    interval = f"{low:.3g} to {high:.3g}" if math.isfinite(high) else f"at least {low:.3g}"
    return (
        f"two single runs of the reference differ by {figures['half']:.3g} or more in half of all pairs "
        f"(95 % interval {interval}), by {figures['rare']:.3g} or more in 1 of 20"
    )


def _seen(figures: Mapping[str, Any]) -> str:
    first, second = figures["observed"]
    low, high = figures["share_interval"]
    return (
        f"you saw {first:g} against {second:g}; two runs of one and the same model differ as much or more in "
        f"{_percent(figures['share'])} of all pairs (95 % interval {_percent(low)} to {_percent(high)}, "
        f"{figures['n']} runs){_conclusion(low, high)}"
    )


def _conclusion(low: float, high: float) -> str:
    if low >= 0.05:
        return ": no sign of two different models"
    return ": luck alone hardly explains that" if high < 0.05 else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else f"{100 * share:.1g} %"
