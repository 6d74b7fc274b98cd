"""Check ``outputs``: what the twins return in inference mode, under the same weights and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.checks.blame.forward import blame, layer_table
from pytest_kerasequiv.checks.numeric.callers import caller_findings
from pytest_kerasequiv.checks.numeric.contract import (
    dtype_problems,
    key_problems,
    narrow_ids,
    notes_on,
    refusal,
    shape_problem,
    state_problems,
)
from pytest_kerasequiv.checks.numeric.inference import Observation, observe
from pytest_kerasequiv.checks.numeric.inputs import own_inputs, survey_of
from pytest_kerasequiv.checks.numeric.judging import Judged, judge, judge_masks, tolerance_figures
from pytest_kerasequiv.checks.numeric.overrides import override_findings
from pytest_kerasequiv.checks.numeric.plain_call import plain_call_findings
from pytest_kerasequiv.checks.numeric.views import sides_of, unmapped
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.running.running import called
from pytest_kerasequiv.surface.probes import NoProbes, Probe, probes_for
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
    probes = collect_probes(pair, pair.inputs if inputs is None else inputs)
    if isinstance(probes, CheckResult):
        return probes
    reference_side, candidate_side = sides_of(pair)
    missing = unmapped(pair, NAME)
    wants_oracle = rtol is None and atol is None and missing is None
    reference = observe(reference_side, probes, seed=pair.seed, oracle=wants_oracle, perturb=True)
    candidate = observe(
        candidate_side, probes, seed=pair.seed, oracle=wants_oracle and reference.exact is not None
    )
    names = tuple((probe.name, probe.batch_size) for probe in probes)
    result = compare(reference, candidate, names, rtol=rtol, atol=atol)
    if missing is not None:
        return missing if not _shapes_differ(result) else result
    result = located(pair, result, probes)
    if not pair.program_match.proved and probes[0].name != "your inputs":
        result = replace(result, findings=(*result.findings, *narrow_ids(NAME, survey_of(pair))))
    alike = result.verdict is Verdict.EQUIVALENT
    plain = plain_call_findings(pair, NAME, _small(probes), defaults=alike)
    result = _with(result, [*plain, *caller_findings(pair, NAME, given=(rtol, atol))])
    return _with_not_run(result, override_findings(NAME, pair.reference, pair.candidate))


def _with_not_run(result: CheckResult, found: list[Finding]) -> CheckResult:
    """Add what was not run: where the sides have other code for it, what did run is no answer."""
    result = replace(result, findings=(*result.findings, *found))
    if result.verdict is Verdict.EQUIVALENT and result.differences:
        return replace(result, verdict=Verdict.INCONCLUSIVE, evidence=None)
    return result


def _with(result: CheckResult, found: list[Finding]) -> CheckResult:
    """Add differences and notes to a result."""
    differences = [finding for finding in found if finding.severity == "difference"]
    notes = [finding for finding in found if finding.severity == "note"]
    if not differences:
        return replace(result, findings=(*result.findings, *notes))
    findings = (*result.differences, *differences, *result.notes, *notes)
    return replace(result, verdict=Verdict.DIFFERENT, evidence=Evidence.MEASURED, findings=findings)


def collect_probes(pair: Pair, inputs: Any) -> tuple[Probe, ...] | CheckResult:
    """Return the user's batch and the generated ones; an INCONCLUSIVE result where there are none."""
    own = () if inputs is None else (Probe("your inputs", own_inputs(pair, inputs)),)
    side = sides_of(pair)[0]
    try:
        drawn = probes_for(survey_of(pair), pair.seed)
    except NoProbes as error:
        if own:
            return own
        finding = Finding(NAME, None, None, "inputs", None, None, f"not compared: {error}")
        return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (finding,))
    generic = replace(drawn[0], name=f"{drawn[0].name}, generic weights", generic=True)
    return (*own, *drawn, *([generic] if side.generic is not None else []))


