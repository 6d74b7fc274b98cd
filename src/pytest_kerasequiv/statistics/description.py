"""The figures of a decision that describe and plan, but do not decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_kerasequiv.statistics import means, planning
from pytest_kerasequiv.statistics.failures import undetected_rate
from pytest_kerasequiv.statistics.result import ArmSummary
from pytest_kerasequiv.statistics.samples import LARGEST, Arms
from pytest_kerasequiv.statistics.within import MeanTest, interval

Array = NDArray[np.float64]


def summary(arms: Arms, twin: str) -> ArmSummary:
    """Return what a reader wants to know of one twin's runs, failed ones replaced."""
    values, failed, given = (
        (arms.reference, arms.reference_failed, arms.reference_values)
        if twin == "reference"
        else (arms.candidate, arms.candidate_failed, arms.candidate_values)
    )
    return ArmSummary(
        values=given,
        mean=float(values.mean()),
        sd=0.0 if bool(means.constant(values, values)) else float(values.std(ddof=1)),
        median=float(np.median(values)),
        min=float(values.min()),
        max=float(values.max()),
        failed=int(failed.sum()),
    )


def description(arms: Arms, reference: ArmSummary, candidate: ArmSummary) -> dict[str, Any]:
    """Return the fields of `EquivalenceTest` on the difference and on unusual runs."""
    gap = means.mean_difference(arms.reference, arms.candidate, paired=arms.paired)
    return {
        "difference": float(gap.difference),
        "ci90": interval(gap, 0.90),
        "ci95": interval(gap, 0.95),
        "effect_size": _over(float(gap.difference), _pooled(reference, candidate)),
        "superiority": _superiority(arms),
        "sd_ratio": _over(candidate.sd, reference.sd) if candidate.sd != reference.sd else 1.0,
        "fail_value": arms.fail_value,
        "unusual": describe_runs(arms.reference_values, arms.candidate_values),
    }


def outlook(
    arms: Arms, sides: MeanTest, reference: ArmSummary, candidate: ArmSummary, alpha: float
) -> dict[str, Any]:
    """Return the fields of `EquivalenceTest` on what so many runs can show, and how many would settle it."""
    gap = means.mean_difference(arms.reference, arms.candidate, paired=arms.paired)
    n = arms.runs
    sd = float(gap.se) * math.sqrt(n) if arms.paired else _pooled(reference, candidate)
    known: dict[str, Any] = {"paired": arms.paired, "alpha": alpha}
    needs = known | {
        "margin": sides.margin,
        "sd": sd,
        "estimated": reference.sd if sides.kind == "sd" else None,
    }
    return {
        "detectable_difference": planning.detectable_difference(n, **known) * sd,
        "recommended_runs": planning.runs_for(**needs),
        "runs_at_difference": planning.runs_for(**needs, difference=float(gap.difference)),
        "undetected_failure_rate": undetected_rate(n, alpha),
    }


def _pooled(reference: ArmSummary, candidate: ArmSummary) -> float:
    return math.hypot(reference.sd, candidate.sd) / math.sqrt(2)


def _superiority(arms: Arms) -> float:
    reference = np.sort(arms.reference)
    below, reached = (np.searchsorted(reference, arms.candidate, side=side) for side in ("left", "right"))
    return float((below.mean() + reached.mean()) / (2 * len(reference)))


def _over(above: float, below: float) -> float:
    if below > 0:
        return above / below
    return 0.0 if above == 0 else math.copysign(math.inf, above)


_FAR = 5.0
"""Robust standard deviations from the median beyond which a run stands out."""


@dataclass(frozen=True)
class UnusualRun:
    """One run that stands out.

    Attributes:
        twin: ``"reference"`` or ``"candidate"``.
        index: position of the run, from 0.
        value: its value of the metric.
        kind: ``"failed"`` (NaN, infinite) or ``"outlier"`` (far from the reference's median).
    """

    twin: Literal["reference", "candidate"]
    index: int
    value: float
    kind: Literal["failed", "outlier"]


def unusual_runs(reference: ArrayLike, candidate: ArrayLike) -> tuple[UnusualRun, ...]:
    """Return the failed and outlying runs of both twins.

    An outlier lies more than 5 robust standard deviations (scaled median absolute deviation, pooled over
    each twin's own median) from its twin's median.
    """
    arms = {"reference": np.asarray(reference, dtype=float), "candidate": np.asarray(candidate, dtype=float)}
    finite = {name: values[np.abs(values) <= LARGEST] for name, values in arms.items()}
    centres = {name: float(np.median(values)) if len(values) else math.nan for name, values in finite.items()}
    scale = _robust_sd(
        [value - centres[name] for name, values in finite.items() for value in values.tolist()]
    )
    found: list[UnusualRun] = []
    for twin in ("reference", "candidate"):
        for index, value in enumerate(arms[twin].tolist()):
            if not abs(value) <= LARGEST:
                found.append(UnusualRun(twin, index, value, "failed"))
            elif abs(value - centres[twin]) > _FAR * scale:
                found.append(UnusualRun(twin, index, value, "outlier"))
    return tuple(found)


def describe_runs(reference: ArrayLike, candidate: ArrayLike) -> tuple[str, ...]:
    """Return one sentence per twin and kind of unusual run, with counts, positions and values."""
    found = unusual_runs(reference, candidate)
    sizes = {"reference": len(np.asarray(reference)), "candidate": len(np.asarray(candidate))}
    words = {"failed": "failed (not finite)", "outlier": "far from the others"}
    sentences = []
    for twin, size in sizes.items():
        for kind, word in words.items():
            runs = [run for run in found if (run.twin, run.kind) == (twin, kind)]
            if runs:
                sentences.append(f"{len(runs)} of {size} {twin} runs {word}: {_listed(runs)}")
    return tuple(sentences)


def _listed(runs: Sequence[UnusualRun]) -> str:
    shown = ", ".join(f"run {run.index} ({run.value:.4g})" for run in runs[:4])
    return f"{shown}, ..." if len(runs) > 4 else shown


def _robust_sd(deviations: list[float]) -> float:
    """Return the scaled median absolute deviation, or the mean one where it is 0 (Iglewicz, Hoaglin 1993)."""
    if not deviations:
        return math.inf
    size = np.abs(deviations)
    return float(1.4826 * np.median(size)) or float(1.2533 * np.mean(size)) or math.inf
