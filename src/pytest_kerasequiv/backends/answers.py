"""The answers of checks where the candidate runs on another backend: observed there, compared here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from pytest_kerasequiv.backends.backend_pair import BackendPair
from pytest_kerasequiv.backends.backend_process import NAMES
from pytest_kerasequiv.checks.blame.layer_settings import settings_apart
from pytest_kerasequiv.checks.compiled.in_force import ONLY_SPEED, settings_of
from pytest_kerasequiv.checks.compiled.settings_findings import compare_compiled
from pytest_kerasequiv.checks.gradients import GradientsObservation
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.numeric.doubts import undecided
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.views import view_of
from pytest_kerasequiv.checks.outputs import OutputsObservation
from pytest_kerasequiv.checks.program import unseen_in_words
from pytest_kerasequiv.checks.registry import Check, completed, named
from pytest_kerasequiv.checks.training import arms_of, portions
from pytest_kerasequiv.keras_access.common_draws import common_draws
from pytest_kerasequiv.layers.summary_rows import Summary
from pytest_kerasequiv.program.unseen import own_code_of, unseen_apart
from pytest_kerasequiv.surface.entries import Kind as EntryKind
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

STRUCTURAL = frozenset({"class", "inputs", "layer", "sharing", "outputs"})
"""Fields of what differs in two layer graphs that are no setting of a layer."""

FILLED = 83
"""What Keras on torch puts in place of an axis of any size, where code of the user's calls layers."""

NARROWED = frozenset({("int64", "int32"), ("uint64", "uint32")})
"""Dtypes of integers, and what they become on JAX unless ``jax_enable_x64`` is set."""

_ARMS = count()


def answer(check: Check, pair: BackendPair, options: Mapping[str, Any]) -> CheckResult:
    """Return what a check decides.

    Args:
        check: the check.
        pair: the reference, and the candidate on another backend.
        options: those of the check.

    Raises:
        InputError: an option cannot be used, or the candidate's process cannot answer.
    """
    given = {**pair.settings, **{name: value for name, value in options.items() if value is not None}}
    return ANSWERS[check.name](check, pair, given)


def left_out(check: Check, pair: BackendPair) -> str:
    """Return why a check cannot tell anything of a pair; empty where it can."""
    if check.name != "updates" or _settings_apart(pair):
        return ""
    name = NAMES[pair.backend]
    return f"the compile settings are the same; steps on {name} are not compared one by one, see training"


def _informed(check: Check, pair: BackendPair, _: Mapping[str, Any]) -> CheckResult:
    ours = check.observe(pair.reference_twin, None)
    theirs: Any = pair.structure.graph
    if check.name == "summary":
        ours, theirs = (without_filled(one) for one in (ours, pair.structure.summary))
    return check.compare(ours, theirs, pair.correspondence)


def without_filled(summary: Summary) -> Summary:
    """Return a summary in which axes are open that Keras fills to learn shapes on torch, and shows so."""

    def opened(shapes: Any) -> Any:
        return tuple(tuple(None if size == FILLED else size for size in shape) for shape in shapes)

    rows = [
        replace(row, output_shapes=opened(row.output_shapes), input_shapes=opened(row.input_shapes))
        for row in summary.rows
    ]
    return replace(summary, rows=tuple(rows))


def _program(check: Check, pair: BackendPair, _: Mapping[str, Any]) -> CheckResult:
    """Say that nothing is proved, and what of the structure no number need show."""
    message = (
        f"not compared: {pair.program_match.reason}. What both compute is compared in numbers, by the checks "
        "outputs and gradients"
    )
    findings = *_parted_settings(check, pair), *_own_code(pair), Finding.note(check.name, "backend", message)
    return CheckResult(
        check.name, Verdict.INCONCLUSIVE, None, findings, {"reason": pair.program_match.reason}
    )


def _parted_settings(check: Check, pair: BackendPair) -> Iterator[Finding]:
    """Yield the settings in which layers differ that are otherwise the same, and wired alike.

    Where layers are others, or wired otherwise, a model was rewritten, and numbers decide.
    """
    edits = () if pair.layer_match is None else pair.layer_match.edits
    if all(edit.field not in STRUCTURAL and edit.reference_layer and edit.candidate_layer for edit in edits):
        yield from settings_apart(pair, check.name, training=True)


def _own_code(pair: BackendPair) -> Iterator[Finding]:
    """Yield code of the user's that is not the same on both sides: only its numbers were compared."""
    ours = tuple(own_code_of(pair.reference, EntryKind.INFERENCE))
    both = (
        replace(program, unseen=code)
        for program, code in (
            (pair.reference_program, ours),
            (pair.candidate_program, pair.structure.code),
        )
    )
    yield from (unseen_in_words(*one) for one in unseen_apart(*both))


def _start(check: Check, pair: BackendPair, given: Mapping[str, Any]) -> CheckResult:
    reference = candidate = result = None
    for plan, theirs in zip(
        check.plan(pair.reference_twin, None), (pair.structure.start, pair.structure.again), strict=True
    ):
        reference = completed(reference, check.observe(pair.reference_twin, plan))
        candidate = completed(candidate, theirs)
        result = check.compare(reference, candidate, pair.correspondence, **named(check.compare, given))
        if not check.further(result, pair.correspondence):
            break
    assert result is not None
    return narrowed(result)


