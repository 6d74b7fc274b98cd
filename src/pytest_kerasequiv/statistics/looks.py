"""Looks: deciding on growing prefixes of the runs, alpha shared out between the looks (Bonferroni)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scipy import stats

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.statistics.failures import GAP


@dataclass(frozen=True)
class Look:
    """One look at the data.

    Attributes:
        n: runs per twin at this look.
        alpha: level of each test at this look; the levels of all looks add up to the whole alpha.
        failure_level: level of the failure guard at this look.
    """

    n: int
    alpha: float
    failure_level: float


# n: ((runs, share of alpha, allowed discordant failures), ...); the exact error of the guard is below .05.
_PLANS = {
    20: ((10, 0.1, 0), (15, 0.1, 1), (20, 0.8, 1)),
    40: ((10, 0.1, 0), (20, 0.5, 1), (30, 0.2, 3), (40, 0.2, 5)),
}


def default_looks(n: int, alpha: float = 0.05) -> tuple[Look, ...]:
    """Return the looks of a plan of n runs a twin: 10/15/20 for 20, 10/20/30/40 for 40, else one look."""
    plan = _PLANS.get(n)
    if plan is None:
        return (Look(n, alpha, alpha),)
    return tuple(
        Look(runs, share * alpha, _guard_level(runs, allowed, alpha)) for runs, share, allowed in plan
    )


def parse_looks(looks: Iterable[int | Look] | None, n: int, alpha: float) -> tuple[Look, ...]:
    """Read ``looks``: run counts or `Look`s, growing; ``None`` is one look at all n runs.

    Counts other than those of `default_looks` share alpha as it does: four fifths for the last look.

    Raises:
        InputError: no look, a count below 2, counts that do not grow, levels that add up to more than alpha,
            or more runs than the last look takes.
    """
    if looks is None:
        return (Look(n, alpha, alpha),)
    if not isinstance(looks, Iterable):
        raise InputError(f"looks={looks!r} must be run counts, for example looks=(10, 15, 20), or None")
    given = tuple(looks)
    parsed = tuple(x for x in given if isinstance(x, Look))
    if len(parsed) != len(given):
        parsed = _shared_out(given, alpha)
    counts = [look.n for look in parsed]
    if not counts or counts[0] < 2 or counts != sorted(set(counts)):
        raise InputError(
            f"looks={given!r} must be run counts that grow, from 2 up, for example looks=(10, 15, 20)"
        )
    if sum(look.alpha for look in parsed) > alpha * (1 + 1e-9):
        raise InputError(f"looks={given!r} spend more than alpha={alpha!r}; let their alphas add up to it")
    if n > counts[-1]:
        raise InputError(
            f"looks={given!r} end at {counts[-1]} runs but {n} are given; runs beyond the last look would be "
            "chosen after seeing the data, so let the last look be the number of runs planned"
        )
    return parsed


def _shared_out(given: tuple[int | Look, ...], alpha: float) -> tuple[Look, ...]:
    if not all(isinstance(x, int) and not isinstance(x, bool) for x in given):
        raise InputError(f"looks={given!r} must be whole numbers of runs, for example looks=(10, 15, 20)")
    counts = tuple(int(x) for x in given if isinstance(x, int))
    known = default_looks(counts[-1], alpha)
    if counts == tuple(look.n for look in known):
        return known
    early = 0.2 / (len(counts) - 1) if len(counts) > 1 else 0.0
    levels = [early * alpha] * (len(counts) - 1) + [alpha * (1 - early * (len(counts) - 1))]
    guard = alpha / len(counts)
    return tuple(Look(n, level, guard) for n, level in zip(counts, levels, strict=True))


def _guard_level(n: int, allowed: int, alpha: float) -> float:
    """Return the guard's level that lets ``allowed`` discordant failures among n pass at alpha = .05."""
    return float(stats.binom.cdf(allowed, n, GAP)) * min(alpha / 0.05, 1.0)
