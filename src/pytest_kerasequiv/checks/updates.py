"""Check ``updates``: a few training steps of both twins in lock-step, plain SGD first, then as compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_kerasequiv import arguments
from pytest_kerasequiv.checks.blame.forward import blame
from pytest_kerasequiv.checks.blame.wording import explaining, only_adds
from pytest_kerasequiv.checks.compiled.in_force import compare_settings, settings_of
from pytest_kerasequiv.checks.gradients import other_shapes, prepared
from pytest_kerasequiv.checks.numeric.doubts import doubted
from pytest_kerasequiv.checks.numeric.judging import Judged, is_oracle, judge, oracle_notes, tolerance_figures
from pytest_kerasequiv.checks.numeric.laws import equal_in_law
from pytest_kerasequiv.checks.numeric.observing import Views, no_answer
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.steps import StepsObservation, observe
from pytest_kerasequiv.checks.numeric.tensors import Tensor, step_tensors
from pytest_kerasequiv.checks.numeric.training_pass import not_told_to_train, notes_on_loss
from pytest_kerasequiv.checks.numeric.views import views_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

NAME = "updates"

PHASES = {"sgd": "plain SGD", "compiled": "compiled optimizer"}


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
    steps = arguments.positive("steps", steps)
    rtol, atol = (pair.rtol if rtol is None else rtol), (pair.atol if atol is None else atol)
    plan: Plan | CheckResult | None = None
    try:
        plan = prepared(pair, NAME, rtol, atol, count=steps)
        if isinstance(plan, CheckResult):
            return _with_settings(pair, plan)
        plan = plan.first(steps)
        views = views_of(pair)
        reference = observe(views[0], plan)
        candidate = observe(views[1], plan.for_candidate(reference.why_no_oracle, reference.rate))
    except InputError:
        raise
    except Exception as error:  # steps that cannot be run must not hide settings that differ
        shapes = other_shapes(pair, NAME, plan) if isinstance(plan, Plan) else None
        result = _with_settings(pair, shapes or _stopped(error))
        if result.verdict is not Verdict.DIFFERENT:
            raise
        return result
    settings: dict[str, Any] = {"sharp": pair.alignment.sharp, "rtol": rtol, "atol": atol}
    result = compare(reference, candidate, pair.variable_map, **settings)
    causes = result.differences[: result.figures.get("causes", 0)]
    return explain(pair, equal_in_law(pair, plan, result, causes), plan)


def _stopped(error: Exception) -> CheckResult:
    message = f"the steps could not be run: {type(error).__name__}: {error}"
    finding = Finding(NAME, None, None, "error", None, None, message, "note")
    return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (finding,))


def _with_settings(pair: Pair, result: CheckResult) -> CheckResult:
    """Add to a result without steps the compile settings that differ; they decide."""
    found = compare_settings(NAME, settings_of(pair.reference), settings_of(pair.candidate))
    result = replace(result, findings=(*found, *result.findings))
    if not any(finding.severity == "difference" for finding in found):
        return result
    return replace(result, verdict=Verdict.DIFFERENT, evidence=Evidence.MEASURED)


def compare(
    reference: StepsObservation,
    candidate: StepsObservation,
    variables: VariableMap,
    *,
    sharp: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
) -> CheckResult:
    """Decide from two observations alone: compile settings first, then step by step.

    Weights whose true gradient is zero (in float64, on every step) are left out of the compiled phase: an
    adaptive optimizer turns the rounding noise in their gradient into steps of full length.

    Args:
        reference: the reference's steps.
        candidate: the candidate's.
        variables: how their variables correspond.
        sharp: whether the programs have one skeleton, see `checks.tolerance`.
        rtol: relative tolerance; by default derived or the dtype's default.
        atol: absolute tolerance, likewise.
    """
    settings = compare_settings(NAME, reference.settings, candidate.settings)
    precision: dict[str, Any] = {"sharp": sharp, "rtol": rtol, "atol": atol}
    lockstep = LockStep(reference, candidate, variables, _masked(reference), precision)
    judged: list[Judged] = []
    found = [finding for phase in PHASES for finding in lockstep.first_difference(phase, judged)]
    figures = _figures(lockstep, judged)
    notes = [f for f in settings if f.severity == "note"] + notes_on_loss(NAME, reference, candidate)
    notes += oracle_notes(NAME, judged)
    causes = [f for f in settings if f.severity == "difference"]
    if found:
        random = no_answer(NAME, reference, candidate)
        if random is not None and not causes:
            return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (random, *notes), figures)
        causes = [*not_told_to_train(NAME, reference, candidate), *causes]
    figures["causes"] = len(causes)
    if found or causes:
        findings = (*causes, *found, *notes)
        result = CheckResult(NAME, Verdict.DIFFERENT, Evidence.MEASURED, findings, figures)
        return doubted(result, variables, causes)
    if not any(j.stored.elements > j.stored.nonfinite for j in judged):
        message = (
            "nothing could be compared: no weights, or every one is NaN or infinite after the first step"
        )
        finding = Finding(NAME, None, None, "value", None, None, message)
        return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (finding, *notes), figures)
    return CheckResult(NAME, Verdict.EQUIVALENT, Evidence.MEASURED, tuple(notes), figures)


@only_adds
def explain(pair: Pair, result: CheckResult, plan: Plan) -> CheckResult:
    """Put before a failure the settings of layers that explain it (a constraint, a regulariser).

    Args:
        pair: the twins.
        result: what `compare` decided.
        plan: what the twins were trained on.
    """
    if not any(finding.reference_layer for finding in result.differences):
        return result
    traced = blame(pair, NAME, plan.probes[0], blaming=False, training=True)
    touched = explaining(traced.settings, [*result.findings, *_LOSS_TOUCHED])
    return replace(result, findings=(*touched, *result.findings))


_LOSS_TOUCHED = (Finding(NAME, None, None, "loss", None, None, "weights differ, so regularisers may be why"),)


def _masked(reference: StepsObservation) -> frozenset[int]:
    """Return the reference's weights whose true gradient is zero on every step; by variable index."""
    known = (reference.exact or reference.computed).get("sgd", ())
    zero = 2.0**-36 if reference.exact else 1e-6
    largest = max((g for step in known for g in step.gradients.values()), default=0.0)
    indices = {index for step in known for index in step.gradients}
    return frozenset(
        i for i in indices if max(step.gradients.get(i, 0.0) for step in known) <= zero * largest
    )


