"""The shipped decision, applied to many experiments at once, and the three naive rules beside it.

The means are tested by the package's own functions, which take batches; permutation tests run one experiment
at a time and only where their answer matters. `agree` checks the batch against `equivalence_test`.
"""

from __future__ import annotations

import numpy as np
from families import Array, Design
from numpy.typing import NDArray
from scipy import stats

from pytest_kerasequiv import Verdict, equivalence_test
from pytest_kerasequiv.statistics import means, mover
from pytest_kerasequiv.statistics.equivalence import SPREAD_RATIO
from pytest_kerasequiv.statistics.looks import default_looks
from pytest_kerasequiv.statistics.permutation import permutation_test
from pytest_kerasequiv.statistics.samples import read_arms

Mask = NDArray[np.bool_]

NAIVE = {
    "p > .05": lambda x, y, design: _t_test(x, y, design) > 0.05,
    "within one sd": lambda x, y, _: _gap(x, y) <= x.std(axis=-1, ddof=1),
    "mean ± sd overlap": lambda x, y, _: _gap(x, y) <= x.std(axis=-1, ddof=1) + y.std(axis=-1, ddof=1),
}
"""What people do instead: each takes both samples and says whether the twins "pass"."""


def equivalent(x: Array, y: Array, margin: float | None, design: Design, level: float = 0.05) -> Mask:
    """Return which experiments are EQUIVALENT, where no run failed; ``margin=None`` is the default."""
    if margin is None:
        passed = mover.sd_margin(x, y, paired=design.paired).passes(1.0, level)
    else:
        passed = np.maximum(*means.tost_absolute(x, y, margin, paired=design.paired)) <= level
    ratio = y.std(axis=-1, ddof=1) / x.std(axis=-1, ddof=1)
    for i in np.flatnonzero(passed & ((ratio > SPREAD_RATIO) | (ratio < 1 / SPREAD_RATIO))):
        arms = read_arms(x[i], y[i], paired=design.paired, fail_value=None)
        passed[i] = permutation_test(arms).spread > level
    return passed


def difference_p(x: Array, y: Array, design: Design, where: Mask | None = None) -> Array:
    """Return the p of the difference test; 1 where it is not asked for."""
    p = np.ones(len(x))
    for i in range(len(x)) if where is None else np.flatnonzero(where):
        p[i] = permutation_test(read_arms(x[i], y[i], paired=design.paired, fail_value=None)).difference
    return p


def different(x: Array, y: Array, margin: float | None, design: Design, level: float = 0.05) -> Mask:
    """Return which experiments are DIFFERENT: detectably so and not EQUIVALENT."""
    where = ~equivalent(x, y, margin, design, level)
    return difference_p(x, y, design, where) <= level


def sequential(x: Array, y: Array, margin: float | None, design: Design) -> tuple[Mask, Mask, Array]:
    """Return which experiments end EQUIVALENT or DIFFERENT with the default looks, and their runs."""
    looks = default_looks(x.shape[-1])
    same, other = np.zeros(len(x), bool), np.zeros(len(x), bool)
    spent = np.full(len(x), float(looks[-1].n))
    for look in looks:
        open_ = np.flatnonzero(~(same | other))
        u, v = x[open_, : look.n], y[open_, : look.n]
        now = equivalent(u, v, margin, design, look.alpha)
        differs = difference_p(u, v, design, ~now) <= look.alpha
        same[open_], other[open_] = now, differs
        spent[open_[now | differs]] = look.n
    return same, other, spent


def agree(x: Array, y: Array, margin: float | None, design: Design, looks: bool = False) -> None:
    """Stop unless the batch decides as the public function does."""
    plan = default_looks(x.shape[-1]) if looks else None
    tests = [
        equivalence_test(a, b, margin=margin, paired=design.paired, looks=plan)
        for a, b in zip(x, y, strict=True)
    ]
    public = [test.verdict for test in tests]
    same = sequential(x, y, margin, design)[0] if looks else equivalent(x, y, margin, design)
    other = sequential(x, y, margin, design)[1] if looks else different(x, y, margin, design)
    batch = [
        Verdict.EQUIVALENT if s else Verdict.DIFFERENT if d else Verdict.INCONCLUSIVE
        for s, d in zip(same, other, strict=True)
    ]
    if public != batch:
        raise AssertionError(
            f"the benchmark's batch disagrees with equivalence_test: {public} against {batch}"
        )


def _gap(x: Array, y: Array) -> Array:
    return np.abs(y.mean(axis=-1) - x.mean(axis=-1))


def _t_test(x: Array, y: Array, design: Design) -> Array:
    if design.paired:
        return np.asarray(stats.ttest_rel(y, x, axis=-1).pvalue)
    return np.asarray(stats.ttest_ind(y, x, axis=-1, equal_var=False).pvalue)
