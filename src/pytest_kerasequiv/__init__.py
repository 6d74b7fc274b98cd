"""Are these two Keras models the same? A pytest plugin that answers with a verdict and its evidence.

Nothing is imported until a name is used: every pytest session imports this package, few use it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_kerasequiv.building.functions import Function
    from pytest_kerasequiv.building.twins import Twins
    from pytest_kerasequiv.comparing import assert_equivalent, compare
    from pytest_kerasequiv.errors import InputError
    from pytest_kerasequiv.plugin.parametrize import parametrize_with_checks
    from pytest_kerasequiv.plugin.twins_factory import TwinsFactory
    from pytest_kerasequiv.plugin.twins_under_test import TwinsUnderTest
    from pytest_kerasequiv.recording.taking import record
    from pytest_kerasequiv.statistics.equivalence import equivalence_test
    from pytest_kerasequiv.statistics.planning import required_runs
    from pytest_kerasequiv.statistics.result import EquivalenceTest
    from pytest_kerasequiv.training.plan import Training
    from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Report, Verdict
    from pytest_kerasequiv.weight_map import MappedWeight, WeightMap

__version__ = "0.1.0"

_HOME = {
    "CheckResult": "verdict",
    "EquivalenceTest": "statistics.result",
    "Evidence": "verdict",
    "Finding": "verdict",
    "Function": "building.functions",
    "InputError": "errors",
    "MappedWeight": "weight_map",
    "Report": "verdict",
    "Training": "training.plan",
    "Twins": "building.twins",
    "TwinsFactory": "plugin.twins_factory",
    "TwinsUnderTest": "plugin.twins_under_test",
    "Verdict": "verdict",
    "WeightMap": "weight_map",
    "assert_equivalent": "comparing",
    "compare": "comparing",
    "equivalence_test": "statistics.equivalence",
    "parametrize_with_checks": "plugin.parametrize",
    "record": "recording.taking",
    "required_runs": "statistics.planning",
}

__all__ = [
    "CheckResult",
    "EquivalenceTest",
    "Evidence",
    "Finding",
    "Function",
    "InputError",
    "MappedWeight",
    "Report",
    "Training",
    "Twins",
    "TwinsFactory",
    "TwinsUnderTest",
    "Verdict",
    "WeightMap",
    "assert_equivalent",
    "compare",
    "equivalence_test",
    "parametrize_with_checks",
    "record",
    "required_runs",
]


if not TYPE_CHECKING:  # else a type checker takes any name for one of this module

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