@dataclass(frozen=True)
class LockStep:
    """The two observations side by side, to be judged step by step."""

    reference: StepsObservation
    candidate: StepsObservation
    variables: VariableMap
    masked: frozenset[int]
    precision: Mapping[str, Any]

    def first_difference(self, phase: str, judged: list[Judged]) -> list[Finding]:
        """Judge step by step, into ``judged``; return the findings of the first step that differs."""
        phases = Views.of(self.reference, self.candidate).map(lambda found: found.get(phase, ()))
        pairs = [(a, b) for a, b in self.variables.pairs if phase == "sgd" or a not in self.masked]
        for number in range(min(len(phases.reference), len(phases.candidate))):
            steps = phases.map(lambda every, number=number: every[number])  # type: ignore[misc]
            failing = []
            tensors = step_tensors(steps, (self.reference, self.candidate), self.variables, pairs)
            if number == 0:  # later steps fork at kinks
                first = [tensor.views for tensor in tensors if tensor.forward]
                oracle = all(is_oracle(views, self.reference.dtype) for views in first)
                settings = {**self.precision, "oracle": oracle}
            for tensor in tensors:
                what = f"{tensor.what} after step {number + 1} ({PHASES[phase]})"
                one = judge(what, number, tensor.views, self.reference.dtype, **settings)
                judged.append(one)
                if _fails(one):
                    failing.append((tensor, one))
            if failing:
                return _as_findings(failing)
        return []


def _fails(judged: Judged) -> bool:
    """Tell whether a tensor differs: in float64 where that exists, since float32 steps fork at every kink."""
    decisive = judged.exact if judged.exact is not None else judged.stored
    return not decisive.agrees or judged.stored.split > 0


def _as_findings(failing: Sequence[tuple[Tensor, Judged]]) -> list[Finding]:
    """Return the worst difference of a step, and a note that lists the others."""
    ranked = sorted(failing, key=lambda item: -item[1].used)
    tensor, worst = ranked[0]
    found = [Finding(NAME, *tensor.where, worst.reference, worst.candidate, worst.message())]
    if ranked[1:]:
        names = ", ".join(t.what for t, _ in ranked[1:6]) + (" ..." if len(ranked) > 6 else "")
        message = f"{len(ranked) - 1} more differ after the same step: {names}"
        found.append(Finding(NAME, None, None, "value", len(ranked), None, message, "note"))
    return found


def _figures(lockstep: LockStep, judged: Sequence[Judged]) -> dict[str, Any]:
    sides = {"reference": lockstep.reference, "candidate": lockstep.candidate}
    least = max((_used(j) for j in judged if not _fails(j)), default=0.0)
    return {
        "steps": {phase: len(steps) for phase, steps in lockstep.reference.computed.items()},
        "tolerance": tolerance_figures(lockstep.reference, lockstep.candidate, judged),
        "masked": [str(lockstep.reference.variables[index]) for index in sorted(lockstep.masked)],
        "settings": {name: side.settings for name, side in sides.items()},
        "metrics": {
            phase: {
                name: [step.metrics for step in side.computed.get(phase, ())] for name, side in sides.items()
            }
            for phase in lockstep.reference.computed
        },
        "headroom": None if least == 0 else 1 / least,
    }


def _used(judged: Judged) -> float:
    return judged.exact.used if judged.exact is not None else judged.stored.used


CHECK = Check(
    NAME,
    Kind.NUMERIC,
    run=run,
    beyond_proof=lambda pair: compare_settings(
        NAME, settings_of(pair.reference), settings_of(pair.candidate)
    ),
    next_step="compare the compile settings and the trainability of the variable named above.",
)
