"""Equivalence, difference, early stopping and planning: arrays in, numbers out, no Keras."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_kerasequiv.statistics.decision import Decision, decide, decide_at_look
    from pytest_kerasequiv.statistics.equivalence import equivalence_test
    from pytest_kerasequiv.statistics.looks import Look, default_looks, parse_looks
    from pytest_kerasequiv.statistics.margin import Margin, parse_margin
    from pytest_kerasequiv.statistics.planning import equivalence_power, required_runs
    from pytest_kerasequiv.statistics.result import ArmSummary, EquivalenceTest
    from pytest_kerasequiv.statistics.runs import UnusualRun, describe_runs, unusual_runs

_HOME = {
    "ArmSummary": "result",
    "Decision": "decision",
    "EquivalenceTest": "result",
    "Look": "looks",
    "Margin": "margin",
    "UnusualRun": "runs",
    "decide": "decision",
    "decide_at_look": "decision",
    "default_looks": "looks",
    "describe_runs": "runs",
    "equivalence_power": "planning",
    "equivalence_test": "equivalence",
    "parse_looks": "looks",
    "parse_margin": "margin",
    "required_runs": "planning",
    "unusual_runs": "runs",
}

__all__ = [
    "ArmSummary",
    "Decision",
    "EquivalenceTest",
    "Look",
    "Margin",
    "UnusualRun",
    "decide",
    "decide_at_look",
    "default_looks",
    "describe_runs",
    "equivalence_power",
    "equivalence_test",
    "parse_looks",
    "parse_margin",
    "required_runs",
    "unusual_runs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
