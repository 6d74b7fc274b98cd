"""Check ``gradients``: one pass in training mode, forward and backward, with coupled dropout."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.checks.backward import blame_backward, blame_training
from pytest_kerasequiv.checks.blame import layer_table
from pytest_kerasequiv.checks.compile_settings import compare_settings, settings_of
from pytest_kerasequiv.checks.judging import Judged, judge, tolerance_figures
from pytest_kerasequiv.checks.losses import LossPlan, plan_loss
from pytest_kerasequiv.checks.parts import Part, VariablePairs, explaining, part_of, shortened
from pytest_kerasequiv.checks.repeating import unrepeatable
from pytest_kerasequiv.checks.sides import Side, sides_of, unmapped
from pytest_kerasequiv.checks.training_inputs import training_probes
from pytest_kerasequiv.models.differentiating import Pass, differentiate
from pytest_kerasequiv.models.float64 import Float64Unavailable
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


NAME = "gradients"


@dataclass(frozen=True)
class Observation:
    """What one model does in training mode on each probe, as plain data; see `answers.Observation`."""

    names: tuple[str, ...]
    dtype: str
    passes: tuple[Pass, ...]
    exact: tuple[Pass, ...] | None = None
    perturbed: tuple[Pass, ...] | None = None
    why_no_oracle: str | None = None


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


def observe(
    side: Side,
    probes: Sequence[Probe],
    plan: LossPlan,
    *,
    seed: int = 0,
    oracle: bool = True,
    perturb: bool = False,
) -> Observation:
    """Run one training pass of one twin on each probe.

    Args:
        side: the twin.
        probes: the batches.
        plan: the loss and the targets for each probe.
        seed: seed of the perturbation.
        oracle: whether the float64 twin is run too.
        perturb: whether the float64 twin is run under perturbed weights and inputs as well.
    """
    runner = side.runner()
    passes = _passes(runner, plan, [probe.inputs for probe in probes])
    exact, perturbed, why = None, None, "rtol or atol was given" if not oracle else None
    if oracle:
        try:
            with side.exact_runner() as wide:
                exact = _passes(wide, plan, [probe.inputs for probe in probes])
                if perturb:
                    moved = wide.under(perturbed_values(wide.model, side.values, side.dtype, seed))
                    inputs = [perturbed_inputs(probe.inputs, side.dtype, seed) for probe in probes]
                    perturbed = _passes(moved, plan, inputs)
        except Float64Unavailable as reason:
            why = str(reason)
    return Observation(plan.names, side.dtype, passes, exact, perturbed, why)


def _passes(runner: Runner, plan: LossPlan, inputs: Sequence[Sequence[Array]]) -> tuple[Pass, ...]:
    with ExitStack() as stack:
        stack.enter_context(runner.holding())
        stack.enter_context(compiled_for_now(runner.model, plan.settings_of(runner.model)))
        runner.uses_loss = plan.compiled
        return tuple(differentiate(runner, batch, plan.targets[index]) for index, batch in enumerate(inputs))


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
        for part in _parts(reference, candidate, mapping, index):
            if part.shapes_differ():
                found.append(part.shape_finding(NAME, probe))
                continue
            one = judge(
                f"{part.what} on {probe!r}", index, part.arrays, reference.dtype, rtol=rtol, atol=atol
            )
            judged.setdefault(part.what, []).append(one)
            where[part.what] = part.where
    found += _one_sided(reference, candidate, mapping)
    failing = {what: worst for what, group in judged.items() if (worst := _failing(group)) is not None}
    for what, worst in sorted(failing.items(), key=lambda item: -item[1].used):
        layers = where[what]
        found.append(
            Finding(NAME, layers[0], layers[1], layers[2], worst.reference, worst.candidate, worst.message())
        )
    return _result(reference, candidate, [j for group in judged.values() for j in group], found)


def _parts(reference: Observation, candidate: Observation, mapping: VariablePairs, index: int) -> list[Part]:
    passes = [
        None if group is None else group[index]
        for group in (
            reference.passes,
            candidate.passes,
            reference.exact,
            candidate.exact,
            reference.perturbed,
        )
    ]
    first = reference.passes[index]
    parts = [
        part_of(
            f"output {name!r} in training mode",
            (None, None, "value"),
            passes,
            "outputs",
            (position, position),
        )
        for position, name in enumerate(reference.names)
    ]
    parts += [
        Part("regularisation and added losses", (None, None, "losses"), _attribute(passes, "extra")),
        Part("the loss", (None, None, "loss"), _attribute(passes, "loss")),
    ]
    for field, what in (("gradients", "the gradient of"), ("state", "the update of")):
        for a, b in mapping.pairs:
            if a in getattr(first, field) and b in getattr(candidate.passes[index], field):
                ours, theirs = mapping.reference[a], mapping.candidate[b]
                where = (ours.layer, theirs.layer, ours.role)
                parts.append(part_of(f"{what} {str(ours)!r}", where, passes, field, (a, b)))
    for position in sorted(first.input_gradients):
        what = f"the gradient of input {position}"
        parts.append(part_of(what, (None, None, "value"), passes, "input_gradients", (position, position)))
    return parts


def _attribute(passes: Sequence[Any], field: str) -> tuple[Array | None, ...]:
    return tuple(None if one is None else getattr(one, field) for one in passes)


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


def _one_sided(reference: Observation, candidate: Observation, mapping: VariablePairs) -> list[Finding]:
    """Return a finding for every weight that is trained on one side only."""
    if not reference.passes or not candidate.passes:
        return []
    found = []
    for a, b in mapping.pairs:
        trained = a in reference.passes[0].gradients, b in candidate.passes[0].gradients
        if trained[0] != trained[1]:
            ours, theirs = mapping.reference[a], mapping.candidate[b]
            message = (
                f"weight {str(ours)!r} is {'trained' if trained[0] else 'frozen'} in the reference, "
                f"{'trained' if trained[1] else 'frozen'} in the candidate"
            )
            found.append(Finding(NAME, ours.layer, theirs.layer, "trainable", *trained, message=message))
    return found


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
        "zero_gradients": _zero_share(reference),
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


def _zero_share(reference: Observation) -> float:
    """Return the share of the reference's weights whose gradient is zero on every probe."""
    import numpy as np

    names = {index for one in reference.passes for index in one.gradients}
    alive = {index for one in reference.passes for index, g in one.gradients.items() if np.any(g)}
    return 1 - len(alive) / len(names) if names else 0.0


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
