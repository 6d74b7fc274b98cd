"""The luck of a single run: how far apart two runs of one and the same model are.

Everything is estimated from all pairs of runs of one model (a U-statistic). Pairs share runs, so that n runs
are worth fewer than n (n - 1) / 2 independent pairs and at least n / 2 of them: the variance of a share is
estimated by the jackknife over runs (Arvesen 1969), turned into an effective number of pairs from n / 2 to n,
and given to the exact binomial interval (Korn and Graubard 1998). That the interval holds the true share at
least as often as it says, also for skewed and for two-humped metrics, is simulated in the tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.jsonable import to_jsonable

LEVEL = 0.95
RARE = 0.05
"""The share of pairs that ``rare`` leaves above it: 1 in 20."""


@dataclass(frozen=True)
class Luck:
    """How far two single runs of one model differ, in units of the metric.

    Attributes:
        n: runs that it is estimated from.
        half: half of all pairs of runs differ by this much or more.
        half_interval: its 95 % confidence interval; infinite where so few runs set no upper end.
        rare: 1 in 20 pairs of runs differs by this much or more.
        observed: the reference's and the candidate's single value that the user saw; ``None`` if not told.
        gap: how far apart these two are.
        share: share of pairs of runs that differ at least as much as ``gap``.
        share_interval: its 95 % confidence interval.
        differences: the differences of all pairs of runs, sorted, not negative.
    """

    n: int
    half: float
    half_interval: tuple[float, float]
    rare: float
    observed: tuple[float, float] | None
    gap: float | None
    share: float | None
    share_interval: tuple[float, float] | None
    differences: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-able data."""
        return {name: to_jsonable(value) for name, value in asdict(self).items()}


def luck_of_one_run(values: ArrayLike, observed: tuple[float, float] | None = None) -> Luck:
    """Estimate how far two single runs of one model differ.

    Args:
        values: the metric of each run of the model, shape (n,), n >= 2, finite.
        observed: one value of the reference and one of the candidate, as the user saw them.

    Raises:
        InputError: there are fewer than two runs, or a value is not finite.
    """
    runs = np.asarray(values, dtype=np.float64)
    if runs.ndim != 1 or len(runs) < 2 or not np.isfinite(runs).all():
        raise InputError(f"values of shape {runs.shape} must be a row of at least 2 finite numbers")
    differences = np.sort(np.abs(runs[:, None] - runs)[np.triu_indices(len(runs), 1)])
    gap = None if observed is None else abs(observed[1] - observed[0])
    share = None if gap is None else shares(runs, [gap])
    return Luck(
        n=len(runs),
        half=float(np.quantile(differences, 0.5)),
        half_interval=_where_half(runs, differences),
        rare=float(np.quantile(differences, 1 - RARE)),
        observed=observed,
        gap=gap,
        share=None if share is None else float(share[0][0]),
        share_interval=None if share is None else (float(share[1][0]), float(share[2][0])),
        differences=tuple(differences.tolist()),
    )


def shares(
    values: ArrayLike, gaps: Iterable[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of pairs of runs that differ by each gap or more, and the ends of its 95 % interval.

    Args:
        values: the metric of each run, shape (n,), n >= 2.
        gaps: differences in units of the metric, not negative, k of them.

    Returns:
        three arrays of shape (k,): the share, the lower and the upper end.
    """
    runs, sizes = np.asarray(values, dtype=np.float64), np.asarray(list(gaps), dtype=np.float64)
    n = len(runs)
    # Values printed in a few digits: a pair that differs by exactly the gap counts, whatever its last bit.
    reached = np.abs(runs[:, None] - runs)[None] >= sizes[:, None, None] * (1 - 1e-12)
    reached &= ~np.eye(n, dtype=bool)
    by_run = reached.sum(axis=2)
    total = by_run.sum(axis=1)
    share = total / (n * (n - 1))
    pairs = _effective_pairs(share, total, by_run, n)
    hits, level = share * pairs, (1 - LEVEL) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(hits > 0, betaincinv(np.maximum(hits, 1e-300), pairs - hits + 1, level), 0.0)
        high = np.where(hits < pairs, betaincinv(hits + 1, np.maximum(pairs - hits, 1e-300), 1 - level), 1.0)
    return share, low, high


def _effective_pairs(
    share: NDArray[np.float64], total: NDArray[np.int64], by_run: NDArray[np.int64], n: int
) -> NDArray[np.float64]:
    """Return how many independent pairs have a share as uncertain as this one, from n / 2 to n."""
    if n < 3:
        return np.full(len(share), n / 2)
    without = (total[:, None] - 2 * by_run) / ((n - 1) * (n - 2))
    variance = (n - 1) / n * ((without - without.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    binomial, fewest = share * (1 - share), np.full(len(share), n / 2)
    pairs = np.divide(binomial, variance, out=fewest, where=variance > 0)
    return np.asarray(np.clip(pairs, n / 2, n), dtype=np.float64)


def _where_half(runs: NDArray[np.float64], differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of what half of all pairs may differ by, by inverting the interval of the share.

    Between two differences that were seen the share is that of the larger one; beyond all of them it is 0.
    """
    ends = np.array([0.0, *np.unique(differences), np.inf])
    _, low, high = shares(runs, ends[1:])
    return float(ends[np.argmax(low <= 0.5)]), float(ends[1:][high >= 0.5][-1])
