"""The difference test: a permutation test, exact for every distribution of the metric.

Swaps within pairs (paired) or of labels (unpaired) leave identical twins' runs equally likely. Three
statistics look for a difference: |t| (means), the energy distance (whole distributions; Szekely and Rizzo
2004) and, where runs failed, the gap of the failure rates. They are joined by the smallest of their p
values, itself judged against its permutation distribution (Westfall and Young 1993), so one exact p results.
All arrangements are enumerated where there are at most 20 000, otherwise 9 999 are drawn and the observed
one is added (Phipson and Smyth 2010).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytest_kerasequiv.statistics.arms import Arms

    Array = NDArray[np.float64]

ENUMERATE_UP_TO = 20_000
DRAWS = 9_999
_DEFAULT_SEED = 20_231_105


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
    import numpy as np

    n, m = len(arms.reference), len(arms.candidate)
    if arms.paired:
        signs = _signs(n, rng)
        statistics, spread, means = _paired_statistics(arms, signs)
    else:
        chosen = _labels(n, m, rng)
        statistics, spread, means = _unpaired_statistics(arms, chosen)
    total = 2**n if arms.paired else math.comb(n + m, n)
    count = len(spread)
    return PermutationTest(
        difference=_min_p(statistics),
        spread=float(np.mean(_at_least(spread))),
        means=float(np.mean(_at_least(means))),
        arrangements=count,
        enumerated=total <= ENUMERATE_UP_TO,
    )


def _unpaired_statistics(arms: Arms, chosen: Array) -> tuple[list[Array], Array, Array]:
    """Return the statistics per arrangement, the observed first; ``chosen`` marks the candidate's runs."""
    import numpy as np

    n, m = len(arms.reference), len(arms.candidate)
    pooled = np.concatenate([arms.reference, arms.candidate])
    order = np.argsort(pooled, kind="stable")
    z = pooled[order] - pooled.mean()
    observed = (order >= n).astype(np.float64)
    if math.comb(n + m, n) <= ENUMERATE_UP_TO:
        chosen = chosen[(chosen != observed).any(axis=1)]
    chosen = np.vstack([observed, chosen])
    sums = chosen @ np.stack([z, z**2], axis=1)
    rest = np.array([z.sum(), (z**2).sum()]) - sums
    vy, vx = _variance(sums, m), _variance(rest, n)
    means = np.abs(sums[:, 0] / m - rest[:, 0] / n)
    # Both distribution functions, arrangement by arrangement: energy distance = 2 integral of (F - G)^2.
    gap = np.cumsum(chosen * (1 / m + 1 / n) - 1 / n, axis=1)[:, :-1]
    statistics = [_ratio(means, np.sqrt(vy / m + vx / n)), gap**2 @ np.diff(z)]
    if arms.any_failed:
        failed = np.concatenate([arms.reference_failed, arms.candidate_failed])[order].astype(np.float64)
        in_candidate = chosen @ failed
        statistics.append(np.abs(in_candidate / m - (failed.sum() - in_candidate) / n))
    return statistics, _log_ratio(vy, vx), means


def _paired_statistics(arms: Arms, signs: Array) -> tuple[list[Array], Array, Array]:
    """Return the statistics per arrangement: -1 in ``signs`` swaps that pair, the first row swaps none."""
    import numpy as np

    x, y = arms.reference, arms.candidate
    n = len(x)
    centre = (x.mean() + y.mean()) / 2
    x, y = x - centre, y - centre
    w = y - x
    mean = signs @ w / n
    squares = float((w**2).sum())
    scatter = np.maximum(squares / n - mean**2, 0)
    scatter[scatter <= 1e-14 * squares / n] = 0
    energy = np.einsum("pi,pi->p", signs @ _energy_form(x, y), signs)
    statistics = [_ratio(np.abs(mean), np.sqrt(scatter / (n - 1))), energy]
    if arms.any_failed:
        gap = arms.candidate_failed.astype(np.float64) - arms.reference_failed
        statistics.append(np.abs(signs @ gap) / n)
    sums = (signs + 1) / 2 @ np.stack([w, y**2 - x**2], axis=1) + np.array([x.sum(), (x**2).sum()])
    rest = np.array([x.sum() + y.sum(), (x**2).sum() + (y**2).sum()]) - sums
    return statistics, _log_ratio(_variance(sums, n), _variance(rest, n)), np.abs(mean)


