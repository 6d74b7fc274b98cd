"""The decision on one metric: equivalence, difference, and what stands against either."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_kerasequiv import arguments
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.statistics.description import description, outlook, summary
from pytest_kerasequiv.statistics.failures import failure_p
from pytest_kerasequiv.statistics.looks import Look, parse_looks
from pytest_kerasequiv.statistics.margin import Margin, parse_margin
from pytest_kerasequiv.statistics.permutation import permutation_test
from pytest_kerasequiv.statistics.result import EquivalenceTest, reasons_for
from pytest_kerasequiv.statistics.samples import Arms, first_runs, read_arms
from pytest_kerasequiv.statistics.within import MeanTest, mean_test
from pytest_kerasequiv.verdict import Verdict

Array = NDArray[np.float64]


SPREAD_RATIO = 1.5
"""Ratio of the standard deviations from which a detectable difference in spread stands against EQUIVALENT."""


def equivalence_test(
    reference: ArrayLike,
    candidate: ArrayLike,
    *,
    margin: float | str | Margin | None = None,
    paired: bool = False,
    alpha: float = 0.05,
    fail_value: float | None = None,
    looks: Iterable[int | Look] | None = None,
    rng: np.random.Generator | int | None = None,
) -> EquivalenceTest:
    """Decide whether two samples of one metric, one value per seeded run, are equivalent.

    Args:
        reference: the reference's values, shape (n,), n >= 2. NaN and infinity are failed runs.
        candidate: the candidate's values, shape (m,).
        margin: a number in units of the metric, ``"10%"`` of the reference mean, ``"0.5sd"`` of the
            reference, or ``None`` for ``"1sd"``.
        paired: run i of both twins shares its seeds.
        alpha: bound of both error rates, below 0.5.
        fail_value: the metric's value that a failed run stands for, where that is worse than the worst seen;
            where smaller is worse (accuracy), give it or ``-inf``.
        looks: run counts at which to decide, on growing prefixes, for example ``(10, 15, 20)``.
        rng: draws the permutations; ``None`` uses the same draws every time.

    Raises:
        InputError: an argument cannot be used.
    """
    arms = read_arms(reference, candidate, paired=paired, fail_value=fail_value)
    arguments.alpha(alpha)
    size, source = parse_margin(margin), generator(rng)
    if looks is None:
        return decide_arms(arms, size, (Look(arms.runs, alpha, alpha),), 0, source)
    plan = parse_looks(looks, max(len(arms.reference), len(arms.candidate)), alpha)
    for k, look in enumerate(due_looks(plan, arms.runs)):
        test = decide_arms(first_runs(arms, look.n, fail_value), size, plan, k, source)
        if test.verdict is not Verdict.INCONCLUSIVE:
            break
    return test


def generator(rng: np.random.Generator | int | None) -> np.random.Generator | None:
    """Return the generator that ``rng`` stands for."""
    if rng is None or isinstance(rng, np.random.Generator):
        return rng
    if _is_real(rng) and rng == int(rng) and rng >= 0:
        return np.random.default_rng(int(rng))
    raise InputError(
        f"rng={rng!r} is no source of random numbers; give a numpy.random.Generator, a seed or None"
    )


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def due_looks(plan: tuple[Look, ...], runs: int) -> tuple[Look, ...]:
    """Return the looks that ``runs`` runs per twin allow.

    Raises:
        InputError: fewer runs than the first look takes.
    """
    due = tuple(look for look in plan if look.n <= runs)
    if not due:
        raise InputError(
            f"looks={tuple(look.n for look in plan)} start at {plan[0].n} runs per twin but only {runs} are "
            "given; wait for more runs or look earlier"
        )
    return due


def decide_arms(
    arms: Arms, margin: Margin, looks: Sequence[Look], k: int, rng: np.random.Generator | None
) -> EquivalenceTest:
    """Decide on one metric at look ``k``; Holm's adjustment over several metrics comes later."""
    look, alpha = looks[k], float(sum(each.alpha for each in looks))
    permuted, sides = permutation_test(arms, rng), mean_test(arms, margin, look.alpha)
    reference, candidate = summary(arms, "reference"), summary(arms, "candidate")
    vetoes = _vetoes(arms, look, permuted.spread, sd_alike=_similar(reference.sd, candidate.sd))
    test = EquivalenceTest(
        verdict=Verdict.INCONCLUSIVE,
        n=arms.runs,
        paired=arms.paired,
        alpha=alpha,
        level=float(look.alpha),
        reference=reference,
        candidate=candidate,
        p_difference=permuted.difference,
        p_difference_holm=permuted.difference,
        p_means=permuted.means,
        p_spread=permuted.spread,
        detectable=False,
        looks=tuple(each.n for each in looks),
        **vetoes,
        **_within(sides, certifies=not (vetoes["spread_differs"] or vetoes["failures_differ"])),
        **description(arms, reference, candidate),
        **outlook(arms, sides, reference, candidate, alpha),
    )
    return decided(test, permuted.difference)


def _vetoes(arms: Arms, look: Look, p_spread: float, *, sd_alike: bool) -> dict[str, Any]:
    """Return the fields of `EquivalenceTest` on what stands against EQUIVALENT, whatever the means."""
    p_failure = failure_p(arms)
    return {
        "p_failure": p_failure,
        "failure_level": float(look.failure_level),
        "spread_differs": p_spread <= look.alpha and not sd_alike,
        "failures_differ": p_failure > look.failure_level or _mostly_failed(arms),
    }


def _within(sides: MeanTest, *, certifies: bool) -> dict[str, Any]:
    """Return the fields of `EquivalenceTest` on the means and the margin."""
    return {
        "margin": sides.margin,
        "margin_kind": sides.kind,
        "margin_label": sides.label,
        "p_lower": sides.lower,
        "p_upper": sides.upper,
        "certified_bound": sides.certified if certifies else None,
        "certified_label": sides.certified_label if certifies else None,
    }


def decided(test: EquivalenceTest, p_holm: float) -> EquivalenceTest:
    """Return the test with its verdict, given its Holm-adjusted p of difference. EQUIVALENT wins."""
    shown = test.equivalent_means and not (test.spread_differs or test.failures_differ)
    found = p_holm <= test.level
    verdict = Verdict.EQUIVALENT if shown else Verdict.DIFFERENT if found else Verdict.INCONCLUSIVE
    test = replace(test, verdict=verdict, p_difference_holm=p_holm, detectable=shown and found)
    return replace(test, reasons=reasons_for(test))


def _similar(x: float, y: float) -> bool:
    return x <= SPREAD_RATIO * y and y <= SPREAD_RATIO * x


def _mostly_failed(arms: Arms) -> bool:
    return bool(arms.reference_failed.mean() > 0.5 or arms.candidate_failed.mean() > 0.5)
