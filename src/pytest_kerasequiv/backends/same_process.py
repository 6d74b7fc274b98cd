"""The answers of checks where both twins run on another backend than TensorFlow, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.compiled.settings_findings import compare_compiled
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.keras_access.supported import other_backend
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Verdict


class SameProcessPair(Pair):
    """Twins that are built and described here, and not run."""

    runs = False


def answer(check: Check, pair: SameProcessPair, options: Mapping[str, Any]) -> CheckResult:
    """Return what a check decides: what is described is compared, what would have to run is undecided.

    Raises:
        InputError: an option cannot be used.
    """
    if not check.kind.runs:
        return check(pair, **options)
    if check.name == "updates":
        both = settings_of(pair.reference), settings_of(pair.candidate)
        found = compare_compiled(check.name, *both, pair.variable_map)
        if any(one.severity == "difference" for one in found):
            return CheckResult(check.name, Verdict.DIFFERENT, Evidence.MEASURED, tuple(found))
    finding = Finding.difference(check.name, "backend", f"not compared: {_why_not_run()}")
    return CheckResult(check.name, Verdict.INCONCLUSIVE, None, (finding,))


def left_out(check: Check) -> str:
    """Return why a check can tell nothing, so that it is not run; empty where it can."""
    told = f"Keras runs on {other_backend()} in this process"
    return told if check.kind.runs and check.name != "updates" else ""


def _why_not_run() -> str:
    """Return why nothing is decided in numbers here, and what to do."""
    backend = other_backend()
    return (
        f"both twins run on {backend} in this process, where no program is traced and no float64 model can "
        "serve as a measure; set KERAS_BACKEND=tensorflow for the tests that compare models, and pass "
        f'backend="{backend}" to have the candidate run on {backend}'
    )
