"""Comparing what two models return in inference mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_kerasequiv.checks.numeric.callers import input_findings, layer_dtype_findings, output_findings
from pytest_kerasequiv.checks.numeric.contract import (
    dtype_problems,
    notes_on,
    refusal,
    shape_problem,
    state_problems,
)
from pytest_kerasequiv.checks.numeric.doubts import doubted
from pytest_kerasequiv.checks.numeric.inference import InferenceObservation, ProbeRun
from pytest_kerasequiv.checks.numeric.observing import Views, no_answer
from pytest_kerasequiv.checks.numeric.tensor_comparison import (
    Compared,
    answered,
    compare_masks,
    compare_tensor,
    is_oracle,
    nothing_compared,
    oracle_notes,
    shown_headroom,
    tolerance_figures,
)
from pytest_kerasequiv.checks.numeric.views import unmapped
from pytest_kerasequiv.checks.tolerance import USUAL, Precision
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.running.running import Outcome, called
from pytest_kerasequiv.verdict import CheckResult, Finding

NAME = "outputs"


def compare_inference(
    reference: InferenceObservation,
    candidate: InferenceObservation,
    variables: VariableMap,
    precision: Precision = USUAL,
    *,
    own: bool = False,
) -> CheckResult:
    """Decide from two observations of inference alone.

    Args:
        reference: what the reference returned.
        candidate: what the candidate returned.
        variables: how their variables correspond. Where some have no partner, only shapes can differ.
        precision: how closely they are to agree.
        own: whether each has weights of its own, so that none need be mapped.
    """
    problems, compared = _compare_probes(reference, candidate, precision)
    missing = None if own else unmapped(NAME, variables, reference.variables, candidate.variables)
    if missing is not None and not problems:
        return missing
    found = [*_once(list(problems.values()), len(reference.probes)), *_masks(reference, candidate, problems)]
    if precision.rtol is None and precision.atol is None:
        found += dtype_problems(NAME, reference, candidate)
        found += layer_dtype_findings(NAME, reference, candidate, variables.pairs)
    if reference.names and candidate.names:
        found += output_findings(NAME, reference.outputs, candidate.outputs)
    found += state_problems(NAME, reference, candidate)
    result = _result(reference, candidate, compared, found)
    if not own:
        result = doubted(result, variables, [f for f in result.differences if f.field != "value"])
    others = [index for index, problem in problems.items() if problem.field == "shape"]
    if others:
        return replace(result, figures={**result.figures, "followed": others[0]})
    return result


def _compare_probes(
    reference: InferenceObservation, candidate: InferenceObservation, precision: Precision
) -> tuple[dict[int, Finding], list[Compared]]:
    """Return for each probe that only one side takes, or other shapes, that; of the others each tensor."""
    views = Views.of(reference, candidate)
    precision = replace(precision, cautious=reference.unperturbed)
    problems: dict[int, Finding] = {}
    compared: list[Compared] = []
    names = reference.names, candidate.names
    for index, label in enumerate(reference.probes):
        runs: Views[ProbeRun] = views.map(lambda every, index=index: every[index])  # type: ignore[misc]
        problem = refusal(NAME, label, *runs[:2]) or shape_problem(NAME, label, names, runs[:2])
        if problem is not None:
            problems[index] = problem
            continue
        first = runs.map(lambda one: one.outcome)
        second = runs.map(lambda one: one.second)
        compared += _compare_outputs(index, label, reference, first, precision)
        compared += _compare_outputs(index, f"{label}, second call", reference, second, precision)
    return problems, compared


def _compare_outputs(
    index: int,
    where: str,
    reference: InferenceObservation,
    outcomes: Views[Outcome | None],
    precision: Precision,
) -> list[Compared]:
    if outcomes.reference is None or outcomes.candidate is None:
        return []
    outputs = [
        outcomes.map(lambda one, k=k: one.outputs[k])  # type: ignore[misc]
        for k in range(len(reference.names))
    ]
    oracle = all(is_oracle(arrays, reference.dtype) for arrays in outputs)
    held = replace(precision, oracle=oracle)
    return [
        compare_tensor(f"{called(name)} on {where}", index, arrays, reference.dtype, held)
        for name, arrays in zip(reference.names, outputs, strict=True)
    ]


def _masks(
    reference: InferenceObservation, candidate: InferenceObservation, problems: dict[int, Finding]
) -> list[Finding]:
    found = []
    both = zip(reference.probes, reference.computed, candidate.computed, strict=True)
    for index, (label, ours, theirs) in enumerate(both):
        if index not in problems and ours.outcome is not None:
            found += compare_masks(NAME, label, reference.names, ours.outcome, theirs.outcome)
    return found


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


def _result(
    reference: InferenceObservation,
    candidate: InferenceObservation,
    compared: Sequence[Compared],
    found: list[Finding],
) -> CheckResult:
    worst = max(compared, key=lambda j: j.used, default=None)
    failing = None if worst is None or worst.agrees else worst
    if failing is not None:
        found.append(failing.finding(NAME))
    inputs = input_findings(NAME, reference.inputs, candidate.inputs)
    found += [finding for finding in inputs if finding.severity == "difference"]
    notes = [f for f in inputs if f.severity == "note"] + notes_on(NAME, reference, candidate, compared)
    figures = {
        "probes": len(reference.probes),
        "tolerance": tolerance_figures(reference, candidate, compared),
        "outputs": [j.to_dict() for j in compared],
        "followed": None if failing is None else failing.index,
        "headroom": shown_headroom(compared),
    }
    numbers_only = {finding.field for finding in found} <= {"value"}
    return answered(
        NAME,
        figures,
        unsteady=no_answer(NAME, reference, candidate) if numbers_only else None,
        found=found,
        nothing=nothing_compared(NAME, compared, *_nothing(reference)),
        notes=[*notes, *oracle_notes(NAME, compared)],
    )


def _nothing(reference: InferenceObservation) -> tuple[str, str]:
    """Return what is to be said where nothing could be compared, and the first error."""
    error = next((run.error for run in reference.computed if run.error), "")
    message = "nothing could be compared: every output is NaN or infinite, empty, or every probe was refused"
    return f"{message}: {error}" if error else message, error
