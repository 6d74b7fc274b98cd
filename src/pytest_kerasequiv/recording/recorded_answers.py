"""The answers of checks where the reference is a recording: the candidate alone is observed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.workbench import loss_settings
from pytest_kerasequiv.checks.compiled.explained_results import effective_settings
from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.compiled.settings_findings import beyond_program
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.numeric.aiming import unaimed
from pytest_kerasequiv.checks.numeric.doubts import undecided
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.pair import Correspondence
from pytest_kerasequiv.checks.registry import Check, completed, following, named
from pytest_kerasequiv.checks.tables.fresh_starts import explained as told_by_one_build
from pytest_kerasequiv.checks.weights import StartObservation
from pytest_kerasequiv.checks.witness import ROUNDINGS, apart
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.errors import InputError, error_in_words
from pytest_kerasequiv.recording.called_ways import called_ways, compiled_alone, without_entries
from pytest_kerasequiv.recording.content import Answer
from pytest_kerasequiv.recording.culprits import LayerOutputs, explained
from pytest_kerasequiv.recording.held_values import NotKept, digest_of
from pytest_kerasequiv.recording.leaves import Path, leaves
from pytest_kerasequiv.recording.plan_forms import KeptPlan, planned
from pytest_kerasequiv.recording.provenance import same_python
from pytest_kerasequiv.recording.recorded_pair import RecordedPair
from pytest_kerasequiv.recording.sketching import is_of_variable, like_recorded, unfolded
from pytest_kerasequiv.recording.training_answer import decided as decided_by_runs
from pytest_kerasequiv.recording.training_answer import recorded_arm
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF, least_precise_dtype
from pytest_kerasequiv.running.input_layout import InputLayout, input_layout
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.surface.surveys import Survey, wider
from pytest_kerasequiv.verdict import CheckResult, Finding, Kind, Verdict

Array = NDArray[Any]

NO_LOSS = (
    "not compared: only the reference was compiled with a loss, which a recording cannot lend; compile the "
    "candidate too"
)


@dataclass(frozen=True)
class AsRecorded(Correspondence):
    """What corresponds, where the candidate's tensors have been turned to the reference's axes already."""

    @property
    def variables(self) -> VariableMap:
        """How the variables correspond; nothing need be carried."""
        return replace(self.pair.variable_map, carried={})


def answer(check: Check, pair: RecordedPair, options: Mapping[str, Any]) -> CheckResult:
    """Return what a check decides from the recording and the candidate.

    Args:
        check: the check.
        pair: the recorded reference and the candidate.
        options: those of the check.

    Raises:
        InputError: the recording does not go with what is asked.
    """
    known = pair.content.answers.get(check.name)
    if check.kind is Kind.STATISTICAL and pair.trains_reference is not None:
        return decided_by_runs(
            check, pair, pair.trains_reference(options["training"]), {**pair.settings, **options}
        )
    if known is None:
        why = pair.content.structure.missing.get(check.name, "the recording holds nothing for this check")
        return _nothing(check, f"not compared: {why}")
    given = {**pair.settings, **{name: value for name, value in options.items() if value is not None}}
    try:
        return _unless_of_another_python(pair, _answer(check, pair, known, given))
    except NotKept as why:
        return _nothing(check, f"not compared: {why}")


def _answer(check: Check, pair: RecordedPair, known: Answer, given: Mapping[str, Any]) -> CheckResult:
    if check.kind is Kind.STATISTICAL:
        arm = recorded_arm(pair, known.observation, given["training"])
        return decided_by_runs(check, pair, arm, given)
    if check.kind is Kind.START:
        return _start(check, pair, known, given)
    result = _unless_more_is_there(check, pair, _decided(check, pair, known, given))
    if check.kind is not Kind.NUMERIC:
        return result
    return _with_settings(pair, explained(pair, result, _first_batch(pair)))


def _with_settings(pair: RecordedPair, result: CheckResult) -> CheckResult:
    """Put losses and metrics that were recorded otherwise before what they computed."""
    known = pair.content.answers.get("updates")
    if result.name != "outputs" or result.verdict is not Verdict.DIFFERENT or known is None:
        return result
    steps = known.observation.steps
    found = effective_settings(result, steps.settings, settings_of(pair.candidate))
    return replace(result, findings=(*found, *result.findings))


def _unless_of_another_python(pair: RecordedPair, result: CheckResult) -> CheckResult:
    """Return a DIFFERENT that rests on the user's code alone as undecided if another Python compiled it."""
    if result.verdict is not Verdict.DIFFERENT or same_python(pair.content.made):
        return result
    if not all(_of_code(finding) for finding in result.differences):
        return result
    message = (
        "the reference was recorded under another Python, whose compiled code cannot be told from yours, and "
        "nothing but code of your own differs; record it again under this Python"
    )
    return undecided(result, "recording", message)


def _of_code(finding: Finding) -> bool:
    told = finding.field.split(".") + [repr(value) for value in (finding.reference, finding.candidate)]
    return "code" in told or any("'code'" in text for text in told)


