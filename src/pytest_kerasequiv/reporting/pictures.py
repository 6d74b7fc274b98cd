"""The pictures of single checks, drawn from figures alone: a report read back from JSON has them too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_kerasequiv.reporting.decision_plot import draw
from pytest_kerasequiv.reporting.graph_picture import draw_from_figures
from pytest_kerasequiv.verdict import Verdict

_WORST_FIRST = (Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT)


def draw_graphs(figures: Mapping[str, Any], path: Path) -> None:
    """Draw both layer graphs side by side, differences marked.

    Raises:
        ValueError: a side has no layer graph.
    """
    if "reference" not in figures or "candidate" not in figures:
        raise ValueError("there is no picture: a side has no layer graph (a subclassed model)")
    draw_from_figures(figures, path)


def draw_training(figures: Mapping[str, Any], path: Path) -> None:
    """Draw the decision on the metric that decides: DIFFERENT before INCONCLUSIVE before EQUIVALENT.

    Raises:
        ValueError: no run gave a metric.
    """
    metrics = figures.get("metrics", {})
    if not metrics:
        raise ValueError("there is no picture: no run gave a metric")
    name = min(metrics, key=lambda metric: _WORST_FIRST.index(Verdict(metrics[metric]["verdict"])))
    draw(metrics[name], path, title=name)
