"""Check ``updates``: a few training steps of both twins in lock-step, plain SGD first, then as compiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_kerasequiv import arguments
from pytest_kerasequiv.checks.blame.forward import blame
from pytest_kerasequiv.checks.blame.sparse_gradients import sparse_on_one_side
from pytest_kerasequiv.checks.blame.wording import explaining, only_adds
from pytest_kerasequiv.checks.compiled.in_force import settings_of_both
from pytest_kerasequiv.checks.compiled.settings_findings import beyond_program, compare_compiled
from pytest_kerasequiv.checks.gradients import training_plans
from pytest_kerasequiv.checks.numeric import laws, steps
from pytest_kerasequiv.checks.numeric.doubts import doubted
from pytest_kerasequiv.checks.numeric.glance import unperturbed
from pytest_kerasequiv.checks.numeric.laws import (
    DrawsObservation,
    DrawsPlan,
    draws_may_tell,
    equal_in_law,
)
from pytest_kerasequiv.checks.numeric.observing import Views, no_answer
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.steps import StepsObservation
from pytest_kerasequiv.checks.numeric.tensor_comparison import (
    Compared,
    answered,
    compare_tensor,
    is_oracle,
    nothing_compared,
    oracle_notes,
    tolerance_figures,
)
from pytest_kerasequiv.checks.numeric.tensors import Tensor, step_tensors
from pytest_kerasequiv.checks.numeric.training_pass import not_run, not_told_to_train, notes_on_loss
from pytest_kerasequiv.checks.numeric.views import oracle_refused, view_of
from pytest_kerasequiv.checks.pair import Correspondence, Pair, Twin
from pytest_kerasequiv.checks.registry import Check, Settles
from pytest_kerasequiv.checks.tolerance import Precision
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.running.running import is_large
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

NAME = "updates"

PLAIN_STEPS_IF_LARGE = 3
"""Steps of plain SGD for a large model: all that builds up over steps shows under its own optimizer, too."""

PHASES = {"sgd": "plain SGD", "compiled": "compiled optimizer"}


@dataclass(frozen=True)
class UpdatesObservation:
    """What one model becomes in a few steps, and in passes under other seeds where draws differ."""

    steps: StepsObservation | None = None
    draws: DrawsObservation | None = None


def plan(
    reference: Twin,
    between: Correspondence | None = None,
    *,
    steps: int = 5,
    rtol: float | None = None,
    atol: float | None = None,
    inputs: Any = None,
    seed: int = 0,
) -> Iterator[Plan]:
    """Yield the batches of the steps, then passes under other seeds.

    Args:
        reference: the reference.
        between: what corresponds; ``None`` where nothing is known of the candidate.
        steps: how many steps of each phase; of plain SGD three at most where a large model is compiled.
        rtol: relative tolerance; where it is given, no float64 twin is run.
        atol: absolute tolerance, likewise.
        inputs: the user's own batch, which is the first; ``None`` for none.
        seed: seed of the batches.

    Raises:
        InputError: ``steps`` is not a positive whole number.
    """
    count = arguments.positive("steps", steps)
    why = oracle_refused(between, rtol, atol)
    given = {
        "seed": seed,
        "why_no_oracle": why,
        "plain": PLAIN_STEPS_IF_LARGE if is_large(reference.model) else None,
    }
    for one in training_plans(reference, between, inputs, count=count, **given):
        yield one.first(count)


def observe(twin: Twin, on: Plan) -> UpdatesObservation:
    """Run one twin on a plan."""
    view = view_of(twin)
    if isinstance(on, DrawsPlan):
        return UpdatesObservation(draws=laws.observe(view, on))
    return UpdatesObservation(steps=steps.observe(view, on))


def for_candidate(on: Plan, reference: UpdatesObservation) -> Plan:
    """Return what is left of a plan for the candidate; it descends at the reference's rate."""
    assert reference.steps is not None
    return on.for_candidate(reference.steps.why_no_oracle, reference.steps.rate)