def narrowed(result: CheckResult) -> CheckResult:
    """Make notes of integers that the candidate's backend keeps in 32 bits, whatever is asked for."""
    findings = tuple(
        replace(one, severity="note", message=f"{one.message}: the backend has no wider integers")
        if one.field == "dtype" and (one.reference, one.candidate) in NARROWED
        else one
        for one in result.findings
    )
    result = replace(result, findings=findings)
    if result.verdict is not Verdict.DIFFERENT or result.differences:
        return result
    return replace(result, verdict=Verdict.EQUIVALENT)


def _numeric(check: Check, pair: BackendPair, given: Mapping[str, Any]) -> CheckResult:
    """Run both on the first plan, with draws in common; judge by how far the reference rounds."""
    view_of(pair.reference_twin).runner().reuses = False  # what was traced before draws otherwise
    with common_draws():
        plan: Plan = next(check.plan(pair.reference_twin, None, **named(check.plan, given)))
        reference = check.observe(pair.reference_twin, plan)
    why = f"on {pair.backend} Keras computes in float32 what is float64 on TensorFlow"
    left = replace(check.for_candidate(plan, reference), why_no_oracle=why).kept()
    candidate = OBSERVED[check.name](pair, left)
    result = check.compare(reference, candidate, pair.correspondence, **named(check.compare, given))
    result = unless_at_a_kink(result)
    if result.verdict is not Verdict.DIFFERENT:
        return result
    causes = settings_apart(pair, check.name, training=check.name != "outputs")
    known = {(one.field, one.reference_layer) for one in result.differences}
    found = [one for one in causes if (one.field, one.reference_layer) not in known]
    return replace(result, findings=(*found, *result.findings))


def unless_at_a_kink(result: CheckResult) -> CheckResult:
    """Return as undecided what rests on gradients that differ on one batch and agree on another.

    A gradient jumps where the input of a relu is zero up to rounding; no float64 twin of the candidate tells
    that from a fault.

    Args:
        result: what was decided from numbers as computed.
    """
    if result.verdict is not Verdict.DIFFERENT:
        return result
    batches: dict[str, list[bool]] = {}
    for one in result.figures.get("tensors", ()):
        if one["what"].startswith("the gradient"):
            batches.setdefault(one["what"].rpartition(" on ")[0], []).append(one["stored"]["used"] > 1)
    jumped = tuple(what for what, failed in batches.items() if any(failed) and not all(failed))
    if not jumped or not all(one.message.startswith(jumped) for one in result.differences):
        return result
    message = (
        "some gradients differ on one batch and agree on another, as they do where the input of a relu is "
        "zero up to rounding; pass another seed= or inputs= to tell that from a fault"
    )
    return undecided(result, "kink", message)


def _inferred(pair: BackendPair, plan: Plan) -> OutputsObservation:
    return OutputsObservation(inference=pair.answer("inferred", plan, *pair.values))


def _passed(pair: BackendPair, plan: Plan) -> GradientsObservation:
    return GradientsObservation(passes=pair.answer("passed", plan, pair.values[0]))


OBSERVED: Mapping[str, Callable[[BackendPair, Plan], Any]] = {"outputs": _inferred, "gradients": _passed}
"""Name of a numeric check -> observes the candidate on a plan."""


def _settings_apart(pair: BackendPair) -> list[Finding]:
    """Return the compile settings that differ, if one of them decides."""
    found = compare_compiled(
        "updates", settings_of(pair.reference), pair.structure.settings, pair.variable_map
    )
    told = [one for one in found if one.field not in ONLY_SPEED]  # defaults of these go by the backend
    return told if any(one.severity == "difference" for one in told) else []


def _updates(check: Check, pair: BackendPair, _: Mapping[str, Any]) -> CheckResult:
    """Compare compile settings alone."""
    found = _settings_apart(pair)
    if found:
        return CheckResult(check.name, Verdict.DIFFERENT, Evidence.MEASURED, tuple(found))
    finding = Finding.difference(check.name, "backend", f"not compared: {left_out(check, pair)}")
    return CheckResult(check.name, Verdict.INCONCLUSIVE, None, (finding,))


class _ElsewhereArm:
    """Trains the candidate in its process."""

    def __init__(self, pair: BackendPair, training: Training) -> None:
        self._pair = pair
        self._training = training
        self._name = f"arm {next(_ARMS)}"
        self.reason = ""

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield one run a seed, in this order.

        Raises:
            InputError: it cannot be trained there as planned.
        """
        for found in self._pair.ask("trained", self._name, self._training, tuple(seeds)):
            if isinstance(found, Run):
                yield found
            else:
                self.reason = found


def _training(check: Check, pair: BackendPair, given: Mapping[str, Any]) -> CheckResult:
    """Train both, each from its own draws: one seed gives two backends other weights."""
    training: Training = replace(given["training"], paired=False)
    given = {**given, "training": training}
    programs = {"reference": lambda: pair.reference_program}
    arms = arms_of(pair.twins, training, programs, given, known={"candidate": _ElsewhereArm(pair, training)})
    result, _ = check.run(pair, portions(training, arms), given)
    return replace(result, findings=(*result.findings, UNPAIRED))


UNPAIRED = Finding.note(
    "training",
    "start",
    "the runs are not paired: one seed gives other initial weights and another order of random draws on "
    "another backend",
)

_BY_KIND: Mapping[Kind, Callable[[Check, BackendPair, Mapping[str, Any]], CheckResult]] = {
    Kind.INFORMING: _informed,
    Kind.PROVING: _program,
    Kind.START: _start,
    Kind.NUMERIC: _numeric,
    Kind.STATISTICAL: _training,
}

ANSWERS = {check.name: _BY_KIND[check.kind] for check in LADDER} | {"updates": _updates}
"""Name of a check -> answers it."""
