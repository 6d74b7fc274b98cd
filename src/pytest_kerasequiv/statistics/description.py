"""The figures of a decision that describe and plan, but do not decide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.statistics import means, planning
from pytest_kerasequiv.statistics.arms import Arms
from pytest_kerasequiv.statistics.failures import undetected_rate
from pytest_kerasequiv.statistics.result import ArmSummary
from pytest_kerasequiv.statistics.runs import describe_runs
from pytest_kerasequiv.statistics.within import MeanTest, interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def summary(arms: Arms, twin: str) -> ArmSummary:
    """Return what a reader wants to know of one twin's runs, failed ones replaced."""
    import numpy as np

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
    import numpy as np

    reference = np.sort(arms.reference)
    below, reached = (np.searchsorted(reference, arms.candidate, side=side) for side in ("left", "right"))
    return float((below.mean() + reached.mean()) / (2 * len(reference)))


def _over(above: float, below: float) -> float:
    if below > 0:
        return above / below
    return 0.0 if above == 0 else math.copysign(math.inf, above)