def compare(
    reference: UpdatesObservation,
    candidate: UpdatesObservation,
    between: Correspondence,
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> CheckResult:
    """Decide from two observations alone: compile settings first, then weights, slots and metrics.

    Args:
        reference: what the reference did.
        candidate: what the candidate did.
        between: what corresponds.
        rtol: relative tolerance; by default it is derived, see `checks.tolerance`.
        atol: absolute tolerance, likewise.
    """
    assert reference.steps is not None
    assert candidate.steps is not None
    nothing = not_run(NAME, reference.steps, candidate.steps, between)
    if nothing is not None:
        return _with_settings(nothing, reference.steps, candidate.steps, between.variables)
    precision = Precision(between.alignment.sharp, rtol, atol)
    result = compare_steps(reference.steps, candidate.steps, between.variables, precision)
    return equal_in_law(result, reference.draws, candidate.draws, between)


def _with_settings(
    result: CheckResult,
    reference: StepsObservation,
    candidate: StepsObservation,
    variables: VariableMap,
) -> CheckResult:
    """Add to a result without steps the compile settings that differ; they decide."""
    found = compare_compiled(NAME, reference.settings, candidate.settings, variables)
    result = replace(result, findings=(*found, *result.findings))
    if not any(finding.severity == "difference" for finding in found):
        return result
    return replace(result, verdict=Verdict.DIFFERENT, evidence=Evidence.MEASURED)


def compare_steps(
    reference: StepsObservation,
    candidate: StepsObservation,
    variables: VariableMap,
    precision: Precision,
) -> CheckResult:
    """Decide from the steps of both: compile settings first, then step by step.

    Weights whose true gradient is zero (in float64, on every step) are left out of the compiled phase: an
    adaptive optimizer turns the rounding noise in their gradient into steps of full length.

    Args:
        reference: the reference's steps.
        candidate: the candidate's.
        variables: how their variables correspond.
        precision: how closely they are to agree.
    """
    settings = compare_compiled(NAME, reference.settings, candidate.settings, variables)
    lockstep = LockStep(reference, candidate, variables, _masked(reference), precision)
    compared: list[Compared] = []
    found = [finding for phase in PHASES for finding in lockstep.first_difference(phase, compared)]
    causes = [f for f in settings if f.severity == "difference"]
    unsteady = no_answer(NAME, reference, candidate) if found and not causes else None
    if found:
        causes = [*not_told_to_train(NAME, reference, candidate), *causes]
    notes = [f for f in settings if f.severity == "note"] + notes_on_loss(NAME, reference, candidate)
    message = "nothing could be compared: no weights, or every one is NaN or infinite after the first step"
    result = answered(
        NAME,
        {**_figures(lockstep, compared), "causes": len(causes)},
        unsteady=unsteady,
        found=[*causes, *found],
        nothing=nothing_compared(NAME, compared, message),
        notes=[*notes, *oracle_notes(NAME, compared)],
    )
    return doubted(result, variables, causes)


def glances(on: Plan, between: Correspondence) -> Iterator[tuple[Plan, Settles]]:
    """Yield the plan without its perturbed run; for a large model, then with a perturbed first step.

    That step tells for a deep model, too, that rounding explains how far float64 is from what is stored.
    """
    large = is_large(between.reference.model)
    for part, settles in unperturbed(on, between):
        yield part, settles
        if large:
            yield replace(on, briefly=True), settles


@only_adds
def explain(pair: Pair, result: CheckResult, plans: Sequence[Plan]) -> CheckResult:
    """Put before a failure the settings of layers that explain it (a constraint, a regulariser).

    Args:
        pair: the twins.
        result: what `compare` decided.
        plans: what the twins were trained on.
    """
    if "steps" not in result.figures or not any(one.reference_layer for one in result.differences):
        return result
    traced = blame(pair, NAME, plans[0].probes[0], blaming=False, training=True)
    touched = explaining(traced.settings, [*result.findings, *_LOSS_TOUCHED])
    if not touched and PHASES["compiled"] in result.differences[0].message:
        touched = sparse_on_one_side(pair, NAME, plans[0].probes[0])
    return replace(result, findings=(*touched, *result.findings))


_LOSS_TOUCHED = (Finding.difference(NAME, "loss", "weights differ, so regularisers may be why"),)


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
    """The two observations side by side, to be compared step by step."""

    reference: StepsObservation
    candidate: StepsObservation
    variables: VariableMap
    masked: frozenset[int]
    precision: Precision

    def first_difference(self, phase: str, compared: list[Compared]) -> list[Finding]:
        """Compare step by step, into ``compared``; return the findings of the first step that differs."""
        phases = Views.of(self.reference, self.candidate).map(lambda found: found.get(phase, ()))
        pairs = [(a, b) for a, b in self.variables.pairs if phase == "sgd" or a not in self.masked]
        for number in range(min(len(phases.reference), len(phases.candidate))):
            steps: Views[Any] = phases.map(lambda every, n=number: next(iter(every[n:]), None))  # type: ignore[misc]
            failing = []
            tensors = step_tensors(steps, (self.reference, self.candidate), self.variables, pairs)
            if number == 0:  # later steps fork at kinks
                first = [tensor.views for tensor in tensors if tensor.forward]
                oracle = all(is_oracle(views, self.reference.dtype) for views in first)
                cautious = self.reference.unperturbed
                precision = replace(self.precision, oracle=oracle, cautious=cautious)
            for tensor in tensors:
                what = f"{tensor.what} after step {number + 1} ({PHASES[phase]})"
                one = compare_tensor(what, number, tensor.views, self.reference.dtype, precision)
                compared.append(one)
                if _fails(one):
                    failing.append((tensor, one))
            if failing:
                return _as_findings(failing)
        return []


def _fails(compared: Compared) -> bool:
    """Tell whether a tensor differs: in float64 where that exists, since float32 steps fork at every kink."""
    decisive = compared.exact if compared.exact is not None else compared.stored
    return not decisive.agrees or compared.stored.split > 0


def _as_findings(failing: Sequence[tuple[Tensor, Compared]]) -> list[Finding]:
    """Return the worst difference of a step, one of a layer before others, and a note that lists the rest."""
    ranked = sorted(failing, key=lambda item: (item[0].where[0] is None, -item[1].used))
    tensor, worst = ranked[0]
    found = [worst.finding(NAME, tensor.where)]
    if ranked[1:]:
        names = ", ".join(t.what for t, _ in ranked[1:6]) + (" ..." if len(ranked) > 6 else "")
        message = f"{len(ranked) - 1} more differ after the same step: {names}"
        found.append(Finding.note(NAME, "value", message, values=(len(ranked), None)))
    return found


def _figures(lockstep: LockStep, compared: Sequence[Compared]) -> dict[str, Any]:
    sides = {"reference": lockstep.reference, "candidate": lockstep.candidate}
    least = max((_used(j) for j in compared if not _fails(j)), default=0.0)
    return {
        "steps": {phase: len(steps) for phase, steps in lockstep.reference.computed.items()},
        "tolerance": tolerance_figures(lockstep.reference, lockstep.candidate, compared),
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


def _used(compared: Compared) -> float:
    return compared.exact.used if compared.exact is not None else compared.stored.used


CHECK = Check(
    NAME,
    Kind.NUMERIC,
    plan=plan,
    observe=observe,
    for_candidate=for_candidate,
    compare=compare,
    glances=glances,
    further=draws_may_tell,
    explain=explain,
    beyond_proof=lambda pair: beyond_program(
        NAME, *settings_of_both(pair.reference, pair.candidate), pair.variable_map
    ),
    next_step="compare how both sides are compiled, and what is trainable.",
)
