"""In which ways of its own a model can be called, and which of them two models have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from pytest_kerasequiv.checks.numeric.surface_runs import EntriesPlan
from pytest_kerasequiv.checks.outputs import OutputsObservation
from pytest_kerasequiv.recording.plan_forms import KeptPlan
from pytest_kerasequiv.recording.recorded_pair import RecordedPair
from pytest_kerasequiv.surface.entries import Entry, Kind, entries_of

PER_ENTRY = ("probes", "computed", "exact", "perturbed", "tentative", "unsteady")
"""Fields of what was observed of entries that hold one thing for each."""


def called_ways(model: keras.Model) -> tuple[str, ...]:
    """Return the names of the entries of a model's surface that another model need not have.

    What every model has, what compiling adds, and settled sizes of free axes are not among them.
    """
    return tuple(entry.name for entry in entries_of(model) if _of_its_own(entry))


def _of_its_own(entry: Entry) -> bool:
    settles = entry.tentative and not entry.arguments
    return entry.kind is Kind.STEP or (entry.kind is Kind.CALL and not settles)


def compiled_alone(plans: Sequence[Any], pair: RecordedPair) -> frozenset[int]:
    """Return which of the recorded entries say nothing, as only one of the two models is compiled."""
    if dict(pair.reference_program.settings).get("compiled") == str(bool(pair.candidate.compiled)):
        return frozenset()
    plan = next((p.plan for p in plans if isinstance(p, KeptPlan) and isinstance(p.plan, EntriesPlan)), None)
    cases = () if plan is None else plan.cases
    return frozenset(place for place, case in enumerate(cases) if _needs_compiling(case.entry))


def _needs_compiling(entry: Entry) -> bool:
    return entry.kind is Kind.COMPILED or entry.method in {"train_step", "test_step"}


def without_entries(reference: Any, candidate: Any, left_out: frozenset[int]) -> tuple[Any, Any]:
    """Return both observations of ``outputs`` without some of the entries; others as they are."""
    return _without(reference, left_out), _without(candidate, left_out)


def _without(observation: Any, left_out: frozenset[int]) -> Any:
    if not left_out or not isinstance(observation, OutputsObservation) or observation.entries is None:
        return observation
    kept: dict[str, Any] = {}
    for name in PER_ENTRY:
        values = getattr(observation.entries, name)
        if values is not None:
            kept[name] = tuple(one for place, one in enumerate(values) if place not in left_out)
    return replace(observation, entries=replace(observation.entries, **kept))
