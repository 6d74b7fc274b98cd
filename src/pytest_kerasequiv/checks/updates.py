"""Check ``updates``: a few training steps of both twins in lock-step, plain SGD first, then as compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.checks.backward import blame_training
from pytest_kerasequiv.checks.compile_settings import compare_settings, settings_of
from pytest_kerasequiv.checks.gradients import Part, VariablePairs, explaining, like
from pytest_kerasequiv.checks.judging import Judged, judge, tolerance_figures
from pytest_kerasequiv.checks.losses import LossPlan, plan_loss
from pytest_kerasequiv.checks.sides import Side, sides_of, unmapped
from pytest_kerasequiv.checks.tolerance import largest
from pytest_kerasequiv.checks.training_inputs import training_probes
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.models.compiling import compile_settings
from pytest_kerasequiv.models.differentiating import differentiate
from pytest_kerasequiv.models.float64 import Float64Unavailable
from pytest_kerasequiv.models.lockstep import Step, compiled_steps, sgd_steps
from pytest_kerasequiv.models.perturbing import perturbed_inputs, perturbed_values
from pytest_kerasequiv.models.probes import Probe
from pytest_kerasequiv.models.running import Runner
from pytest_kerasequiv.models.workbench import compiled_for_now
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytest_kerasequiv.checks.pair import Pair

    Array = NDArray[np.generic]

NAME = "updates"

SGD_RATE = 0.01
"""Learning rate of the plain descent; lowered where a weight would move by over 0.1 in the first step."""

PHASES = ("sgd", "compiled")


@dataclass(frozen=True)
class Observation:
    """The steps of one model, phase by phase, as plain data.

    Attributes:
        dtype: the coarsest float dtype the model computes in.
        settings: its compile settings, see `compile_settings.settings_of`.
        steps: phase -> the state after each step.
        exact: the same of the float64 twin.
        perturbed: the same of the float64 twin under perturbed weights and inputs.
        why_no_oracle: why there is none.
    """

    dtype: str
    settings: Mapping[str, Any] | None
    steps: Mapping[str, tuple[Step, ...]]
    exact: Mapping[str, tuple[Step, ...]] | None = None
    perturbed: Mapping[str, tuple[Step, ...]] | None = None
    why_no_oracle: str | None = None


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
        return probes
    probes = probes[:steps]
    plan = plan_loss(pair, probes)
    sides = sides_of(pair)
    lesson = Lesson(probes, plan, *_compile_plan(pair), rate=_rate(sides[0], probes, plan))
    oracle = rtol is None and atol is None
    reference = observe(sides[0], lesson, seed=pair.seed, oracle=oracle, perturb=True)
    candidate = observe(sides[1], lesson, seed=pair.seed, oracle=oracle and reference.exact is not None)
    mapping = VariablePairs.of(pair)
    result = compare(reference, candidate, mapping, rtol=rtol, atol=atol, notes=plan.notes(NAME))
    return _explained(pair, result, probes)


def _explained(pair: Pair, result: CheckResult, probes: Sequence[Probe]) -> CheckResult:
    """Put before a failure the settings of layers that explain it (a constraint, a regulariser)."""
    if not any(finding.reference_layer for finding in result.differences):
        return result
    traced = blame_training(pair, NAME, probes[0], blaming=False)
    touched = explaining(traced.settings, [*result.findings, *_LOSS_TOUCHED])
    return replace(result, findings=(*touched, *result.findings))


_LOSS_TOUCHED = (Finding(NAME, None, None, "loss", None, None, "weights differ, so regularisers may be why"),)


@dataclass(frozen=True)
class Lesson:
    """What both twins are trained on.

    Attributes:
        probes: one batch for each step.
        plan: loss and targets.
        reference: compile settings of the reference; ``None`` where neither side is compiled.
        candidate: those of the candidate; the reference's where it has none, and the other way round.
        rate: learning rate of the plain descent.
    """

    probes: Sequence[Probe]
    plan: LossPlan
    reference: Mapping[str, Any] | None
    candidate: Mapping[str, Any] | None
    rate: float = SGD_RATE


def _rate(side: Side, probes: Sequence[Probe], plan: LossPlan) -> float:
    """Return a learning rate at which the first step moves no weight by more than 0.1."""
    runner = side.runner()
    with runner.holding(), compiled_for_now(runner.model, plan.settings_of(runner.model)):
        runner.uses_loss = plan.compiled
        first = differentiate(runner, probes[0].inputs, plan.targets[0])
    steepest = max((largest(gradient) for gradient in first.gradients.values()), default=0.0)
    return min(SGD_RATE, 0.1 / steepest) if steepest > 0 else SGD_RATE


def _compile_plan(pair: Pair) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    own = [_with_loss(compile_settings(model)) for model in (pair.reference, pair.candidate)]
    return own[0] or own[1], own[1] or own[0]


def _with_loss(settings: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return settings that can train: with a loss, and without XLA, which draws other dropout masks."""
    if settings is None or settings.get("loss") is None:
        return None
    return {**settings, "jit_compile": False}


def _with_settings(pair: Pair, result: CheckResult) -> CheckResult:
    found = compare_settings(NAME, settings_of(pair.reference), settings_of(pair.candidate))
    decides = any(finding.severity == "difference" for finding in found)
    verdict = Verdict.DIFFERENT if decides else result.verdict
    evidence = Evidence.MEASURED if decides else None
    return replace(result, verdict=verdict, evidence=evidence, findings=(*found, *result.findings))


