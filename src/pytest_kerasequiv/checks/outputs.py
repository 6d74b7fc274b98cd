"""Check ``outputs``: what the twins return in inference mode, under the same weights and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.checks.blame.forward import blame, layer_table
from pytest_kerasequiv.checks.blame.wording import only_adds
from pytest_kerasequiv.checks.compiled.in_force import compare_settings, settings_of
from pytest_kerasequiv.checks.numeric.callers import input_findings, layer_dtype_findings, output_findings
from pytest_kerasequiv.checks.numeric.contract import (
    dtype_problems,
    notes_on,
    refusal,
    shape_problem,
    state_problems,
)
from pytest_kerasequiv.checks.numeric.doubts import doubted
from pytest_kerasequiv.checks.numeric.inference import InferenceObservation, observe
from pytest_kerasequiv.checks.numeric.judging import (
    Judged,
    is_oracle,
    judge,
    judge_masks,
    oracle_notes,
    tolerance_figures,
)
from pytest_kerasequiv.checks.numeric.laws import entries_in_law
from pytest_kerasequiv.checks.numeric.observing import Views, no_answer
from pytest_kerasequiv.checks.numeric.plans import Plan, inference_plan
from pytest_kerasequiv.checks.numeric.surface_differences import with_surface
from pytest_kerasequiv.checks.numeric.surface_runs import observe_both
from pytest_kerasequiv.checks.numeric.views import joint_survey, oracle_refused, unmapped, views_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.running.running import Outcome, called
from pytest_kerasequiv.surface.probes import NoProbes, Survey
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

NAME = "outputs"


def run(
    pair: Pair, *, inputs: Any = None, rtol: float | None = None, atol: float | None = None
) -> CheckResult:
    """Compare the outputs of the twins.

    Args:
        pair: the twins.
        inputs: the user's own batch; it is compared first. By default that of the comparison.
        rtol: relative tolerance; by default it is derived, see `checks.tolerance`.
        atol: absolute tolerance, likewise.

    Raises:
        InputError: ``inputs`` do not fit the reference.
    """
    rtol, atol = (pair.rtol if rtol is None else rtol), (pair.atol if atol is None else atol)
    inputs = pair.inputs if inputs is None else inputs
    own = pair.twins.weights == "own"
    views = views_of(pair)
    mapped = own or pair.variable_map.complete
    why = oracle_refused(pair, rtol, atol) if mapped else "the twins cannot be given the same weights"
    try:
        plan = inference_plan(views[0], _survey(pair), inputs, seed=pair.seed, why_no_oracle=why)
    except NoProbes as error:
        finding = Finding(NAME, None, None, "inputs", None, None, f"not compared: {error}")
        return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (finding,))
    reference = observe(views[0], plan)
    candidate = observe(views[1], plan.for_candidate(reference.why_no_oracle))
    settings: dict[str, Any] = {"sharp": pair.alignment.sharp, "rtol": rtol, "atol": atol}
    result = compare(reference, candidate, pair.variable_map, own=own, **settings)
    if result.verdict is not Verdict.EQUIVALENT:
        return explain(pair, result, plan)
    surfaces = None if pair.program_match.proved else observe_both(pair, _survey(pair), why)
    result = with_surface(result, (reference, candidate), surfaces, pair.variable_map, settings)
    result = entries_in_law(pair, result) if result.figures.get("drawn") else result
    return explain_losses(pair, result, plan)


def _survey(pair: Pair) -> Survey | None:
    try:
        return joint_survey(pair)
    except NoProbes:  # the plan says so, where the user gave no inputs either
        return None


def compare(
    reference: InferenceObservation,
    candidate: InferenceObservation,
    variables: VariableMap,
    *,
    own: bool = False,
    sharp: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
) -> CheckResult:
    """Decide from two observations alone.

    Args:
        reference: what the reference returned.
        candidate: what the candidate returned.
        variables: how their variables correspond. Where some have no partner, only shapes can differ.
        own: whether each has weights of its own, so that none need be mapped.
        sharp: whether the programs have one skeleton, see `checks.tolerance`.
        rtol: relative tolerance; by default derived or the dtype's default.
        atol: absolute tolerance, likewise.
    """
    views = Views.of(reference, candidate)
    problems: dict[int, Finding] = {}
    masks: list[Finding] = []
    judged: list[Judged] = []
    names = reference.names, candidate.names
    for index, label in enumerate(reference.probes):
        runs = views.map(lambda every, index=index: every[index])  # type: ignore[misc]
        problem = refusal(NAME, label, *runs[:2]) or shape_problem(NAME, label, names, runs[:2])
        if problem is not None:
            problems[index] = problem
            continue
        for outcomes, where in (
            (runs.map(lambda one: one.outcome), label),
            (runs.map(lambda one: one.second), f"{label}, second call"),
        ):
            judged += _judged(index, where, reference, outcomes, sharp=sharp, rtol=rtol, atol=atol)
        if runs.reference.outcome is not None:
            masks += judge_masks(NAME, label, reference.names, runs.reference.outcome, runs.candidate.outcome)
    missing = None if own else unmapped(NAME, variables, reference.variables, candidate.variables)
    if missing is not None and not problems:
        return missing
    found = [*_once(list(problems.values()), len(reference.probes)), *masks]
    if rtol is None and atol is None:
        found += dtype_problems(NAME, reference, candidate)
        found += layer_dtype_findings(NAME, reference, candidate, variables.pairs)
    if names[0] and names[1]:
        found += output_findings(NAME, reference.outputs, candidate.outputs)
    found += state_problems(NAME, reference, candidate)
    result = _result(reference, candidate, judged, found)
    if not own:
        result = doubted(result, variables, [f for f in result.differences if f.field != "value"])
    others = [index for index, problem in problems.items() if problem.field == "shape"]
    if others:
        return replace(result, figures={**result.figures, "followed": others[0]})
    return result


def _once(found: list[Finding], probes: int) -> list[Finding]:
    """Return the first of several problems of shape, or refusals, that say the same of several probes."""
    kept: dict[str, list[Finding]] = {}
    for finding in found:
        kept.setdefault(finding.field, []).append(finding)
    return [
        replace(first, message=f"{first.message}; likewise on {len(rest)} more of {probes} probes")
        if rest
        else first
        for first, *rest in kept.values()
    ]


def _judged(
    index: int,
    where: str,
    reference: InferenceObservation,
    outcomes: Views[Outcome | None],
    **settings: Any,
) -> list[Judged]:
    if outcomes.reference is None or outcomes.candidate is None:
        return []
    outputs = [
        outcomes.map(lambda one, k=k: one.outputs[k])  # type: ignore[misc]
        for k in range(len(reference.names))
    ]
    oracle = all(is_oracle(arrays, reference.dtype) for arrays in outputs)
    return [
        judge(f"{called(name)} on {where}", index, arrays, reference.dtype, oracle=oracle, **settings)
        for name, arrays in zip(reference.names, outputs, strict=True)
    ]


def _result(
    reference: InferenceObservation,
    candidate: InferenceObservation,
    judged: Sequence[Judged],
    found: list[Finding],
) -> CheckResult:
    worst = max(judged, key=lambda j: j.used, default=None)
    if worst is not None and not worst.agrees:
        found.append(Finding(NAME, None, None, "value", worst.reference, worst.candidate, worst.message()))
    inputs = input_findings(NAME, reference.inputs, candidate.inputs)
    found += [finding for finding in inputs if finding.severity == "difference"]
    notes = [f for f in inputs if f.severity == "note"] + notes_on(NAME, reference, candidate, judged)
    notes += oracle_notes(NAME, judged)
    figures = {
        "probes": len(reference.probes),
        "tolerance": tolerance_figures(reference, candidate, judged),
        "outputs": [j.to_dict() for j in judged],
        "followed": None if worst is None or worst.agrees else worst.index,
        "headroom": None if worst is None or worst.used == 0 else 1 / worst.used,
    }
    undecided = _undecided(reference, candidate, judged, found)
    if undecided is not None:
        return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (undecided, *notes), figures)
    if found:
        return CheckResult(NAME, Verdict.DIFFERENT, Evidence.MEASURED, (*found, *notes), figures)
    return CheckResult(NAME, Verdict.EQUIVALENT, Evidence.MEASURED, tuple(notes), figures)


def _undecided(
    reference: InferenceObservation,
    candidate: InferenceObservation,
    judged: Sequence[Judged],
    found: Sequence[Finding],
) -> Finding | None:
    """Return why there is no answer: numbers that do not repeat, or none at all; ``None`` where there is."""
    if {finding.field for finding in found} <= {"value"}:
        random = no_answer(NAME, reference, candidate)
        if random is not None:
            return random
    if found or any(j.stored.elements > j.stored.nonfinite for j in judged):
        return None
    message = "nothing could be compared: every output is NaN or infinite, empty, or every probe was refused"
    errors = [run.error for run in reference.computed if run.error]
    return Finding(
        NAME, None, None, "value", errors[:1], None, f"{message}{': ' + errors[0] if errors else ''}"
    )


@only_adds
def explain(pair: Pair, result: CheckResult, plan: Plan) -> CheckResult:
    """Name the layers at fault before what they caused, and add the table of layers.

    Args:
        pair: the twins.
        result: what `compare` decided.
        plan: what the twins were run on.
    """
    followed = result.figures.get("followed")
    if result.verdict is not Verdict.DIFFERENT or followed is None:
        return result
    traced = blame(pair, NAME, plan.probes[followed])
    figures = {**result.figures, "layers": layer_table(traced)}
    return replace(result, findings=(*traced.findings, *result.findings), figures=figures)


@only_adds
def explain_losses(pair: Pair, result: CheckResult, plan: Plan) -> CheckResult:
    """Name the regularisers and losses at fault before what they caused in an entry beside the outputs.

    Args:
        pair: the twins.
        result: what the entries came to.
        plan: what the twins were run on.
    """
    if result.verdict is not Verdict.DIFFERENT:
        return result
    traced = blame(pair, NAME, plan.probes[0])
    regularisers = [finding for finding in traced.settings if "regularizer" in finding.field]
    compiled = compare_settings(NAME, settings_of(pair.reference), settings_of(pair.candidate))
    losses = [finding for finding in compiled if finding.field.startswith("loss")]
    return replace(result, findings=(*regularisers, *losses, *result.findings))


CHECK = Check(
    NAME,
    Kind.NUMERIC,
    run=run,
    beyond_proof=lambda _: (),
    next_step="compare the settings of the layer named; if the deviation is acceptable, pass rtol/atol.",
)
