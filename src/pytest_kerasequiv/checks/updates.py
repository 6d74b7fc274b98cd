"""Check ``updates``: a few training steps of both twins in lock-step, plain SGD first, then as compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.blame.backward import blame_training
from pytest_kerasequiv.checks.compiled.in_force import compare_settings, settings_of
from pytest_kerasequiv.checks.numeric.inputs import training_probes
from pytest_kerasequiv.checks.numeric.judging import Judged, judge, tolerance_figures
from pytest_kerasequiv.checks.numeric.losses import plan_loss
from pytest_kerasequiv.checks.numeric.repeating import unrepeatable
from pytest_kerasequiv.checks.numeric.steps import Lesson, Observation, compile_plan, observe
from pytest_kerasequiv.checks.numeric.tensors import Label, Part, VariablePairs, explaining, like
from pytest_kerasequiv.checks.numeric.views import sides_of, unmapped
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

Array = NDArray[np.generic]


NAME = "updates"


PHASES = ("sgd", "compiled")


def run(pair: Pair, *, steps: int = 5, rtol: float | None = None, atol: float | None = None) -> CheckResult:
    """Train both twins in lock-step and compare weights, optimizer slots and metrics after each step.

    Args:
        pair: the twins.
        steps: how many steps of each phase.
        rtol: relative tolerance; by default it is derived, see `checks.tolerance`.
        atol: absolute tolerance, likewise.

    Raises:
        InputError: ``steps`` is not a positive whole number.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError(f"steps={steps!r} is no number of training steps; pass a whole number from 1 on")
    rtol, atol = (pair.rtol if rtol is None else rtol), (pair.atol if atol is None else atol)
    missing = unmapped(pair, NAME)
    if missing is not None:
        return _with_settings(pair, missing)
    probes = training_probes(pair, NAME, count=steps)
    if isinstance(probes, CheckResult):
        return _with_settings(pair, probes)
    try:
        return _trained(pair, probes[:steps], rtol, atol)
    except InputError:
        raise
    except Exception as error:  # steps that cannot be run must not hide settings that differ
        result = _with_settings(pair, _stopped(error))
        if result.verdict is not Verdict.DIFFERENT:
            raise
        return result


def _stopped(error: Exception) -> CheckResult:
    message = f"the steps could not be run: {type(error).__name__}: {error}"
    finding = Finding(NAME, None, None, "error", None, None, message, "note")
    return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (finding,))


def _trained(pair: Pair, probes: Sequence[Probe], rtol: float | None, atol: float | None) -> CheckResult:
    """Train both twins on the probes, a step each, and decide."""
    plan = plan_loss(pair, probes)
    sides = sides_of(pair)
    lesson = Lesson(probes, plan, *compile_plan(pair))
    oracle = rtol is None and atol is None
    reference = observe(sides[0], lesson, seed=pair.seed, oracle=oracle, perturb=True)
    lesson = replace(lesson, rate=reference.rate)
    candidate = observe(sides[1], lesson, seed=pair.seed, oracle=oracle and reference.exact is not None)
    mapping = VariablePairs.of(pair)
    result = compare(reference, candidate, mapping, rtol=rtol, atol=atol, notes=plan.notes(NAME))
    random = unrepeatable(pair, NAME, probes[0], plan) if result.verdict is Verdict.DIFFERENT else None
    return _explained(pair, result, probes) if random is None else _with_settings(pair, random)


def _explained(pair: Pair, result: CheckResult, probes: Sequence[Probe]) -> CheckResult:
    """Put before a failure the settings of layers that explain it (a constraint, a regulariser)."""
    if not any(finding.reference_layer for finding in result.differences):
        return result
    traced = blame_training(pair, NAME, probes[0], blaming=False)
    touched = explaining(traced.settings, [*result.findings, *_LOSS_TOUCHED])
    return replace(result, findings=(*touched, *result.findings))


_LOSS_TOUCHED = (Finding(NAME, None, None, "loss", None, None, "weights differ, so regularisers may be why"),)


