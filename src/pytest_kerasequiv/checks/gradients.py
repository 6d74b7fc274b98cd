"""Check ``gradients``: one pass in training mode, forward and backward, with coupled dropout."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_kerasequiv.checks.blame.backward import blame_backward
from pytest_kerasequiv.checks.blame.forward import blame, layer_table
from pytest_kerasequiv.checks.blame.wording import explaining, only_adds
from pytest_kerasequiv.checks.compiled.settings_findings import compare_settings
from pytest_kerasequiv.checks.numeric import laws, training_pass
from pytest_kerasequiv.checks.numeric.at_zero import ZeroPlan, steep_apart, with_zeros, zero_plan
from pytest_kerasequiv.checks.numeric.doubts import doubted
from pytest_kerasequiv.checks.numeric.glance import ONE_BATCH, glances
from pytest_kerasequiv.checks.numeric.laws import (
    DrawsObservation,
    DrawsPlan,
    draws_may_tell,
    draws_plans,
    equal_in_law,
)
from pytest_kerasequiv.checks.numeric.observing import no_answer
from pytest_kerasequiv.checks.numeric.plans import Plan, training_plan
from pytest_kerasequiv.checks.numeric.tensor_comparison import (
    Compared,
    answered,
    compare_tensor,
    is_oracle,
    nothing_compared,
    oracle_notes,
    shown_headroom,
    tolerance_figures,
)
from pytest_kerasequiv.checks.numeric.tensors import Tensor, one_sided, pass_tensors, shortened, zero_share
from pytest_kerasequiv.checks.numeric.training_pass import (
    BackwardObservation,
    not_run,
    not_told_to_train,
    notes_on_loss,
)
from pytest_kerasequiv.checks.numeric.views import hints_for, oracle_refused, survey_for, view_of
from pytest_kerasequiv.checks.pair import Correspondence, Pair, Twin
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.checks.tolerance import USUAL, Precision, largest
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

NAME = "gradients"

ZERO = 2.0**-36
"""Share of the largest gradient, in float64, up to which another one is zero but for rounding."""


@dataclass(frozen=True)
class GradientsObservation:
    """What one model does in training mode, on each batch and zeros, and where draws differ under others."""

    passes: BackwardObservation | None = None
    zeros: BackwardObservation | None = None
    draws: DrawsObservation | None = None


def plan(
    reference: Twin,
    between: Correspondence | None = None,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    inputs: Any = None,
    seed: int = 0,
) -> Iterator[Plan]:
    """Yield two batches with targets, zeros, passes under other seeds; arguments as `training_plans`."""
    why = oracle_refused(between, rtol, atol)
    first, *others = training_plans(reference, between, inputs, count=2, seed=seed, why_no_oracle=why)
    yield first
    yield from zero_plan(first, between)
    yield from others


def training_plans(
    reference: Twin, between: Correspondence | None, inputs: Any, *, count: int, **settings: Any
) -> Iterator[Plan]:
    """Yield what twins are trained on, then passes under other seeds.

    Args:
        reference: the reference.
        between: what corresponds; ``None`` where nothing is known of the candidate.
        inputs: the user's own batch; ``None`` for none.
        count: how many batches to generate.
        settings: further fields of the plan.
    """
    if between is not None and not between.comparable:
        yield Plan(why_none="the twins cannot be given the same weights", **settings)
        return
    view = view_of(reference)
    found, hints = survey_for(reference, between), hints_for(reference, between)
    first = training_plan(view, found, inputs, count=count, hints=hints, **settings)
    yield first
    yield from draws_plans(view, first)


def observe(twin: Twin, on: Plan) -> GradientsObservation:
    """Run one twin on a plan."""
    view = view_of(twin)
    if isinstance(on, ZeroPlan):
        return GradientsObservation(zeros=training_pass.observe(view, on))
    if isinstance(on, DrawsPlan):
        return GradientsObservation(draws=laws.observe(view, on))
    return GradientsObservation(passes=training_pass.observe(view, on))


def for_candidate(on: Plan, reference: GradientsObservation) -> Plan:
    """Return what is left of a plan for the candidate."""
    return on.for_candidate(None if reference.passes is None else reference.passes.why_no_oracle)


def compare(
    reference: GradientsObservation,
    candidate: GradientsObservation,
    between: Correspondence,
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> CheckResult:
    """Decide from two observations alone.

    Args:
        reference: what the reference did.
        candidate: what the candidate did.
        between: what corresponds.
        rtol: relative tolerance; by default it is derived, see `checks.tolerance`.
        atol: absolute tolerance, likewise.
    """
    assert reference.passes is not None
    assert candidate.passes is not None
    nothing = not_run(NAME, reference.passes, candidate.passes, between)
    if nothing is not None:
        refused = candidate.passes.failure is not None and reference.passes.failure is None
        return _candidate_fails(nothing, candidate.passes) if refused else nothing
    precision = Precision(between.alignment.sharp, rtol, atol)
    result = compare_passes(reference.passes, candidate.passes, between.variables, precision)
    if result.verdict is Verdict.EQUIVALENT and reference.zeros is not None and candidate.zeros is not None:
        return with_zeros(result, reference.zeros, candidate.zeros, between)
    return equal_in_law(result, reference.draws, candidate.draws, between)


def further(result: CheckResult, between: Correspondence) -> bool:
    """Whether the next plan can tell more: zeros where all agrees, draws where these differ."""
    agrees = result.verdict is Verdict.EQUIVALENT and "at zero" not in result.figures
    return (agrees and steep_apart(between)) or draws_may_tell(result, between)


def _candidate_fails(nothing: CheckResult, candidate: BackwardObservation) -> CheckResult:
    if nothing.verdict is Verdict.DIFFERENT:
        return nothing
    assert candidate.failure is not None
    said = str(candidate.failure)
    message = f"only the candidate fails in training mode: {said}"
    finding = Finding.difference(NAME, "error", message, values=(None, said))
    return CheckResult(NAME, Verdict.DIFFERENT, Evidence.MEASURED, (finding,))


def compare_passes(
    reference: BackwardObservation,
    candidate: BackwardObservation,
    variables: VariableMap,
    precision: Precision = USUAL,
) -> CheckResult:
    """Decide from the passes of both.

    A tensor that disagrees as stored, but agrees in float64, counts only if it does so on every probe: at a
    kink (a relu whose input is 0 up to rounding) a gradient may jump on one batch for either side.

    Args:
        reference: the reference's passes.
        candidate: the candidate's.
        variables: how their variables correspond.
        precision: how closely they are to agree.
    """
    found, compared = _compare_tensors(reference, candidate, variables, precision)
    found += [*one_sided(NAME, reference, candidate, variables.pairs), *_failures(compared.values())]
    result = _result(reference, candidate, [j for group in compared.values() for _, j in group], found)
    return doubted(result, variables, _split(result)[0] + [f for f in found if f.field == "shape"])


def _compare_tensors(
    reference: BackwardObservation,
    candidate: BackwardObservation,
    variables: VariableMap,
    precision: Precision,
) -> tuple[list[Finding], dict[str, list[tuple[Tensor, Compared]]]]:
    """Return which tensors have other shapes; and each of the others, compared on each probe, by name."""
    found: list[Finding] = []
    compared: dict[str, list[tuple[Tensor, Compared]]] = defaultdict(list)
    for index, probe in enumerate(reference.probes):
        tensors = pass_tensors(reference, candidate, variables, index)
        noise = _noise(reference, tensors)
        oracle = all(is_oracle(tensor.views, reference.dtype) for tensor in tensors if tensor.forward)
        held = replace(precision, oracle=oracle, cautious=reference.unperturbed)
        for tensor in tensors:
            problem = tensor.shape_finding(NAME, probe)
            if problem is not None:
                found.append(problem)
                continue
            what = f"{tensor.what} on {probe!r}"
            left = noise if tensor.gradient and _truly_zero(tensor, noise, reference.dtype) else 0.0
            one = compare_tensor(what, index, tensor.views, reference.dtype, held, noise=left)
            compared[tensor.what].append((tensor, one))
    return found, compared


def _noise(reference: BackwardObservation, tensors: Sequence[Tensor]) -> float:
    """Return one roundoff of the largest gradient: what rounding leaves of a sum of terms that cancel."""
    exact = [tensor.views.exact_reference for tensor in tensors if tensor.gradient]
    return UNIT_ROUNDOFF[reference.dtype] * max(
        (largest(one) for one in exact if one is not None), default=0.0
    )


def _truly_zero(tensor: Tensor, noise: float, dtype: str) -> bool:
    """Tell whether the reference's float64 gradient is rounding alone, as before a BatchNormalization."""
    exact = tensor.views.exact_reference
    return exact is not None and largest(exact) <= noise / UNIT_ROUNDOFF[dtype] * ZERO


