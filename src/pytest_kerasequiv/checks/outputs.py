"""Check ``outputs``: what the twins return in inference mode, under the same weights and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_kerasequiv.checks.blame.forward import blame, layer_table
from pytest_kerasequiv.checks.blame.wording import only_adds
from pytest_kerasequiv.checks.compiled.explained_results import effective_settings, step_findings
from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.numeric import inference, laws, surface_runs, unmet
from pytest_kerasequiv.checks.numeric.glance import ONE_BATCH, glances
from pytest_kerasequiv.checks.numeric.inference import InferenceObservation
from pytest_kerasequiv.checks.numeric.inference_differences import NAME, compare_inference
from pytest_kerasequiv.checks.numeric.laws import (
    DrawsObservation,
    DrawsPlan,
    draws_may_tell,
    draws_plans,
    equal_in_law,
    untraced_draws,
)
from pytest_kerasequiv.checks.numeric.plans import Plan, inference_plan, training_plan
from pytest_kerasequiv.checks.numeric.surface_differences import with_surface
from pytest_kerasequiv.checks.numeric.surface_runs import EntriesPlan, SurfaceObservation, entries_plan
from pytest_kerasequiv.checks.numeric.unmet import ConditionsPlan, Met, conditions_plan, with_conditions
from pytest_kerasequiv.checks.numeric.views import hints_for, oracle_refused, survey_for, view_of
from pytest_kerasequiv.checks.pair import Correspondence, Pair, Twin
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.checks.tolerance import Precision
from pytest_kerasequiv.verdict import CheckResult, Finding, Kind, Verdict


@dataclass(frozen=True)
class OutputsObservation:
    """What one model returns.

    Attributes:
        inference: for each probe.
        entries: in what else its users can call.
        conditions: which of those that it has alone inference met.
        draws: in training under other seeds, where an entry draws.
    """

    inference: InferenceObservation | None = None
    entries: SurfaceObservation | None = None
    conditions: Met | None = None
    draws: DrawsObservation | None = None


def plan(
    reference: Twin,
    between: Correspondence | None = None,
    *,
    inputs: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> Iterator[Plan]:
    """Yield the probes for inference, the entries of the surface, conditions, passes under other seeds.

    Args:
        reference: the reference.
        between: what corresponds; ``None`` where nothing is known of the candidate.
        inputs: the user's own batch; it is compared first.
        rtol: relative tolerance; where it is given, no float64 twin is run.
        atol: absolute tolerance, likewise.
        seed: seed of the probes.

    Raises:
        InputError: ``inputs`` do not fit the reference.
    """
    view, found = view_of(reference), survey_for(reference, between)
    mapped = between is None or between.comparable
    why = oracle_refused(between, rtol, atol) if mapped else "the twins cannot be given the same weights"
    probes = inference_plan(view, found, inputs, seed=seed, why_no_oracle=why)
    yield probes
    yield entries_plan(reference, between, found, seed=seed, why_no_oracle=why)
    yield from conditions_plan(probes, between)
    hints = hints_for(reference, between)
    yield from draws_plans(view, training_plan(view, found, inputs, count=1, seed=seed, hints=hints))


def observe(twin: Twin, on: Plan) -> OutputsObservation:
    """Run one twin on a plan."""
    view = view_of(twin)
    if isinstance(on, EntriesPlan):
        return OutputsObservation(entries=surface_runs.observe(view, on))
    if isinstance(on, ConditionsPlan):
        return OutputsObservation(conditions=unmet.observe(view, on))
    if isinstance(on, DrawsPlan):
        return OutputsObservation(draws=laws.observe(view, on))
    return OutputsObservation(inference=inference.observe(view, on))


def compare(
    reference: OutputsObservation,
    candidate: OutputsObservation,
    between: Correspondence,
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> CheckResult:
    """Decide from two observations alone; what else users can call counts where inference agrees.

    Args:
        reference: what the reference returned.
        candidate: what the candidate returned.
        between: what corresponds.
        rtol: relative tolerance; by default it is derived, see `checks.tolerance`.
        atol: absolute tolerance, likewise.
    """
    assert reference.inference is not None
    assert candidate.inference is not None
    if reference.inference.why_none:
        finding = Finding.difference(NAME, "inputs", f"not compared: {reference.inference.why_none}")
        return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (finding,))
    precision = Precision(between.alignment.sharp, rtol, atol)
    sides = reference.inference, candidate.inference
    result = compare_inference(*sides, between.variables, precision, own=between.own)
    if result.verdict is not Verdict.EQUIVALENT or reference.entries is None or candidate.entries is None:
        return result
    entries = reference.entries, candidate.entries
    result = with_surface(result, sides, entries, between.variables, precision)
    result = replace(result, figures={**result.figures, "entries": len(entries[0].probes)})
    if reference.conditions is not None and result.verdict is Verdict.EQUIVALENT:
        return with_conditions(result, reference.conditions, candidate.conditions or {}, between)
    if not result.figures.get("drawn"):
        return result
    untraced = untraced_draws(result, reference.inference.variables, between)
    return untraced or equal_in_law(result, reference.draws, candidate.draws, between)


def further(result: CheckResult, between: Correspondence) -> bool:
    """Whether the next plan can tell more: entries and conditions where all agrees, draws of entries."""
    if "entries" not in result.figures:
        return result.verdict is Verdict.EQUIVALENT
    agrees = result.verdict is Verdict.EQUIVALENT and "conditions" not in result.figures
    return (agrees and any(between.conditions)) or draws_may_tell(result, between)


def for_candidate(on: Plan, reference: OutputsObservation) -> Plan:
    """Return what is left of a plan for the candidate."""
    seen = reference.entries if isinstance(on, EntriesPlan) else reference.inference
    return on.for_candidate(None if seen is None else seen.why_no_oracle)


@only_adds
def explain(pair: Pair, result: CheckResult, plans: Sequence[Plan]) -> CheckResult:
    """Name the layers, regularisers and losses at fault before what they caused.

    Args:
        pair: the twins.
        result: what `compare` decided.
        plans: what the twins were run on.
    """
    if result.verdict is not Verdict.DIFFERENT:
        return result
    followed = result.figures.get("followed")
    if len(plans) == 1 and followed is None:
        return result
    traced = blame(pair, NAME, plans[0].probes[followed or 0], exact=plans[0].why_no_oracle != ONE_BATCH)
    figures = {**result.figures, "layers": layer_table(traced)}
    if len(plans) == 1:
        return replace(result, findings=(*traced.findings, *result.findings), figures=figures)
    regularisers = [finding for finding in traced.settings if "regularizer" in finding.field]
    compiled = effective_settings(result, settings_of(pair.reference), settings_of(pair.candidate))
    steps = step_findings(result, pair.reference, pair.candidate)
    findings = (*regularisers, *compiled, *steps, *result.findings)
    return replace(result, findings=findings, figures=figures)


CHECK = Check(
    NAME,
    Kind.NUMERIC,
    plan=plan,
    observe=observe,
    for_candidate=for_candidate,
    compare=compare,
    glances=glances,
    further=further,
    explain=explain,
    beyond_proof=lambda _: (),
    rests_on=lambda entry: entry != "training",
    next_step="compare the code of both sides; where the difference is acceptable, pass rtol and atol.",
)
