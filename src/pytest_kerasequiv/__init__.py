"""Are these two Keras models the same? A pytest plugin that answers with a verdict and its evidence.

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.verdict import PICTURES, RENDERERS, CheckResult, Evidence, Finding, Report, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_kerasequiv.comparison import assert_equivalent, compare
    from pytest_kerasequiv.models.twins import Twins
    from pytest_kerasequiv.parametrize import parametrize_with_checks
    from pytest_kerasequiv.statistics import EquivalenceTest, equivalence_test, required_runs
    from pytest_kerasequiv.training.plan import Training

__version__ = "0.1.0"

_HOME = {
    "EquivalenceTest": "statistics",
    "Training": "training.plan",
    "Twins": "models.twins",
    "assert_equivalent": "comparison",
    "compare": "comparison",
    "equivalence_test": "statistics",
    "parametrize_with_checks": "parametrize",
    "required_runs": "statistics",
}

__all__ = [
    "CheckResult",
    "EquivalenceTest",
    "Evidence",
    "Finding",
    "InputError",
    "Report",
    "Training",
    "Twins",
    "Verdict",
    "assert_equivalent",
    "compare",
    "equivalence_test",
    "parametrize_with_checks",
    "required_runs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _text(report: Report) -> str:
    from pytest_kerasequiv.reporting.text import render

    return render(report)


def _html(report: Report) -> str:
    from pytest_kerasequiv.reporting.html import render

    return render(report)


def _graph_picture(figures: Mapping[str, Any], path: Path) -> None:
    from pytest_kerasequiv.reporting.pictures import draw_graphs

    draw_graphs(figures, path)


def _training_picture(figures: Mapping[str, Any], path: Path) -> None:
    from pytest_kerasequiv.reporting.pictures import draw_training

    draw_training(figures, path)


RENDERERS.update(text=_text, html=_html)
PICTURES.update(graph=_graph_picture, training=_training_picture)
