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
    n, m = len(arms.reference), len(arms.candidate)
    if arms.paired:
        statistics, spread, means = _paired_statistics(arms, _signs(n, rng))
    else:
        statistics, spread, means = _unpaired_statistics(arms, _labels(n, m, rng))
    total = 2**n if arms.paired else math.comb(n + m, n)
    count = len(spread)
    return PermutationTest(
        difference=_min_p(statistics),
        spread=_share_as_extreme(spread),
        means=_share_as_extreme(means),
        arrangements=count,
        enumerated=total <= ENUMERATE_UP_TO,
    )


def _unpaired_statistics(arms: Arms, labels: _Labels) -> tuple[list[Array], Array, Array]:
    """Return the statistics per arrangement, the observed one first."""
    import numpy as np

    n, m = len(arms.reference), len(arms.candidate)
    pooled = np.concatenate([arms.reference, arms.candidate])
    order = np.argsort(pooled, kind="stable")
    z = pooled[order] - pooled.mean()
    failed = np.concatenate([arms.reference_failed, arms.candidate_failed])[order].astype(np.float64)
    observed, columns = (order >= n).astype(np.float64), np.stack([z, z**2, failed], axis=1)
    sums = labels.over_runs(observed, columns)
    rest = columns.sum(axis=0) - sums
    vy, vx = _variance(sums, m), _variance(rest, n)
    means = np.abs(sums[:, 0] / m - rest[:, 0] / n)
    # Both distribution functions, arrangement by arrangement: energy distance = 2 integral of (F - G)^2.
    statistics = [_ratio(means, np.sqrt(vy / m + vx / n)), labels.over_gaps(observed, np.diff(z))]
    if arms.any_failed:
        statistics.append(np.abs(sums[:, 2] / m - rest[:, 2] / n))
    return statistics, _log_ratio(vy, vx), means


def _paired_statistics(arms: Arms, signs: Array) -> tuple[list[Array], Array, Array]:
    """Return the statistics per arrangement: -1 in ``signs`` swaps that pair, the first row swaps none."""
    import numpy as np

    n = len(arms.reference)
    centre = (arms.reference.mean() + arms.candidate.mean()) / 2
    x, y = arms.reference - centre, arms.candidate - centre
    gap = arms.candidate_failed.astype(np.float64) - arms.reference_failed
    w, w2 = y - x, y**2 - x**2
    products = signs @ np.column_stack([_energy_form(x, y), w, w2, gap])
    energy = np.einsum("pi,pi->p", products[:, :n], signs)
    mean, squares = products[:, n] / n, float((w**2).sum())
    scatter = np.maximum(squares / n - mean**2, 0)
    scatter[scatter <= 1e-14 * squares / n] = 0
    statistics = [_ratio(np.abs(mean), np.sqrt(scatter / (n - 1))), energy]
    if arms.any_failed:
        statistics.append(np.abs(products[:, n + 2]) / n)
    total = np.array([(x + y).sum(), (x**2 + y**2).sum()])
    sums = (total + products[:, n : n + 2]) / 2
    return statistics, _log_ratio(_variance(sums, n), _variance(total - sums, n)), np.abs(mean)


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


def _share_as_extreme(statistic: Array) -> float:
    """Return the share of arrangements at least as extreme as the first, the observed one, up to rounding."""
    import numpy as np

    return float(np.mean(statistic >= statistic[0] - _rounding(statistic)))


def _min_p(statistics: Sequence[Array]) -> float:
    """Join statistics by their smallest p value, judged over all arrangements.

    An arrangement counts where any of its own p values is as small as the smallest observed one, that is,
    where a statistic lies above the ``rank + 1`` largest.
    """
    import numpy as np

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
    import numpy as np

    return 1e-11 * float(np.max(np.abs(statistic), where=np.isfinite(statistic), initial=0.0))


@dataclass(frozen=True)
class _Labels:
    """Arrangements of two unpaired arms over the sorted pooled runs.

    Attributes:
        chosen: 1 where the candidate's run stands, shape (arrangements, n + m).
        gaps: squared gap of both distribution functions behind each but the last run.
        complete: whether these are all arrangements, the observed one among them.
    """

    chosen: Array
    gaps: Array
    complete: bool

    def over_runs(self, observed: Array, columns: Array) -> Array:
        """Return the candidate's sums of ``columns`` per arrangement, the observed one first, once."""
        return self._in_front(observed, observed @ columns, self.chosen @ columns)

    def over_gaps(self, observed: Array, widths: Array) -> Array:
        """Return the integral of the squared gap per arrangement, the observed one first, once."""
        return self._in_front(observed, _squared_gaps(observed[None, :])[0] @ widths, self.gaps @ widths)

    def _in_front(self, observed: Array, first: Array, others: Array) -> Array:
        import numpy as np

        if self.complete:
            others = others[(self.chosen != observed).any(axis=1)]
        return np.concatenate([np.asarray(first)[None], others])


def _squared_gaps(chosen: Array) -> Array:
    import numpy as np

    m = chosen[0].sum()
    n = chosen.shape[1] - m
    gaps: Array = np.cumsum(chosen * (1 / m + 1 / n) - 1 / n, axis=1)[:, :-1] ** 2
    return gaps


def _labels(n: int, m: int, rng: np.random.Generator | None) -> _Labels:
    """Return all arrangements of n and m runs, or draws."""
    if math.comb(n + m, n) <= ENUMERATE_UP_TO:
        return _all_labels(n, m)
    return _fixed_labels(n, m) if rng is None else _drawn_labels(n, m, rng)


@lru_cache(maxsize=8)
def _all_labels(n: int, m: int) -> _Labels:
    import numpy as np

    places = np.array(list(itertools.combinations(range(n + m), m)))
    chosen = np.zeros((len(places), n + m))
    np.put_along_axis(chosen, places, 1.0, axis=1)
    return _Labels(chosen, _squared_gaps(chosen), complete=True)


@lru_cache(maxsize=8)
def _fixed_labels(n: int, m: int) -> _Labels:
    import numpy as np

    return _drawn_labels(n, m, np.random.default_rng(_DEFAULT_SEED))


def _drawn_labels(n: int, m: int, rng: np.random.Generator) -> _Labels:
    import numpy as np

    first = np.zeros((DRAWS, n + m))
    first[:, :m] = 1.0
    chosen = rng.permuted(first, axis=1)
    return _Labels(chosen, _squared_gaps(chosen), complete=False)


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