def compare(
    reference: Observation,
    candidate: Observation,
    probes: Sequence[tuple[str, int]],
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> CheckResult:
    """Decide from two observations alone.

    Args:
        reference: what the reference returned.
        candidate: what the candidate returned.
        probes: name and batch size of each probe.
        rtol: relative tolerance; by default derived or the dtype's default.
        atol: absolute tolerance, likewise.
    """
    found: list[Finding] = []
    judged: list[Judged] = []
    names = reference.names, candidate.names
    for index, (probe, size) in enumerate(probes):
        label = f"{probe!r} (batch of {size})"
        answers = (reference.answers[index], candidate.answers[index])
        problem = refusal(NAME, label, *answers) or shape_problem(NAME, label, names, answers)
        if problem is not None:
            found.append(problem)
            continue
        if answers[0].outcome is not None:
            judged += _judge_probe(index, label, reference, candidate, (rtol, atol))
            found += judge_masks(NAME, label, reference.names, answers[0].outcome, answers[1].outcome)
    if rtol is None and atol is None:
        found += dtype_problems(NAME, reference, candidate)
    return _result(reference, candidate, judged, found, probes=len(probes))


def _judge_probe(
    index: int,
    label: str,
    reference: Observation,
    candidate: Observation,
    given: tuple[float | None, float | None],
) -> list[Judged]:
    judged = []
    for call in ("outcome", "second"):
        where = label if call == "outcome" else f"{label}, second call"
        outcomes = [
            None if answers is None else getattr(answers[index], call)
            for answers in (
                reference.answers,
                candidate.answers,
                reference.exact,
                candidate.exact,
                reference.perturbed,
            )
        ]
        if outcomes[0] is None or outcomes[1] is None:
            continue
        for position, name in enumerate(reference.names):
            arrays = [None if outcome is None else outcome.outputs[position] for outcome in outcomes]
            judged.append(
                judge(
                    f"{called(name)} on {where}",
                    index,
                    arrays,
                    reference.dtype,
                    rtol=given[0],
                    atol=given[1],
                )
            )
    return judged


def _result(
    reference: Observation,
    candidate: Observation,
    judged: Sequence[Judged],
    found: list[Finding],
    *,
    probes: int,
) -> CheckResult:
    notes = notes_on(NAME, reference, candidate, judged)
    found += [*key_problems(NAME, reference, candidate), *state_problems(NAME, reference, candidate)]
    worst = max(judged, key=lambda j: j.used, default=None)
    if worst is not None and not worst.agrees:
        found.append(Finding(NAME, None, None, "value", worst.reference, worst.candidate, worst.message()))
    figures = {
        "probes": probes,
        "tolerance": tolerance_figures(reference, candidate, judged),
        "outputs": [j.to_dict() for j in judged],
        "worst": None if worst is None else worst.index,
        "headroom": None if worst is None or worst.used == 0 else 1 / worst.used,
    }
    if found:
        return CheckResult(NAME, Verdict.DIFFERENT, Evidence.MEASURED, (*found, *notes), figures)
    undecided = _undecided(reference, candidate, judged)
    if undecided is not None:
        return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (undecided, *notes), figures)
    return CheckResult(NAME, Verdict.EQUIVALENT, Evidence.MEASURED, tuple(notes), figures)


def _undecided(reference: Observation, candidate: Observation, judged: Sequence[Judged]) -> Finding | None:
    if reference.unrepeatable or candidate.unrepeatable:
        side = "reference" if reference.unrepeatable else "candidate"
        message = (
            f"the {side} gives other outputs when it is run again on the same inputs from the same state; "
            "it draws random numbers outside Keras's seed generators, so nothing can be compared; draw them "
            "with keras.random and a keras.random.SeedGenerator"
        )
        return Finding(
            NAME, None, None, "stochastic", reference.unrepeatable, candidate.unrepeatable, message
        )
    if not any(j.stored.elements > j.stored.nonfinite for j in judged):
        message = (
            "nothing could be compared: every output is NaN or infinite, empty, or every probe was refused"
        )
        errors = [answer.error for answer in reference.answers if answer.error]
        return Finding(
            NAME, None, None, "value", errors[:1], None, f"{message}{': ' + errors[0] if errors else ''}"
        )
    return None


def _shapes_differ(result: CheckResult) -> bool:
    return any(finding.field in {"shape", "error"} for finding in result.differences)


def located(pair: Pair, result: CheckResult, probes: Sequence[Probe]) -> CheckResult:
    """Add the table of layers, and in a failure the layers at fault, named before what they caused."""
    if _shapes_differ(result) or not probes:
        return result
    probe = probes[result.figures["worst"] or 0] if result.verdict is Verdict.DIFFERENT else _small(probes)
    traced = blame(pair, NAME, probe, blaming=result.verdict is Verdict.DIFFERENT)
    figures = {**result.figures, "layers": layer_table(traced)}
    return replace(result, findings=(*traced.findings, *result.findings), figures=figures)


def _small(probes: Sequence[Probe]) -> Probe:
    return next((probe for probe in probes if probe.batch_size == 1), probes[0])


CHECK = Check(
    NAME,
    Kind.NUMERIC,
    run=run,
    next_step="compare the settings of the layer named; if the deviation is acceptable, pass rtol/atol.",
)
