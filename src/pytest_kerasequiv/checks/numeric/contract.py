"""What callers see of a model beside its numbers: refusals, shapes, names, keys, state, dtype."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_kerasequiv.checks.numeric.inference import InferenceObservation, ProbeRun
from pytest_kerasequiv.checks.numeric.tensor_comparison import Compared
from pytest_kerasequiv.running.running import called
from pytest_kerasequiv.verdict import Finding


def refusal(check: str, label: str, reference: ProbeRun, candidate: ProbeRun) -> Finding | None:
    """Return a finding where only one side refuses a probe."""
    if (reference.error is None) == (candidate.error is None):
        return None
    side, error = ("reference", reference.error) if reference.error else ("candidate", candidate.error)
    message = f"only the {side} refuses the probe {label}: {error}"
    return Finding.difference(check, "error", message, values=(reference.error, candidate.error))


def shape_problem(
    check: str, label: str, names: Sequence[Sequence[str]], runs: Sequence[ProbeRun]
) -> Finding | None:
    """Return a finding where outputs have other shapes; both arguments are of both sides."""
    outcomes = [run.outcome for run in runs]
    shapes = [[tuple(output.shape) for output in one.outputs] for one in outcomes if one is not None]
    if len(shapes) < 2 or shapes[0] == shapes[1]:
        return None
    message = f"the outputs have other shapes on the probe {label}: {shapes[0]} against {shapes[1]}"
    if len(shapes[0]) > 1 and sorted(shapes[0]) == sorted(shapes[1]):
        message += f"; they are {list(names[0])} in the reference, {list(names[1])} in the candidate"
    return Finding.difference(check, "shape", message, values=(shapes[0], shapes[1]))


def state_problems(
    check: str, reference: InferenceObservation, candidate: InferenceObservation
) -> list[Finding]:
    """Return a finding where only one side carries state from one call to the next."""
    sides = reference.computed, candidate.computed
    carries = [any(run.second is not None for run in runs) for runs in sides]
    if carries[0] == carries[1]:
        return []
    message = f"only the {'reference' if carries[0] else 'candidate'} carries state from one call to the next"
    return [Finding.difference(check, "stateful", message, values=(carries[0], carries[1]))]


def dtype_problems(
    check: str, reference: InferenceObservation, candidate: InferenceObservation
) -> list[Finding]:
    """Return a finding where one side computes more coarsely, or hands out another dtype.

    The rounding of the coarser side would hide what differs.
    """
    if reference.dtype == candidate.dtype:
        return _output_dtypes(check, reference, candidate)
    message = (
        f"the reference computes in {reference.dtype}, the candidate in {candidate.dtype} (the coarsest "
        "dtype of each); pass rtol or atol where that is meant"
    )
    return [Finding.difference(check, "dtype", message, values=(reference.dtype, candidate.dtype))]


def _output_dtypes(
    check: str, reference: InferenceObservation, candidate: InferenceObservation
) -> list[Finding]:
    both = zip(reference.computed, candidate.computed, strict=True)
    outcomes = next(((a.outcome, b.outcome) for a, b in both if a.outcome and b.outcome), None)
    if outcomes is None:
        return []
    dtypes = [[str(output.dtype) for output in outcome.outputs] for outcome in outcomes]
    return [
        Finding.difference(
            check,
            "dtype",
            f"{called(name)} is {ours} in the reference and {theirs} in the candidate; pass rtol or atol "
            "where that is meant",
            values=(ours, theirs),
        )
        for name, ours, theirs in zip(reference.names, *dtypes, strict=False)
        if ours != theirs
    ]


def notes_on(
    check: str,
    reference: InferenceObservation,
    candidate: InferenceObservation,
    compared: Sequence[Compared],
) -> list[Finding]:
    """Return what is worth knowing and no difference: names, randomness at inference, NaN alike."""
    notes = []
    if reference.names != candidate.names and len(reference.names) == len(candidate.names) > 1:
        message = f"the outputs are named {list(reference.names)} against {list(candidate.names)}"
        if sorted(reference.names) == sorted(candidate.names):
            message += ": the same names in another order; they are compared by position, as callers get them"
        notes.append(Finding.note(check, "names", message, values=(reference.names, candidate.names)))
    if reference.stochastic or candidate.stochastic:
        message = (
            "random numbers are drawn at inference, so outputs differ from call to call: "
            f"{', '.join(sorted({*reference.stochastic, *candidate.stochastic}))}; both got the same seeds"
        )
        notes.append(
            Finding.note(
                check, "stochastic", message, values=(list(reference.stochastic), list(candidate.stochastic))
            )
        )
    alike = sum(j.stored.nonfinite for j in compared)
    if alike:
        message = f"{alike} output elements are NaN or infinite on both sides, at the same places"
        notes.append(Finding.note(check, "nonfinite", message, values=(alike, alike)))
    return notes