def _first_batch(pair: RecordedPair) -> tuple[LayerOutputs | None, Probe | None]:
    """Return what the layers of the reference returned for the first batch, and that batch."""
    known = pair.content.answers.get("outputs")
    kept = None if known is None else known.plans[0]
    if pair.content.layers is None or not isinstance(kept, KeptPlan):
        return None, None
    return pair.content.layers, planned(kept, pair.draws, pair.where).probes[0]


def follows(check: Check, pair: RecordedPair) -> CheckResult | None:
    """Return the result that follows for a proved pair; ``None`` where the check has to run."""
    if check.beyond_proof is None:
        return None
    if check.name != "updates":
        return following(check.name, ())
    known = pair.content.answers.get("updates")
    if known is None:
        return None
    steps = known.observation.steps
    return following(
        check.name,
        beyond_program(check.name, steps.settings, settings_of(pair.candidate), pair.variable_map),
    )


def contradiction(pair: RecordedPair) -> str:
    """Return in a few words what contradicts a proof that both are one program; empty for nothing.

    The candidate is run on the first recorded batch, in inference and for one pass of training.
    """
    try:
        return _contradiction(pair)
    except (InputError, NotKept):
        raise
    except Exception as error:
        return f"only the candidate fails: {error_in_words(error)}"


def _contradiction(pair: RecordedPair) -> str:
    for name in ("outputs", "gradients"):
        known = pair.content.answers.get(name)
        kept = None if known is None else known.plans[0]
        if known is None or not isinstance(kept, KeptPlan) or not kept.plan.probes:
            continue
        plan = replace(planned(kept, pair.draws, pair.where).first(1), why_no_oracle="one run is looked at")
        recorded = unfolded(known.observation)
        candidate = LADDER[name].observe(pair.candidate_twin, plan)
        shapes = [held.shape for held in pair.content.structure.variables]
        sides = like_recorded(candidate, recorded, known.shapes, pair.variable_map, shapes)
        found = _first_apart(pair, *map(_of_first_run, sides))
        if found is not None:
            return f"{found} differ from what was recorded"
    return ""


def _of_first_run(observation: Any) -> dict[Path, Array]:
    """Return the arrays of each first run as computed, by where they are."""
    return {
        path: array
        for path, array in leaves(observation)
        if "computed" in path and path[path.index("computed") + 1] == 0
    }


def _first_apart(
    pair: RecordedPair, recorded: Mapping[Path, Array], candidate: Mapping[Path, Array]
) -> str | None:
    """Return what differs by more than rounding could make, if anything does."""
    roundoff = UNIT_ROUNDOFF[least_precise_dtype(pair.candidate)]
    partner = dict(pair.variable_map.pairs)
    observed = {path[0] for path in candidate}
    for path, array in recorded.items():
        if path[0] not in observed:
            continue
        there = path
        if is_of_variable(path):
            other = partner.get(path[-1])
            if other is None:
                continue
            there = (*path[:-1], other)
        theirs = candidate.get(there)
        if theirs is None or apart(array, theirs, ROUNDINGS * roundoff):
            return str(next((part for part in reversed(path) if isinstance(part, str)), "numbers"))
    return None


def _nothing(check: Check, message: str) -> CheckResult:
    finding = Finding.difference(check.name, "recording", message)
    return CheckResult(check.name, Verdict.INCONCLUSIVE, None, (finding,))


def _decided(check: Check, pair: RecordedPair, known: Answer, given: Mapping[str, Any]) -> CheckResult:
    """Observe the candidate on the recorded plans, one after the other, until the answer is known."""
    numeric = check.kind is Kind.NUMERIC
    between = AsRecorded(pair) if numeric else pair.correspondence
    if numeric and not between.comparable:
        return _nothing(
            check, "not compared: the twins cannot be given the same weights; see the weights check"
        )
    recorded = unfolded(known.observation) if numeric else known.observation
    shapes = [held.shape for held in pair.content.structure.variables]
    candidate = result = None
    for plan in known.plans:
        left = check.for_candidate(_plan(plan, pair, given), recorded)
        if isinstance(left, Plan) and left.has_loss and loss_settings(pair.candidate) is None:
            return _nothing(check, NO_LOSS)
        candidate = completed(candidate, check.observe(pair.candidate_twin, left))
        sides = recorded, candidate
        if numeric:
            sides = like_recorded(candidate, recorded, known.shapes, pair.variable_map, shapes)
            sides = without_entries(*sides, compiled_alone(known.plans, pair))
        result = check.compare(*sides, between, **named(check.compare, given))
        if not check.further(result, between):
            return result
    assert result is not None
    if known.left and result.verdict is Verdict.DIFFERENT:
        return undecided(result, "recording", f"the recording does not hold {known.left}, which would decide")
    return result


