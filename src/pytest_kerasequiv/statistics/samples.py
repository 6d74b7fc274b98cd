"""Reading the two arms: validation; failed runs are counted and replaced by the worst value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_kerasequiv.errors import InputError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


# Metrics are computed in float32, where anything larger is infinite; it also keeps squares finite in float64.
LARGEST = 3.4028234663852886e38
# The square of anything smaller is no longer a normal float64.
SMALLEST = 1e-150

# Keras metric names in which a larger value is better, so that the worst value is the smallest.
_LARGER_IS_BETTER = (
    "acc",
    "auc",
    "precision",
    "recall",
    "f1",
    "fbeta",
    "iou",
    "io_u",
    "dice",
    "r2",
    "similarity",
    "sensitivity",
    "specificity",
    "true_positives",
    "true_negatives",
)


@dataclass(frozen=True)
class Arms:
    """The values of both twins as the tests see them.

    Attributes:
        reference: shape (n,), failed runs replaced.
        candidate: shape (m,), failed runs replaced; m = n where paired.
        reference_failed: which runs of the reference failed.
        candidate_failed: which runs of the candidate failed.
        paired: run i of both twins shares its seeds.
        fail_value: what failed runs were replaced by; ``None`` where none failed.
        reference_values: the values as they came.
        candidate_values: the values as they came.
    """

    reference: Array
    candidate: Array
    reference_failed: Mask
    candidate_failed: Mask
    paired: bool
    fail_value: float | None
    reference_values: tuple[float, ...]
    candidate_values: tuple[float, ...]

    @property
    def runs(self) -> int:
        """Runs per twin, of the smaller arm."""
        return min(len(self.reference), len(self.candidate))

    @property
    def any_failed(self) -> bool:
        """Whether any run of either arm failed."""
        return bool(self.reference_failed.any() or self.candidate_failed.any())


def read_arms(reference: ArrayLike, candidate: ArrayLike, *, paired: bool, fail_value: float | None) -> Arms:
    """Validate two samples of metric values and replace their failed runs.

    A failed run is NaN, infinite or outside the range of float32. It is replaced by the worse of the worst
    finite value of both arms and ``fail_value``; a ``fail_value`` below the median of the finite values says
    that smaller is worse, otherwise larger is worse. An infinite ``fail_value`` only names the worse side.

    Raises:
        InputError: an arm is not a one-dimensional row of at least two numbers, paired arms differ in
            length, or ``paired`` is neither True nor False.
    """
    if not isinstance(paired, bool | np.bool_):
        raise InputError(f"paired={paired!r} must be True or False")
    x, y = _read("reference", reference), _read("candidate", candidate)
    if paired and len(x) != len(y):
        raise InputError(
            f"paired=True needs run i of both twins to share its seeds, but reference has {len(x)} runs "
            f"and candidate {len(y)}; give equally many, in the same order, or paired=False"
        )
    value = _check_fail_value(fail_value)
    x_failed, y_failed = _failed(x), _failed(y)
    worst = _worst(x[~x_failed], y[~y_failed], value) if x_failed.any() or y_failed.any() else None
    return Arms(
        reference=_replaced(x, x_failed, worst),
        candidate=_replaced(y, y_failed, worst),
        reference_failed=x_failed,
        candidate_failed=y_failed,
        paired=bool(paired),
        fail_value=worst,
        reference_values=tuple(x.tolist()),
        candidate_values=tuple(y.tolist()),
    )


def first_runs(arms: Arms, n: int, fail_value: float | None) -> Arms:
    """Return the arms as they were after ``n`` runs of each twin, later ones unseen."""
    return read_arms(
        arms.reference_values[:n], arms.candidate_values[:n], paired=arms.paired, fail_value=fail_value
    )


def fail_value_for(metric: str) -> float:
    """Return which side is worse for a metric of this name: ``-inf`` (accuracy, auc) or ``inf`` (losses)."""
    return -math.inf if any(word in metric.lower() for word in _LARGER_IS_BETTER) else math.inf


def _read(name: str, values: Any) -> Array:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "bifuO":
            raise TypeError(f"dtype {array.dtype}")
        array = np.array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name}={_shown(values)} is not a row of numbers ({error}); give one metric value per run"
        ) from error
    array[np.abs(array) < SMALLEST] = 0.0
    if array.ndim != 1:
        raise InputError(
            f"{name} has shape {array.shape}; give a one-dimensional array, one metric value per run"
        )
    if len(array) < 2:
        raise InputError(
            f"{name}={_shown(values)} holds {len(array)} run{'s' * (len(array) != 1)}; one run says nothing "
            "about the spread between runs, so give at least 2 (9 or more for EQUIVALENT to be possible)"
        )
    return array


def _shown(values: Any) -> str:
    text = repr(values)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_fail_value(fail_value: float | None) -> float:
    if fail_value is None:
        return math.inf
    try:
        value = float(fail_value)
    except (TypeError, ValueError) as error:
        raise InputError(f"fail_value={fail_value!r} is not a number; {_FAIL_REMEDY}") from error
    if math.isnan(value):
        raise InputError(f"fail_value={fail_value!r} is not a number; {_FAIL_REMEDY}")
    return value


_FAIL_REMEDY = (
    "give the value of the metric that a failed run stands for, -inf where smaller is worse (accuracy), or "
    "None where larger is worse (a loss)"
)


def usable(value: float) -> bool:
    """Tell whether a run with this value has not failed."""
    return abs(value) <= LARGEST


def _failed(values: Array) -> Mask:
    return ~(np.abs(values) <= LARGEST)


def _worst(x: Array, y: Array, fail_value: float) -> float:
    finite: Sequence[float] = np.concatenate([x, y]).tolist()
    if not finite:
        return fail_value if math.isfinite(fail_value) else 0.0
    smaller_is_worse = fail_value < float(np.median(finite))
    pool = [*finite, *([fail_value] if math.isfinite(fail_value) else [])]
    return min(pool) if smaller_is_worse else max(pool)


def _replaced(values: Array, failed: Mask, worst: float | None) -> Array:
    return values if worst is None else np.where(failed, worst, values)
