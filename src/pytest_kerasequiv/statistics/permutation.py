"""The difference test: a permutation test, exact for every distribution of the metric.

Swaps within pairs (paired) or of labels (unpaired) leave identical twins' runs equally likely. Three
statistics look for a difference: |t| (means), the energy distance (whole distributions; Szekely and Rizzo
2004) and, where runs failed, the gap of the failure rates. They are joined by the smallest of their p
values, itself judged against its permutation distribution (Westfall and Young 1993), so one exact p results.
All arrangements are enumerated where there are at most 20 000, otherwise 9 999 are drawn and the observed
one is added (Phipson and Smyth 2010).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.statistics.arrangements import ENUMERATE_UP_TO, label_blocks, sign_blocks, squared_gaps
from pytest_kerasequiv.statistics.samples import Arms

Array = NDArray[np.float64]


_LARGEST_FORM = 256
"""Pairs up to which the energy distance is taken as a quadratic form, which needs their square in memory."""


@dataclass(frozen=True)
class PermutationTest:
    """Exact p values of one experiment.

    Attributes:
        difference: of "both twins' runs have one distribution".
        spread: the same null hypothesis, judged by ``|log(variance ratio)|``; only for the spread veto.
        means: the same, judged by the difference of the means alone.
        arrangements: how many arrangements were looked at.
        enumerated: whether these are all there are.
    """

    difference: float
    spread: float
    means: float
    arrangements: int
    enumerated: bool


def permutation_test(arms: Arms, rng: np.random.Generator | None = None) -> PermutationTest:
    """Test whether the two arms have one distribution.

    Args:
        arms: the two samples; failed runs are replaced already and flagged.
        rng: draws the arrangements where they are too many to enumerate; ``None`` uses one fixed set of
            draws, so that the same data always get the same p.
    """
    n, m = len(arms.reference), len(arms.candidate)
    statistics, spread, means = (_paired_statistics if arms.paired else _unpaired_statistics)(arms, rng)
    total = 2**n if arms.paired else math.comb(n + m, n)
    return PermutationTest(
        difference=_min_p(statistics),
        spread=_share_as_extreme(spread),
        means=_share_as_extreme(means),
        arrangements=len(spread),
        enumerated=total <= ENUMERATE_UP_TO,
    )


def _unpaired_statistics(arms: Arms, rng: np.random.Generator | None) -> tuple[list[Array], Array, Array]:
    """Return the statistics per arrangement, the observed one first."""
    n, m = len(arms.reference), len(arms.candidate)
    pooled = np.concatenate([arms.reference, arms.candidate])
    order = np.argsort(pooled, kind="stable")
    z = pooled[order] - pooled.mean()
    failed = np.concatenate([arms.reference_failed, arms.candidate_failed])[order].astype(np.float64)
    observed, widths = (order >= n).astype(np.float64), np.diff(z)
    columns = np.stack([z, z**2, failed], axis=1)
    # Both distribution functions, arrangement by arrangement: energy distance = 2 integral of (F - G)^2.
    sums, energies = [(observed @ columns)[None]], [squared_gaps(observed[None]) @ widths]
    for block in label_blocks(n, m, rng):
        keep = block.other_than(observed)
        sums.append((block.chosen @ columns)[keep])
        energies.append((block.gaps @ widths)[keep])
    mine = np.concatenate(sums)
    rest = columns.sum(axis=0) - mine
    vy, vx = _variance(mine, m), _variance(rest, n)
    means = np.abs(mine[:, 0] / m - rest[:, 0] / n)
    statistics = [_ratio(means, np.sqrt(vy / m + vx / n)), np.concatenate(energies)]
    if arms.any_failed:
        statistics.append(np.abs(mine[:, 2] / m - rest[:, 2] / n))
    return statistics, _log_ratio(vy, vx), means


def _paired_statistics(arms: Arms, rng: np.random.Generator | None) -> tuple[list[Array], Array, Array]:
    """Return the statistics per arrangement, the observed one, which swaps no pair, first."""
    n = len(arms.reference)
    centre = (arms.reference.mean() + arms.candidate.mean()) / 2
    x, y = arms.reference - centre, arms.candidate - centre
    gap = arms.candidate_failed.astype(np.float64) - arms.reference_failed
    w, columns = y - x, np.column_stack([y - x, y**2 - x**2, gap])
    energy_of = _paired_energy(x, y)
    parts = [(signs @ columns, energy_of(signs)) for signs in sign_blocks(n, rng)]
    products, energy = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    mean, squares = products[:, 0] / n, float((w**2).sum())
    scatter = np.maximum(squares / n - mean**2, 0)
    scatter[scatter <= 1e-14 * squares / n] = 0
    statistics = [_ratio(np.abs(mean), np.sqrt(scatter / (n - 1))), energy]
    if arms.any_failed:
        statistics.append(np.abs(products[:, 2]) / n)
    total = np.array([(x + y).sum(), (x**2 + y**2).sum()])
    sums = (total + products[:, :2]) / 2
    return statistics, _log_ratio(_variance(sums, n), _variance(total - sums, n)), np.abs(mean)


def _paired_energy(x: Array, y: Array) -> Callable[[Array], Array]:
    """Return what gives the energy distance (up to a factor) of each row of signs."""
    n = len(x)
    if n <= _LARGEST_FORM:
        form = _energy_form(x, y)
        return lambda signs: np.einsum("pi,pi->p", signs @ form, signs)
    pooled = np.concatenate([x, y])
    order = np.argsort(pooled, kind="stable")
    widths, side, pair = np.diff(pooled[order]), np.where(order < n, -1.0, 1.0) / n, order % n

    def by_order(signs: Array) -> Array:
        energy: Array = 2 * np.cumsum(signs[:, pair] * side, axis=1)[:, :-1] ** 2 @ widths
        return energy

    return by_order


def _energy_form(x: Array, y: Array) -> Array:
    """Return M with energy distance = signs' M signs."""

    def apart(a: Array, b: Array) -> Array:
        distance: Array = np.abs(a[:, None] - b[None, :])
        return distance

    form: Array = (apart(x, y) + apart(y, x) - apart(x, x) - apart(y, y)) / len(x) ** 2
    return form