def _failures(compared: Iterable[Sequence[tuple[Tensor, Compared]]]) -> list[Finding]:
    """Return a finding for each tensor that fails, the worst first."""
    worst_of = [(group[0][0], _failing([one for _, one in group])) for group in compared]
    failing = [(tensor, worst) for tensor, worst in worst_of if worst is not None]
    ranked = sorted(failing, key=lambda item: -item[1].used)
    return [worst.finding(NAME, tensor.where) for tensor, worst in ranked]


def _failing(group: Sequence[Compared]) -> Compared | None:
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
    compared: Sequence[Compared],
    found: Sequence[Finding],
) -> CheckResult:
    counted = [j for j in compared if j.used < 1 or found]
    worst = max(counted, key=lambda j: j.used, default=None)
    zero = zero_share(reference)
    settings = compare_settings(NAME, reference.settings, candidate.settings) if found else []
    losses = [finding for finding in settings if finding.field.startswith("loss")]
    causes = [*not_told_to_train(NAME, reference, candidate), *losses] if found else []
    figures = {
        "probes": len(reference.computed),
        "tolerance": tolerance_figures(reference, candidate, compared),
        "tensors": [j.to_dict() for j in compared],
        "worst": None if worst is None else worst.index,
        "headroom": shown_headroom(counted),
        "zero_gradients": zero,
        "causes": len(causes),
    }
    notes = [*notes_on_loss(NAME, reference, candidate), *oracle_notes(NAME, compared)]
    if zero == 1.0 and not found:
        message = "every gradient is zero on these batches (a dead output?), so agreement says little here"
        notes.append(Finding.note(NAME, "value", message, values=(0.0, 0.0)))
    message = "nothing could be compared: every loss, output and gradient is NaN or infinite"
    return answered(
        NAME,
        figures,
        unsteady=no_answer(NAME, reference, candidate) if found else None,
        found=[*causes, *found],
        nothing=nothing_compared(NAME, compared, message),
        notes=notes,
    )