def _with_settings(pair: Pair, result: CheckResult) -> CheckResult:
    found = compare_settings(NAME, settings_of(pair.reference), settings_of(pair.candidate))
    decides = any(finding.severity == "difference" for finding in found)
    verdict = Verdict.DIFFERENT if decides else result.verdict
    evidence = Evidence.MEASURED if decides else None
    return replace(result, verdict=verdict, evidence=evidence, findings=(*found, *result.findings))


def compare(
    reference: Observation,
    candidate: Observation,
    mapping: VariablePairs,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    notes: Sequence[Finding] = (),
) -> CheckResult:
    """Decide from two observations alone: compile settings first, then step by step.

    Weights whose true gradient is zero (in float64, on every step) are left out of the compiled phase: an
    adaptive optimizer turns the rounding noise in their gradient into steps of full length.

    Args:
        reference: the reference's steps.
        candidate: the candidate's.
        mapping: how their variables correspond.
        rtol: relative tolerance; by default derived or the dtype's default.
        atol: absolute tolerance, likewise.
        notes: notes to pass on.
    """
    found = compare_settings(NAME, reference.settings, candidate.settings)
    masked = _masked(reference)
    run = LockStep(reference, candidate, mapping, masked, rtol, atol)
    judged: list[Judged] = []
    for phase in PHASES:
        if phase in reference.steps and phase in candidate.steps:
            found += run.first_difference(phase, judged)
    figures = _figures(reference, candidate, mapping, masked, judged)
    findings = (*sorted(found, key=lambda f: f.severity != "difference"), *notes)
    if any(finding.severity == "difference" for finding in found):
        return CheckResult(NAME, Verdict.DIFFERENT, Evidence.MEASURED, findings, figures)
    if not any(j.stored.elements > j.stored.nonfinite for j in judged):
        message = (
            "nothing could be compared: no weights, or every one is NaN or infinite after the first step"
        )
        finding = Finding(NAME, None, None, "value", None, None, message)
        return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (finding, *findings), figures)
    return CheckResult(NAME, Verdict.EQUIVALENT, Evidence.MEASURED, findings, figures)


def _masked(reference: Observation) -> frozenset[int]:
    """Return the reference's weights whose true gradient is zero on every step; by variable index."""
    known = (reference.exact or reference.steps).get("sgd", ())
    zero = 2.0**-36 if reference.exact else 1e-6
    largest = max((g for step in known for g in step.gradients.values()), default=0.0)
    indices = {index for step in known for index in step.gradients}
    return frozenset(
        i for i in indices if max(step.gradients.get(i, 0.0) for step in known) <= zero * largest
    )


@dataclass(frozen=True)
class LockStep:
    """The two observations side by side, to be judged step by step."""

    reference: Observation
    candidate: Observation
    mapping: VariablePairs
    masked: frozenset[int]
    rtol: float | None
    atol: float | None

    def first_difference(self, phase: str, judged: list[Judged]) -> list[Finding]:
        """Judge step by step, into ``judged``; return the findings of the first step that differs."""
        for number in range(min(len(side.steps[phase]) for side in (self.reference, self.candidate))):
            failing = []
            for part in self._parts(phase, number):
                what = f"{part.what} after step {number + 1} ({_PHASE_NAMES[phase]})"
                one = judge(what, number, part.arrays, self.reference.dtype, rtol=self.rtol, atol=self.atol)
                judged.append(one)
                if _fails(one):
                    failing.append((part, one))
            if failing:
                return _as_findings(failing)
        return []

    def _parts(self, phase: str, number: int) -> list[Part]:
        groups = (
            self.reference.steps,
            self.candidate.steps,
            self.reference.exact,
            self.candidate.exact,
            self.reference.perturbed,
        )
        steps: list[Any] = [None if g is None or phase not in g else g[phase][number] for g in groups]
        parts = []
        for a, b in self.mapping.pairs:
            if phase == "compiled" and a in self.masked:
                continue
            labels = self.mapping.reference[a], self.mapping.candidate[b]
            parts += _weight_and_slots(steps, a, b, labels)
        return [*parts, *_metric_parts(steps)]


