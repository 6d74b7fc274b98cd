"""Check ``gradients``: one pass in training mode, forward and backward, with coupled dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.checks.blame.backward import blame_backward
from pytest_kerasequiv.checks.blame.forward import blame, layer_table
from pytest_kerasequiv.checks.blame.wording import explaining, only_adds
from pytest_kerasequiv.checks.compiled.in_force import compare_settings
from pytest_kerasequiv.checks.numeric.doubts import doubted
from pytest_kerasequiv.checks.numeric.judging import Judged, is_oracle, judge, oracle_notes, tolerance_figures
from pytest_kerasequiv.checks.numeric.laws import equal_in_law
from pytest_kerasequiv.checks.numeric.observing import no_answer
from pytest_kerasequiv.checks.numeric.plans import Plan, training_plan
from pytest_kerasequiv.checks.numeric.tensors import one_sided, pass_tensors, shortened, zero_share
from pytest_kerasequiv.checks.numeric.training_pass import (
    BackwardObservation,
    not_told_to_train,
    notes_on_loss,
    observe,
)
from pytest_kerasequiv.checks.numeric.views import joint_survey, oracle_refused, unmapped, views_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.surface.probes import NoProbes
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

NAME = "gradients"


def run(pair: Pair, *, rtol: float | None = None, atol: float | None = None) -> CheckResult:
    """Compare a training pass of the twins: outputs, losses, gradients, and what it writes (BatchNorm).

    Args:
        pair: the twins.
        rtol: relative tolerance; by default it is derived, see `checks.tolerance`.
        atol: absolute tolerance, likewise.
    """
    rtol, atol = (pair.rtol if rtol is None else rtol), (pair.atol if atol is None else atol)
    plan = prepared(pair, NAME, rtol, atol)
    if isinstance(plan, CheckResult):
        return plan
    views = views_of(pair)
    reference = observe(views[0], plan)
    try:
        candidate = observe(views[1], plan.for_candidate(reference.why_no_oracle))
    except Exception as error:
        return other_shapes(pair, NAME, plan) or _candidate_fails(error)
    settings: dict[str, Any] = {"sharp": pair.alignment.sharp, "rtol": rtol, "atol": atol}
    result = compare(reference, candidate, pair.variable_map, **settings)
    return explain(pair, equal_in_law(pair, plan, result, split(result)[0]), plan)


def prepared(
    pair: Pair, check: str, rtol: float | None, atol: float | None, count: int = 2
) -> Plan | CheckResult:
    """Return what both twins are trained on; an INCONCLUSIVE result where they cannot be.

    Args:
        pair: the twins.
        check: name of the check on whose behalf.
        rtol: the user's relative tolerance.
        atol: the user's absolute tolerance.
        count: how many batches to generate.
    """
    views = views_of(pair)
    if pair.twins.weights != "own":
        missing = unmapped(check, pair.variable_map, views[0].labels(), views[1].labels())
        if missing is not None:
            return missing
    settings = {"seed": pair.seed, "why_no_oracle": oracle_refused(pair, rtol, atol)}
    try:
        try:
            found = joint_survey(pair)
        except NoProbes:
            found = None
        return training_plan(views[0], found, pair.inputs, count=count, **settings)
    except NoProbes as error:
        finding = Finding(check, None, None, "inputs", None, None, f"not compared: {error}")
        return CheckResult(check, Verdict.INCONCLUSIVE, None, (finding,))


def other_shapes(pair: Pair, check: str, plan: Plan) -> CheckResult | None:
    """Return DIFFERENT where the outputs have other shapes, so that no targets fit both; else ``None``.

    Args:
        pair: the twins.
        check: name of the check on whose behalf.
        plan: what failed for the candidate.
    """
    batch = plan.probes[0].inputs
    ours, theirs = (view.runner().output_shapes(batch) for view in views_of(pair))
    if ours == theirs:
        return None
    message = f"not trained: the outputs have other shapes, {ours} against {theirs}, so no targets fit both"
    finding = Finding(check, None, None, "shape", ours, theirs, message)
    return CheckResult(check, Verdict.DIFFERENT, Evidence.MEASURED, (finding,))


def _candidate_fails(error: Exception) -> CheckResult:
    first = (str(error).strip().splitlines() or [""])[0]
    message = f"only the candidate fails in training mode: {type(error).__name__}: {first}"
    finding = Finding(NAME, None, None, "error", None, f"{type(error).__name__}: {first}", message)
    return CheckResult(NAME, Verdict.DIFFERENT, Evidence.MEASURED, (finding,))


def compare(
    reference: BackwardObservation,
    candidate: BackwardObservation,
    variables: VariableMap,
    *,
    sharp: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
) -> CheckResult:
    """Decide from two observations alone.

    A tensor that disagrees as stored, but agrees in float64, counts only if it does so on every probe: at a
    kink (a relu whose input is 0 up to rounding) a gradient may jump on one batch for either side.

    Args:
        reference: the reference's passes.
        candidate: the candidate's.
        variables: how their variables correspond.
        sharp: whether the programs have one skeleton, see `checks.tolerance`.
        rtol: relative tolerance; by default derived or the dtype's default.
        atol: absolute tolerance, likewise.
    """
    found: list[Finding] = []
    judged: dict[str, list[Judged]] = {}
    where: dict[str, tuple[str | None, str | None, str]] = {}
    for index, probe in enumerate(reference.probes):
        tensors = pass_tensors(reference, candidate, variables, index)
        oracle = all(is_oracle(tensor.views, reference.dtype) for tensor in tensors if tensor.forward)
        settings: dict[str, Any] = {"sharp": sharp, "oracle": oracle, "rtol": rtol, "atol": atol}
        for tensor in tensors:
            problem = tensor.shape_finding(NAME, probe)
            if problem is not None:
                found.append(problem)
                continue
            what = f"{tensor.what} on {probe!r}"
            one = judge(what, index, tensor.views, reference.dtype, **settings)
            judged.setdefault(tensor.what, []).append(one)
            where[tensor.what] = tensor.where
    found += [*one_sided(NAME, reference, candidate, variables.pairs), *_failures(judged, where)]
    result = _result(reference, candidate, [j for group in judged.values() for j in group], found)
    return doubted(result, variables, split(result)[0] + [f for f in found if f.field == "shape"])


def _failures(
    judged: Mapping[str, Sequence[Judged]], where: Mapping[str, tuple[str | None, str | None, str]]
) -> list[Finding]:
    """Return a finding for each tensor that fails, the worst first."""
    failing = {what: worst for what, group in judged.items() if (worst := _failing(group)) is not None}
    return [
        Finding(NAME, *where[what], worst.reference, worst.candidate, worst.message())
        for what, worst in sorted(failing.items(), key=lambda item: -item[1].used)
    ]


def _failing(group: Sequence[Judged]) -> Judged | None:
    """Return the worst failure of one tensor over the probes, if it counts."""
    failures = [j for j in group if not j.agrees]
    if not failures:
        return None
    exactly = [j for j in failures if j.exact is not None and not j.exact.agrees]
    only_stored = [j for j in failures if j.exact is not None and j.exact.agrees and not j.stored.split]
    if not exactly and len(only_stored) == len(failures) and len(failures) < max(len(group), 2):
        return None
    return max(exactly or failures, key=lambda j: j.used)


def _result(
    reference: BackwardObservation,
    candidate: BackwardObservation,
    judged: Sequence[Judged],
    found: Sequence[Finding],
) -> CheckResult:
    counted = [j for j in judged if j.used < 1 or found]
    worst = max(counted, key=lambda j: j.used, default=None)
    zero = zero_share(reference)
    figures = {
        "probes": len(reference.computed),
        "tolerance": tolerance_figures(reference, candidate, judged),
        "tensors": [j.to_dict() for j in judged],
        "worst": None if worst is None else worst.index,
        "headroom": None if worst is None or worst.used == 0 else 1 / worst.used,
        "zero_gradients": zero,
    }
    notes = [*notes_on_loss(NAME, reference, candidate), *oracle_notes(NAME, judged)]
    if found:
        random = no_answer(NAME, reference, candidate)
        if random is not None:
            return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (random,), figures)
        losses = [
            finding
            for finding in compare_settings(NAME, reference.settings, candidate.settings)
            if finding.field.startswith("loss")
        ]
        causes = [*not_told_to_train(NAME, reference, candidate), *losses]
        figures["causes"] = len(causes)
        return CheckResult(NAME, Verdict.DIFFERENT, Evidence.MEASURED, (*causes, *found, *notes), figures)
    if not any(j.stored.elements > j.stored.nonfinite for j in judged):
        message = "nothing could be compared: every loss, output and gradient is NaN or infinite"
        finding = Finding(NAME, None, None, "value", None, None, message)
        return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (finding, *notes), figures)
    if zero == 1.0:
        message = "every gradient is zero on these batches (a dead output?), so agreement says little here"
        notes.append(Finding(NAME, None, None, "value", 0.0, 0.0, message, "note"))
    return CheckResult(NAME, Verdict.EQUIVALENT, Evidence.MEASURED, tuple(notes), figures)


def split(result: CheckResult) -> tuple[list[Finding], list[Finding]]:
    """Return the causes that `compare` put first, and the other findings."""
    count = result.figures.get("causes", 0)
    return list(result.findings[:count]), list(result.findings[count:])


@only_adds
def explain(pair: Pair, result: CheckResult, plan: Plan) -> CheckResult:
    """Name the layers and settings at fault before what they caused, and add the table of layers.

    Args:
        pair: the twins.
        result: what `compare` decided.
        plan: what the twins were run on.
    """
    if result.verdict is not Verdict.DIFFERENT or "worst" not in result.figures:
        return result
    known, effects = split(result)
    probe = plan.probes[result.figures["worst"] or 0]
    traced = blame(pair, NAME, probe, training=True)
    layers = [] if known[:1] and known[0].field == "training" else list(traced.findings)
    backward = [] if traced.findings else blame_backward(pair, NAME, probe)
    causes = [*known, *backward, *layers, *explaining(traced.settings, result.findings)]
    figures = {**result.figures, "layers": layer_table(traced)}
    return replace(result, findings=(*causes, *shortened(NAME, effects, causes)), figures=figures)


CHECK = Check(
    NAME,
    Kind.NUMERIC,
    run=run,
    beyond_proof=lambda _: (),
    next_step="compare what acts only in training at the layer named: dropout, regularisers, trainable.",
)