def _split(result: CheckResult) -> tuple[list[Finding], list[Finding]]:
    """Return the causes that `compare` put first, and the other findings."""
    count = result.figures.get("causes", 0)
    return list(result.findings[:count]), list(result.findings[count:])


@only_adds
def explain(pair: Pair, result: CheckResult, plans: Sequence[Plan]) -> CheckResult:
    """Name the layers and settings at fault before what they caused, and add the table of layers.

    Args:
        pair: the twins.
        result: what `compare` decided.
        plans: what the twins were run on.
    """
    if result.verdict is not Verdict.DIFFERENT or "worst" not in result.figures:
        return result
    known, effects = _split(result)
    probe = plans[0].probes[result.figures["worst"] or 0]
    traced = blame(pair, NAME, probe, training=True, exact=plans[0].why_no_oracle != ONE_BATCH)
    layers = [] if known[:1] and known[0].field == "training" else list(traced.findings)
    backward = [] if traced.findings else blame_backward(pair, NAME, probe)
    causes = [*known, *backward, *layers, *explaining(traced.settings, result.findings)]
    figures = {**result.figures, "layers": layer_table(traced)}
    return replace(result, findings=(*causes, *shortened(NAME, effects, causes)), figures=figures)


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
    rests_on=lambda entry: entry == "training",
    next_step="compare what acts in training only: dropout, regularisers, trainable.",
)