def observe(
    side: Side, lesson: Lesson, *, seed: int = 0, oracle: bool = True, perturb: bool = False
) -> Observation:
    """Train one twin, from its given values, once by plain SGD and once as compiled; it is left as it was.

    Args:
        side: the twin.
        lesson: what it is trained on.
        seed: seed of the perturbation.
        oracle: whether the float64 twin is trained too.
        perturb: whether the float64 twin is trained from perturbed weights as well.
    """
    settings = lesson.reference if side.first else lesson.candidate
    inputs = [probe.inputs for probe in lesson.probes]
    steps = _train(side.runner(), lesson, settings, inputs)
    exact, perturbed, why = None, None, "rtol or atol was given" if not oracle else None
    if oracle:
        try:
            with side.exact_runner() as wide:
                exact = _train(wide, lesson, settings, inputs)
                if perturb:
                    moved = wide.under(perturbed_values(wide.model, side.values, side.dtype, seed))
                    changed = [perturbed_inputs(batch, side.dtype, seed) for batch in inputs]
                    perturbed = _train(moved, lesson, settings, changed)
        except Float64Unavailable as reason:
            why = str(reason)
    return Observation(side.dtype, settings_of(side.model), steps, exact, perturbed, why)


def _train(
    runner: Runner,
    lesson: Lesson,
    settings: Mapping[str, Any] | None,
    inputs: Sequence[Sequence[Array]],
) -> dict[str, tuple[Step, ...]]:
    batches = list(zip(inputs, lesson.plan.targets, strict=True))
    found = {}
    with ExitStack() as stack:
        stack.enter_context(runner.holding())
        with compiled_for_now(runner.model, lesson.plan.settings_of(runner.model)):
            runner.uses_loss = lesson.plan.compiled
            found["sgd"] = sgd_steps(runner, batches, lesson.rate)
        if settings is not None:
            with compiled_for_now(runner.model, settings):
                found["compiled"] = compiled_steps(runner, batches)
    return found


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
    judged: list[Judged] = []
    for phase in PHASES:
        if phase in reference.steps and phase in candidate.steps:
            first = _first_difference(reference, candidate, mapping, phase, masked, judged, (rtol, atol))
            found += first
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


def _first_difference(
    reference: Observation,
    candidate: Observation,
    mapping: VariablePairs,
    phase: str,
    masked: frozenset[int],
    judged: list[Judged],
    given: tuple[float | None, float | None],
) -> list[Finding]:
    """Judge step by step, into ``judged``; return the findings of the first step that differs."""
    for number in range(min(len(reference.steps[phase]), len(candidate.steps[phase]))):
        parts = _step_parts(reference, candidate, mapping, phase, number, masked)
        failing = []
        for part in parts:
            one = _judge(part, number, phase, reference, candidate, given)
            judged.append(one)
            if _fails(one):
                failing.append((part, one))
        if failing:
            return _as_findings(failing)
    return []


def _judge(
    part: Part,
    number: int,
    phase: str,
    reference: Observation,
    candidate: Observation,
    given: tuple[float | None, float | None],
) -> Judged:
    what = f"{part.what} after step {number + 1} ({_PHASE_NAMES[phase]})"
    return judge(what, number, part.arrays, reference.dtype, rtol=given[0], atol=given[1])


_PHASE_NAMES = {"sgd": "plain SGD", "compiled": "compiled optimizer"}


def _fails(judged: Judged) -> bool:
    """Tell whether a tensor differs: in float64 where that exists, since float32 steps fork at every kink."""
    decisive = judged.exact if judged.exact is not None else judged.stored
    return not decisive.agrees or judged.stored.split > 0


def _step_parts(
    reference: Observation,
    candidate: Observation,
    mapping: VariablePairs,
    phase: str,
    number: int,
    masked: frozenset[int],
) -> list[Part]:
    steps = [
        None if group is None or phase not in group else group[phase][number]
        for group in (reference.steps, candidate.steps, reference.exact, candidate.exact, reference.perturbed)
    ]
    parts = []
    for a, b in mapping.pairs:
        if phase == "compiled" and a in masked:
            continue
        ours, theirs = mapping.reference[a], mapping.candidate[b]
        if a in steps[0].weights and b in steps[1].weights:
            arrays = _arrays(steps, "weights", a, b)
            parts.append(Part(f"weight {str(ours)!r}", (ours.layer, theirs.layer, ours.role), arrays))
        for slot, index in steps[0].slots:
            if index == a and (slot, b) in steps[1].slots:
                arrays = _arrays(steps, "slots", (slot, a), (slot, b))
                what = f"optimizer slot {slot!r} of {str(ours)!r}"
                parts.append(Part(what, (ours.layer, theirs.layer, f"optimizer.{slot}"), arrays))
    return [*parts, *_metric_parts(steps)]


def _metric_parts(steps: Sequence[Any]) -> list[Part]:
    import numpy as np

    parts = []
    for name in steps[0].metrics:
        if name in steps[1].metrics:
            arrays = tuple(None if s is None else np.asarray(s.metrics[name]) for s in steps)
            parts.append(Part(f"metric {name!r}", (None, None, f"metrics.{name}"), arrays))
    return parts


def _arrays(steps: Sequence[Any], field: str, ours: Any, theirs: Any) -> tuple[Array | None, ...]:
    keys = (ours, theirs, ours, theirs, ours)
    arrays = [None if s is None else getattr(s, field).get(key) for s, key in zip(steps, keys, strict=True)]
    shape = arrays[0].shape
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