def _variance(sums: Array, n: int) -> Array:
    """Return variances from sums and sums of squares of centred values; rounding noise becomes 0."""
    scatter = sums[:, 1] - sums[:, 0] ** 2 / n
    variance: Array = np.where(scatter <= 1e-14 * sums[:, 1], 0.0, scatter) / (n - 1)
    return variance


def _ratio(above: Array, below: Array) -> Array:
    """Return above / below, 0 for 0 / 0 and infinity for other divisions by 0."""
    limit = np.where(above > 0, np.inf, 0.0)
    result: Array = np.divide(above, below, out=limit, where=below > 0)
    return result


def _log_ratio(vy: Array, vx: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.abs(np.log(vy) - np.log(vx))
    result: Array = np.where((vy == 0) & (vx == 0), 0.0, log)
    return result


def _share_as_extreme(statistic: Array) -> float:
    """Return the share of arrangements at least as extreme as the first, the observed one, up to rounding."""
    return float(np.mean(statistic >= statistic[0] - _rounding(statistic)))


def _min_p(statistics: Sequence[Array]) -> float:
    """Join statistics by their smallest p value, judged over all arrangements.

    An arrangement counts where any of its own p values is as small as the smallest observed one, that is,
    where a statistic lies above the ``rank + 1`` largest.
    """
    slack = [_rounding(statistic) for statistic in statistics]
    rank = min(int((s >= s[0] - e).sum()) for s, e in zip(statistics, slack, strict=True))
    last = len(statistics[0]) - rank - 1
    if last < 0:
        return 1.0
    bars = [np.partition(statistic, last)[last] for statistic in statistics]
    extreme = [s > bar + e for s, bar, e in zip(statistics, bars, slack, strict=True)]
    return float(np.mean(np.any(extreme, axis=0)))


def _rounding(statistic: Array) -> float:
    """Return the distance within which values of a statistic count as tied."""
    return 1e-11 * float(np.max(np.abs(statistic), where=np.isfinite(statistic), initial=0.0))