_PHASE_NAMES = {"sgd": "plain SGD", "compiled": "compiled optimizer"}


def _fails(judged: Judged) -> bool:
    """Tell whether a tensor differs: in float64 where that exists, since float32 steps fork at every kink."""
    decisive = judged.exact if judged.exact is not None else judged.stored
    return not decisive.agrees or judged.stored.split > 0


def _weight_and_slots(steps: Sequence[Any], a: int, b: int, labels: tuple[Label, Label]) -> list[Part]:
    """Return the parts of one weight: its value, and its slots in the optimizer."""
    ours, theirs = labels
    parts = []
    if a in steps[0].weights and b in steps[1].weights:
        where = (ours.layer, theirs.layer, ours.role)
        parts.append(Part(f"weight {str(ours)!r}", where, _arrays(steps, "weights", a, b)))
    for slot, index in steps[0].slots:
        if index == a and (slot, b) in steps[1].slots:
            where = (ours.layer, theirs.layer, f"optimizer.{slot}")
            what = f"optimizer slot {slot!r} of {str(ours)!r}"
            parts.append(Part(what, where, _arrays(steps, "slots", (slot, a), (slot, b))))
    return parts


def _metric_parts(steps: Sequence[Any]) -> list[Part]:
    parts = []
    for name in steps[0].metrics:
        if name in steps[1].metrics:
            arrays = tuple(None if s is None else np.asarray(s.metrics[name]) for s in steps)
            parts.append(Part(f"metric {name!r}", (None, None, f"metrics.{name}"), arrays))
    return parts


def _arrays(steps: Sequence[Any], field: str, ours: Any, theirs: Any) -> tuple[Array | None, ...]:
    keys = (ours, theirs, ours, theirs, ours)
    arrays = [None if s is None else getattr(s, field).get(key) for s, key in zip(steps, keys, strict=True)]
    shape = None if arrays[0] is None else arrays[0].shape
    return tuple(like(array, shape) for array in arrays)


def _as_findings(failing: Sequence[tuple[Part, Judged]]) -> list[Finding]:
    """Return the worst difference of a step, and a note that lists the others."""
    ranked = sorted(failing, key=lambda item: -item[1].used)
    part, worst = ranked[0]
    layer, other, role = part.where
    found = [Finding(NAME, layer, other, role, worst.reference, worst.candidate, worst.message())]
    if ranked[1:]:
        names = ", ".join(p.what for p, _ in ranked[1:6]) + (" ..." if len(ranked) > 6 else "")
        message = f"{len(ranked) - 1} more differ after the same step: {names}"
        found.append(Finding(NAME, None, None, "value", len(ranked), None, message, "note"))
    return found


def _figures(
    reference: Observation,
    candidate: Observation,
    mapping: VariablePairs,
    masked: frozenset[int],
    judged: Sequence[Judged],
) -> dict[str, Any]:
    worst = max((j for j in judged if not _fails(j)), key=_used, default=None)
    return {
        "steps": {phase: len(steps) for phase, steps in reference.steps.items()},
        "tolerance": tolerance_figures(reference, candidate, judged),
        "masked": [str(mapping.reference[index]) for index in sorted(masked)],
        "settings": {"reference": reference.settings, "candidate": candidate.settings},
        "metrics": {
            phase: {
                "reference": [step.metrics for step in reference.steps[phase]],
                "candidate": [step.metrics for step in candidate.steps.get(phase, ())],
            }
            for phase in reference.steps
        },
        "headroom": None if worst is None or _used(worst) == 0 else 1 / _used(worst),
    }


def _used(judged: Judged) -> float:
    return judged.exact.used if judged.exact is not None else judged.stored.used


CHECK = Check(
    NAME,
    Kind.NUMERIC,
    run=run,
    next_step="compare the compile settings and the trainability of the variable named above.",
)