def _energy_form(x: Array, y: Array) -> Array:
    """Return M with energy distance = signs' M signs."""
    import numpy as np

    def apart(a: Array, b: Array) -> Array:
        distance: Array = np.abs(a[:, None] - b[None, :])
        return distance

    form: Array = (apart(x, y) + apart(y, x) - apart(x, x) - apart(y, y)) / len(x) ** 2
    return form


def _variance(sums: Array, n: int) -> Array:
    """Return variances from sums and sums of squares of centred values; rounding noise becomes 0."""
    import numpy as np

    scatter = sums[:, 1] - sums[:, 0] ** 2 / n
    variance: Array = np.where(scatter <= 1e-14 * sums[:, 1], 0.0, scatter) / (n - 1)
    return variance


def _ratio(above: Array, below: Array) -> Array:
    """Return above / below, 0 for 0 / 0 and infinity for other divisions by 0."""
    import numpy as np

    limit = np.where(above > 0, np.inf, 0.0)
    result: Array = np.divide(above, below, out=limit, where=below > 0)
    return result


def _log_ratio(vy: Array, vx: Array) -> Array:
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.abs(np.log(vy) - np.log(vx))
    result: Array = np.where((vy == 0) & (vx == 0), 0.0, log)
    return result


def _at_least(statistic: Array) -> NDArray[np.bool_]:
    """Return which arrangements are at least as extreme as the first, the observed one, up to rounding."""
    rounded = _rounded(statistic)
    result: NDArray[np.bool_] = rounded >= rounded[0]
    return result


def _rounded(statistic: Array) -> Array:
    import numpy as np

    finite = statistic[np.isfinite(statistic)]
    scale = float(np.max(np.abs(finite), initial=0.0))
    return np.round(statistic / scale, 11) if scale > 0 else statistic


def _min_p(statistics: Sequence[Array]) -> float:
    """Join statistics by their smallest p value, judged over all arrangements."""
    import numpy as np

    smallest = np.min([_tail_ranks(_rounded(s)) for s in statistics], axis=0)
    return float(np.mean(smallest <= smallest[0]))


def _tail_ranks(statistic: Array) -> NDArray[np.int_]:
    """Return per arrangement how many arrangements are at least as extreme."""
    import numpy as np

    ranks: NDArray[np.int_] = len(statistic) - np.searchsorted(np.sort(statistic), statistic, side="left")
    return ranks


def _labels(n: int, m: int, rng: np.random.Generator | None) -> Array:
    """Return 0/1 rows that mark the candidate's places among n + m: all there are, or draws."""
    if math.comb(n + m, n) <= ENUMERATE_UP_TO:
        return _all_labels(n, m)
    return _fixed_labels(n, m) if rng is None else _drawn_labels(n, m, rng)


@lru_cache(maxsize=8)
def _all_labels(n: int, m: int) -> Array:
    import numpy as np

    places = np.array(list(itertools.combinations(range(n + m), m)))
    labels = np.zeros((len(places), n + m))
    np.put_along_axis(labels, places, 1.0, axis=1)
    return labels


@lru_cache(maxsize=8)
def _fixed_labels(n: int, m: int) -> Array:
    import numpy as np

    return _drawn_labels(n, m, np.random.default_rng(_DEFAULT_SEED))


def _drawn_labels(n: int, m: int, rng: np.random.Generator) -> Array:
    import numpy as np

    first = np.zeros((DRAWS, n + m))
    first[:, :m] = 1.0
    return rng.permuted(first, axis=1)


def _signs(n: int, rng: np.random.Generator | None) -> Array:
    """Return rows of +-1, the observed arrangement (all +1) first."""
    if 2**n <= ENUMERATE_UP_TO:
        return _all_signs(n)
    return _fixed_signs(n) if rng is None else _drawn_signs(n, rng)


@lru_cache(maxsize=8)
def _all_signs(n: int) -> Array:
    import numpy as np

    return np.array(list(itertools.product((1.0, -1.0), repeat=n)))


@lru_cache(maxsize=8)
def _fixed_signs(n: int) -> Array:
    import numpy as np

    return _drawn_signs(n, np.random.default_rng(_DEFAULT_SEED))


def _drawn_signs(n: int, rng: np.random.Generator) -> Array:

    signs = rng.choice((-1.0, 1.0), size=(DRAWS + 1, n))
    signs[0] = 1.0
    return signs
