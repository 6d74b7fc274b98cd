"""Comparing what two models did in each entry of their surface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_kerasequiv.checks.numeric.doubts import doubted
from pytest_kerasequiv.checks.numeric.inference import InferenceObservation
from pytest_kerasequiv.checks.numeric.observing import Views
from pytest_kerasequiv.checks.numeric.overrides import STEPS, override_findings
from pytest_kerasequiv.checks.numeric.surface_runs import EntryRun, SurfaceObservation
from pytest_kerasequiv.checks.numeric.tensor_comparison import Compared, compare_tensor, is_oracle
from pytest_kerasequiv.checks.numeric.tensors import Tensor
from pytest_kerasequiv.checks.tolerance import Precision
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict


def with_surface(
    result: CheckResult,
    sides: tuple[InferenceObservation, InferenceObservation],
    surfaces: tuple[SurfaceObservation, SurfaceObservation],
    variables: VariableMap,
    precision: Precision,
) -> CheckResult:
    """Add what differs in the rest of the surface to a result that is EQUIVALENT so far.

    Args:
        result: what came of inference.
        sides: the observations of inference.
        surfaces: those of the other entries.
        variables: how the variables correspond.
        precision: how closely they are to agree.
    """
    found = surface_findings(result.name, *surfaces, variables, precision)
    entries = {one.field for one in found if one.severity == "difference"} - {"stochastic"}
    found = [_with_cause(one, *sides) if one.field == "plain call" else one for one in found]
    ran = STEPS if surfaces[0].why_none else ran_on_both(*surfaces)
    not_run = override_findings(result.name, sides[0].methods, sides[1].methods, ran)
    differences = [finding for finding in found if finding.severity == "difference"]
    notes = [finding for finding in found if finding.severity == "note"]
    findings = (*differences, *result.findings, *notes, *not_run)
    if differences and all(finding.field == "stochastic" for finding in differences):
        return replace(result, verdict=Verdict.INCONCLUSIVE, evidence=None, findings=findings)
    if differences:
        figures = {**result.figures, "drawn": only_drawn(*surfaces, entries)}
        result = replace(result, verdict=Verdict.DIFFERENT, findings=findings, figures=figures)
        return doubted(result, variables, [finding for finding in differences if finding.field == "training"])
    if any(finding.severity == "difference" for finding in not_run):  # what did run is no answer
        return replace(result, verdict=Verdict.INCONCLUSIVE, evidence=None, findings=findings)
    return replace(result, findings=findings)


def surface_findings(
    check: str,
    reference: SurfaceObservation,
    candidate: SurfaceObservation,
    variables: VariableMap,
    precision: Precision,
) -> list[Finding]:
    """Return the first difference of each entry, and a note for each that could not be run.

    Args:
        check: name of the check on whose behalf.
        reference: what the reference did.
        candidate: what the candidate did.
        variables: how their variables correspond.
        precision: how closely they are to agree.
    """
    found: list[Finding] = []
    views = Views.of(reference, candidate)
    precision = replace(precision, cautious=reference.unperturbed)
    comparison = _Comparison(check, reference.dtype, variables, precision)
    for place, name in enumerate(reference.probes):
        runs = views.map(lambda every, k=place: every[k])  # type: ignore[misc]
        if runs.reference.error is not None or runs.candidate.error is not None:
            found += _refused(check, name, runs, tentative=reference.tentative[place])
        else:
            unsteady = reference.unsteady[place] or candidate.unsteady[place]
            found += [_doubted(one) if unsteady else one for one in comparison.differing(name, runs)]
    return found


def _doubted(finding: Finding) -> Finding:
    """Return what a difference of numbers says where a side does not repeat its own; another shape stays."""
    if not isinstance(finding.reference, float):
        return finding
    message = (
        f"{finding.field!r} gives other results when it is run again from the same state: random numbers are "
        "drawn in it outside Keras's seed generators, so nothing can be compared"
    )
    return Finding.difference(finding.check, "stochastic", message)


def _refused(check: str, name: str, runs: Views[EntryRun], *, tentative: bool) -> Iterator[Finding]:
    """Yield what is to be said of an entry that a side refuses: one that it need not take is a note."""
    errors = runs.reference.error, runs.candidate.error
    if tentative and all(error is not None for error in errors):
        return
    if all(error is not None for error in errors):
        message = f"{name!r} could not be run on either side: {errors[0]}"
        yield Finding.note(check, name, message, values=errors)
        return
    side, error = ("reference", errors[0]) if errors[0] else ("candidate", errors[1])
    message = f"only the {side} refuses {name!r}: {error}"
    made = Finding.note if tentative else Finding.difference
    yield made(check, name, message, values=errors)


@dataclass(frozen=True)
class _Comparison:
    """What the runs of all entries are compared with."""

    check: str
    dtype: str
    variables: VariableMap
    precision: Precision

    def differing(self, name: str, runs: Views[EntryRun]) -> Iterator[Finding]:
        """Yield the worst difference between two runs of an entry."""
        ours, theirs = ({what for what in run.results if not what.startswith("mask")} for run in runs[:2])
        alone = [
            f"only the {side} has, in {name!r}: {', '.join(sorted(more))}"
            for side, more in (("reference", ours - theirs), ("candidate", theirs - ours))
            if more
        ]
        if alone:
            message = "; ".join(alone)
            yield Finding.difference(self.check, name, message, values=(sorted(ours), sorted(theirs)))
            return
        tensors = [*self._results(name, runs), *self._states(name, runs)]
        for what, arrays in tensors:
            shapes = np.shape(arrays[0]), np.shape(arrays[1])
            if shapes[0] != shapes[1]:
                message = f"{what} has another shape: {shapes[0]} against {shapes[1]}"
                yield Finding.difference(self.check, name, message, values=shapes)
                return
        compared = [self._compared(what, arrays) for what, arrays in tensors]
        worst = max(compared, key=lambda one: (not one.agrees, one.used), default=None)
        if worst is not None and not worst.agrees:
            found = worst.finding(self.check, (None, None, name))
            yield replace(found, message=f"{_one_sided_draws(name, runs)}{found.message}")

    def _compared(self, what: str, arrays: Views[Any]) -> Compared:
        precision = replace(self.precision, oracle=is_oracle(arrays, self.dtype))
        return compare_tensor(what, 0, arrays, self.dtype, precision)

    def _results(self, name: str, runs: Views[EntryRun]) -> Iterator[tuple[str, Views[Any]]]:
        for what in runs.reference.results.keys() & runs.candidate.results.keys():
            yield f"{what} in {name!r}", runs.map(lambda run, w=what: run.results.get(w))  # type: ignore[misc]

    def _states(self, name: str, runs: Views[EntryRun]) -> Iterator[tuple[str, Views[Any]]]:
        for one, other in self.variables.pairs:
            if one in runs.reference.variables and other in runs.candidate.variables:
                arrays = runs.map(
                    lambda run, k=one: run.variables.get(k),  # type: ignore[misc]
                    lambda run, k=other: run.variables.get(k),  # type: ignore[misc]
                )
                tensor = Tensor.of(f"variable {one} after {name!r}", (None, None, "value"), arrays)
                if tensor.shape_finding(self.check, name) is None:  # else a rewrite turns it over
                    yield tensor.what, tensor.views


def _one_sided_draws(name: str, runs: Views[EntryRun]) -> str:
    """Say that one side alone draws random numbers in an entry; the numbers follow from that."""
    draws = runs.reference.draws, runs.candidate.draws
    if draws[0] == draws[1]:
        return ""
    side = "reference" if draws[0] else "candidate"
    return f"only the {side} draws random numbers in {name!r}, as Dropout does in training; so "


def only_drawn(reference: SurfaceObservation, candidate: SurfaceObservation, entries: set[str]) -> bool:
    """Tell whether both sides draw random numbers in each of the given entries."""
    both = zip(reference.probes, reference.computed, candidate.computed, strict=True)
    return entries <= {name for name, ours, theirs in both if ours.draws and theirs.draws}


def ran_on_both(reference: SurfaceObservation, candidate: SurfaceObservation) -> set[str]:
    """Return the names of the entries that ran on both sides."""
    both = zip(reference.probes, reference.computed, candidate.computed, strict=True)
    return {name for name, ours, theirs in both if ours.error is None and theirs.error is None}


def _with_cause(
    finding: Finding, reference: InferenceObservation, candidate: InferenceObservation
) -> Finding:
    """Put what settles ``training`` before a difference of plain calls, where that differs too.

    That is a call in a functional model that fixes ``training=True``, or a ``call`` of a user's class with
    ``True`` or ``False`` by default.
    """
    fixed = reference.fixed, candidate.fixed
    told = fixed if any(fixed) else (reference.defaults, candidate.defaults)
    if finding.severity == "note" or told[0] == told[1]:
        return finding
    shown = _fixed_message(*fixed) if any(fixed) else _default_message(*told)
    layers = [paths[0] if paths and any(fixed) else None for paths in told]
    return replace(
        finding,
        reference_layer=layers[0],
        candidate_layer=layers[1],
        field="training",
        reference=list(told[0]),
        candidate=list(told[1]),
        message=f"model(x) without a training argument differs: {shown}",
    )


def _fixed_message(*fixed: tuple[str, ...]) -> str:
    shown = [", ".join(paths) or "no layer" for paths in fixed]
    return (
        f"training=True is fixed for {shown[0]} in the reference and for {shown[1]} in the candidate; "
        "predict and fit overrule it, a plain call does not"
    )


def _default_message(*chosen: tuple[str, ...]) -> str:
    shown = [", ".join(kinds) or "no default" for kinds in chosen]
    return (
        f"call() of the user's classes has by default {shown[0]} in the reference and {shown[1]} in the "
        "candidate; predict and fit overrule it, a plain call does not"
    )
