"""Gradients where inputs are exactly 0, as padding is: one side alone may have none that is finite there.

What is compared is whether they are numbers at all: at a kink, such as that of a relu, two rewrites may each
have another slope.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.training_pass import BackwardObservation
from pytest_kerasequiv.checks.pair import Correspondence
from pytest_kerasequiv.running.differentiating import Pass
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Verdict

STEEP = frozenset({"Sqrt", "Log", "Pow", "EuclideanNorm", "Acos", "Asin", "Xlogy"})
"""Operations that have no finite slope at some number that they take."""

DIVIDING = frozenset({"Rsqrt", "RealDiv", "Reciprocal"})
"""Operations that have none where they have no value, so that what they are given matters."""


@dataclass(frozen=True, kw_only=True)
class ZeroPlan(Plan):
    """One batch whose float inputs are 0."""


def steep_apart(between: Correspondence) -> bool:
    """Tell whether rewritten twins may part in where their slopes are finite."""
    ours, theirs = (
        Counter(node.op for node in twin.program.nodes if node.part == "training")
        for twin in (between.reference, between.candidate)
    )
    if between.alignment.same:
        return False
    return any(ours[op] or theirs[op] for op in STEEP) or any(ours[op] != theirs[op] for op in DIVIDING)


def zero_plan(plan: Plan, between: Correspondence | None) -> Iterator[ZeroPlan]:
    """Yield what tells where gradients are finite at 0; nothing where the twins are not apart in that."""
    if between is None or not plan.probes or not plan.targets or not steep_apart(between):
        return
    inputs = tuple(np.zeros_like(one) if one.dtype.kind == "f" else one for one in plan.probes[-1].inputs)
    first = {**vars(plan), "probes": (Probe("zeros", inputs),), "targets": plan.targets[-1:]}
    yield ZeroPlan(
        **{**first, "perturbed": False, "why_no_oracle": "only whether numbers are finite is compared"}
    )


def with_zeros(
    result: CheckResult,
    reference: BackwardObservation,
    candidate: BackwardObservation,
    between: Correspondence,
) -> CheckResult:
    """Make a result DIFFERENT where gradients at 0 are finite on one side alone.

    Args:
        result: the check's result, EQUIVALENT so far.
        reference: the reference's pass.
        candidate: the candidate's.
        between: what corresponds.
    """
    figures = {**result.figures, "at zero": True}
    if not reference.computed or not candidate.computed:
        return replace(result, figures=figures)
    ours, theirs = reference.computed[0], candidate.computed[0]
    apart = [one for one in _finite(ours, theirs, between) if one[1] != one[2]]
    if not apart:
        return replace(result, figures=figures)
    index, _, finite = apart[0]
    side = "reference" if finite else "candidate"
    weight = reference.variables[index].path
    rest = f" (so {len(apart) - 1} more)" if apart[1:] else ""
    message = f"where inputs are 0 the gradient of {weight}{rest} is no finite number in the {side} alone"
    finding = Finding.difference(result.name, "value", message)
    found = (finding, *result.findings)
    return replace(
        result, verdict=Verdict.DIFFERENT, evidence=Evidence.MEASURED, findings=found, figures=figures
    )


def _finite(ours: Pass, theirs: Pass, between: Correspondence) -> Iterator[tuple[int, bool, bool]]:
    for index, partner in between.variables.pairs:
        if index in ours.gradients and partner in theirs.gradients:
            both = ours.gradients[index], theirs.gradients[partner]
            first, second = (bool(np.isfinite(one.astype(np.float64)).all()) for one in both)
            yield index, first, second
