"""Check ``gradients``: one pass in training mode, forward and backward, with coupled dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_kerasequiv.checks.blame.backward import blame_backward, blame_training
from pytest_kerasequiv.checks.blame.forward import layer_table
from pytest_kerasequiv.checks.compiled.in_force import compare_settings, settings_of
from pytest_kerasequiv.checks.numeric.inputs import training_probes
from pytest_kerasequiv.checks.numeric.judging import Judged, judge, tolerance_figures
from pytest_kerasequiv.checks.numeric.losses import LossPlan, plan_loss
from pytest_kerasequiv.checks.numeric.repeating import unrepeatable
from pytest_kerasequiv.checks.numeric.tensors import VariablePairs, explaining, shortened
from pytest_kerasequiv.checks.numeric.training_pass import (
    Observation,
    observe,
    one_sided,
    parts_of,
    zero_share,
)
from pytest_kerasequiv.checks.numeric.views import sides_of, unmapped
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.surface.probes import Probe
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
    missing = unmapped(pair, NAME)
    if missing is not None:
        return missing
    probes = training_probes(pair, NAME)
    if isinstance(probes, CheckResult):
        return probes
    plan = plan_loss(pair, probes)
    reference_side, candidate_side = sides_of(pair)
    wants_oracle = rtol is None and atol is None
    reference = observe(reference_side, probes, plan, seed=pair.seed, oracle=wants_oracle, perturb=True)
    both_exact = wants_oracle and reference.exact is not None
    try:
        candidate = observe(candidate_side, probes, plan, seed=pair.seed, oracle=both_exact)
    except Exception as error:
        return _candidate_fails(error)
    mapping = VariablePairs.of(pair)
    result = compare(reference, candidate, mapping, [probe.name for probe in probes], rtol=rtol, atol=atol)
    random = unrepeatable(pair, NAME, probes[0], plan) if result.verdict is Verdict.DIFFERENT else None
    return _finished(pair, result, probes, plan) if random is None else random


def _candidate_fails(error: Exception) -> CheckResult:
    first = (str(error).strip().splitlines() or [""])[0]
    message = f"only the candidate fails in training mode: {type(error).__name__}: {first}"
    finding = Finding(NAME, None, None, "error", None, f"{type(error).__name__}: {first}", message)
    return CheckResult(NAME, Verdict.DIFFERENT, Evidence.MEASURED, (finding,))


def compare(
    reference: Observation,
    candidate: Observation,
    mapping: VariablePairs,
    probes: Sequence[str],
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> CheckResult:
    """Decide from two observations alone.

    A tensor that disagrees as stored, but agrees in float64, counts only if it does so on every probe: at a
    kink (a relu whose input is 0 up to rounding) a gradient may jump on one batch for either side.

    Args:
        reference: the reference's passes.
        candidate: the candidate's.
        mapping: how their variables correspond.
        probes: the name of each probe.
        rtol: relative tolerance; by default derived or the dtype's default.
        atol: absolute tolerance, likewise.
    """
    found: list[Finding] = []
    judged: dict[str, list[Judged]] = {}
    where: dict[str, tuple[str | None, str | None, str]] = {}
    for index, probe in enumerate(probes):
        for part in parts_of(reference, candidate, mapping, index):
            if part.shapes_differ():
                found.append(part.shape_finding(NAME, probe))
                continue
            what = f"{part.what} on {probe!r}"
            one = judge(what, index, part.arrays, reference.dtype, rtol=rtol, atol=atol)
            judged.setdefault(part.what, []).append(one)
            where[part.what] = part.where
    found += [*one_sided(NAME, reference, candidate, mapping), *_failures(judged, where)]
    return _result(reference, candidate, [j for group in judged.values() for j in group], found)


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
    reference: Observation, candidate: Observation, judged: Sequence[Judged], found: list[Finding]
) -> CheckResult:
    counted = [j for j in judged if j.used < 1 or found]
    worst = max(counted, key=lambda j: j.used, default=None)
    figures = {
        "probes": len(reference.passes),
        "tolerance": tolerance_figures(reference, candidate, judged),
        "tensors": [j.to_dict() for j in judged],
        "worst": None if worst is None else worst.index,
        "headroom": None if worst is None or worst.used == 0 else 1 / worst.used,
        "zero_gradients": zero_share(reference),
    }
    if found:
        return CheckResult(NAME, Verdict.DIFFERENT, Evidence.MEASURED, tuple(found), figures)
    if not any(j.stored.elements > j.stored.nonfinite for j in judged):
        message = "nothing could be compared: every loss, output and gradient is NaN or infinite"
        return CheckResult(
            NAME,
            Verdict.INCONCLUSIVE,
            None,
            (Finding(NAME, None, None, "value", None, None, message),),
            figures,
        )
    return CheckResult(NAME, Verdict.EQUIVALENT, Evidence.MEASURED, (), figures)


def _finished(pair: Pair, result: CheckResult, probes: Sequence[Probe], plan: LossPlan) -> CheckResult:
    """Add the table of layers; in a failure name the layers and settings at fault before what they caused."""
    notes = list(plan.notes(NAME))
    blaming = result.verdict is Verdict.DIFFERENT
    if not blaming:
        if result.figures.get("zero_gradients") == 1.0:
            message = (
                "every gradient is zero on these batches (a dead output?), so agreement says little here"
            )
            notes.append(Finding(NAME, None, None, "value", 0.0, 0.0, message, "note"))
        return replace(result, findings=(*result.findings, *notes))
    traced = blame_training(pair, NAME, probes[result.figures.get("worst") or 0], blaming=True)
    figures = {**result.figures, "layers": layer_table(traced)}
    settings = [
        finding
        for finding in compare_settings(NAME, settings_of(pair.reference), settings_of(pair.candidate))
        if finding.field.startswith("loss")
    ]
    backward = [] if traced.findings else blame_backward(pair, NAME, probes[result.figures.get("worst") or 0])
    causes = (*settings, *backward, *traced.findings, *explaining(traced.settings, result.findings))
    return replace(
        result, findings=(*causes, *shortened(NAME, result.findings, causes), *notes), figures=figures
    )


CHECK = Check(
    NAME,
    Kind.NUMERIC,
    run=run,
    next_step="compare what acts only in training at the layer named: dropout, regularisers, trainable.",
)
