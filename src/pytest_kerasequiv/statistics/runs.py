"""Describing single runs that stand out: failed ones and outliers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_kerasequiv.statistics.arms import LARGEST

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

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
    import numpy as np

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
    import numpy as np

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
    import numpy as np

    if not deviations:
        return math.inf
    size = np.abs(deviations)
    return float(1.4826 * np.median(size)) or float(1.2533 * np.mean(size)) or math.inf