def _unless_more_is_there(check: Check, pair: RecordedPair, result: CheckResult) -> CheckResult:
    """Return an EQUIVALENT as undecided where only the candidate has what no recorded batch could try."""
    if (
        check.kind is not Kind.NUMERIC
        or result.verdict is not Verdict.EQUIVALENT
        or pair.program_match.proved
    ):
        return result
    extra = sorted(set(called_ways(pair.candidate)) - set(pair.content.structure.ways))
    if check.name == "outputs" and extra:
        message = (
            f"only the candidate has {', '.join(map(repr, extra))}, so there is nothing recorded to compare"
        )
        return undecided(result, "recording", message)
    layout = input_layout(pair.candidate)
    finer = next(_finer(pair.content.structure.survey, layout), None)
    if finer is not None:
        message = (
            f"the candidate takes {finer[1]} where the recorded model takes {finer[0]}, so that no recorded "
            "batch shows what it makes of other numbers; compare with the builder, or record it again"
        )
        return undecided(result, "recording", message)
    programs = pair.reference_program, pair.candidate_program
    numbers = unaimed(*programs, layout, check.rests_on or (lambda _: True))
    if not numbers:
        return result
    told = ", ".join(f"{number:g}" for number in numbers[:3])
    message = (
        f"the candidate compares values with {told}, or cuts an axis there, and the recorded program does "
        "not, so that no recorded batch was drawn about it; compare with the builder, or record it again"
    )
    return undecided(result, "recording", message)


def _finer(recorded: Survey | None, layout: InputLayout) -> Iterator[tuple[str, str]]:
    """Yield the dtypes of inputs, but for ids, of which the candidate takes other numbers too."""
    if recorded is None or not layout.known:
        return
    for mine, consumer, its in zip(recorded.layout.specs, recorded.consumers, layout.specs, strict=False):
        if consumer.ids is None and wider(mine.dtype, its.dtype) != mine.dtype:
            yield mine.dtype, its.dtype


def _plan(plan: KeptPlan | int | None, pair: RecordedPair, given: Mapping[str, Any]) -> Any:
    if not isinstance(plan, KeptPlan):
        return plan
    found = planned(plan, pair.draws, pair.where)
    steps = given.get("steps")
    if steps is None:
        return found
    if steps > len(found.probes):
        raise InputError(
            f"steps={steps} are asked for, and the recording {pair.where!r} holds {len(found.probes)}; ask "
            "for no more, or leave steps away"
        )
    return found.first(steps)


def _start(check: Check, pair: RecordedPair, known: Answer, given: Mapping[str, Any]) -> CheckResult:
    """Compare what both start from; values that were not kept and are other ones are told as not known."""
    recorded: StartObservation = known.observation
    candidate = None
    for plan in known.plans:
        candidate = completed(candidate, check.observe(pair.candidate_twin, plan))
    assert recorded.variables is not None
    reference = StartObservation(replace(recorded.variables, values=pair.reference_values), _again(pair))
    open_ = _not_kept(pair, recorded, candidate)
    between = _Without(pair, frozenset(open_))
    result = check.compare(reference, candidate, between, **named(check.compare, given))
    if not open_ or result.verdict is not Verdict.EQUIVALENT:
        return result
    named_ = ", ".join(pair.content.structure.variables[index].path for index, _ in open_[:3])
    message = (
        f"{named_}{' and others' if open_[3:] else ''}: other code than Keras's own initialisers gives the "
        "values, these are others than when the reference was recorded, and a recording does not hold them"
    )
    return undecided(result, "start", message)


@dataclass(frozen=True)
class _Without(Correspondence):
    """What corresponds, but for pairs of variables about which nothing is known."""

    left_out: frozenset[tuple[int, int]] = frozenset()

    @property
    def variables(self) -> VariableMap:
        """How the variables correspond."""
        known = self.pair.variable_map
        return replace(known, pairs=tuple(pair for pair in known.pairs if pair not in self.left_out))


def _again(pair: RecordedPair) -> tuple[Array, ...] | None:
    """Return values of a second build: other ones where the recorded ones moved."""
    moved = pair.content.structure.moved
    if moved is None:
        return None
    both = zip(pair.reference_values, moved, strict=True)
    return tuple(np.where(np.broadcast_to(moves, value.shape), value + 1, value) for value, moves in both)


def _not_kept(pair: RecordedPair, recorded: StartObservation, candidate: Any) -> list[tuple[int, int]]:
    """Return the pairs whose values are known to differ, but not how, where that decides."""
    ours, theirs = recorded.variables, candidate.variables
    assert ours is not None
    held = pair.content.structure.variables
    found = []
    for index, other in pair.variable_map.pairs:
        if held[index].whole is not None or held[index].digest == digest_of(theirs.values[other]):
            continue
        if ours.starts is None or theirs.starts is None:
            continue
        sides = (ours.starts[index], ours.facts[index]), (theirs.starts[other], theirs.facts[other])
        if not all(told_by_one_build(*side) for side in sides):
            found.append((index, other))
    return found
