"""The joint decision over several metrics, at one look or at all looks of a plan.

All metrics EQUIVALENT needs no correction (intersection-union test, Berger 1982). DIFFERENT uses Holm's
adjustment (Holm 1979), so that any false DIFFERENT among the metrics keeps to alpha.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pytest_kerasequiv import arguments
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.statistics.equivalence import decide_arms, decided, due_looks, generator
from pytest_kerasequiv.statistics.looks import Look, parse_looks
from pytest_kerasequiv.statistics.margin import Margin, parse_margin
from pytest_kerasequiv.statistics.result import EquivalenceTest
from pytest_kerasequiv.statistics.samples import fail_value_for, read_arms
from pytest_kerasequiv.verdict import Verdict


@dataclass(frozen=True)
class Decision:
    """The decision over all metrics of a pair of twins.

    Attributes:
        verdict: DIFFERENT where any metric is, EQUIVALENT where all are, else INCONCLUSIVE.
        metrics: metric name -> its test.
        n: runs per twin that it rests on.
        looks: runs at which the plan allowed to decide.
        settled: whether no further runs of the plan are needed: decided, or the last look is past.
    """

    verdict: Verdict
    metrics: Mapping[str, EquivalenceTest]
    n: int
    looks: tuple[int, ...]
    settled: bool

    def __str__(self) -> str:
        head = f"{self.verdict} after {self.n} runs a twin (looks at {', '.join(map(str, self.looks))})"
        return "\n\n".join([head, *(f"{name}: {test}" for name, test in self.metrics.items())])

    def to_dict(self) -> dict[str, Any]:
        """Return the decision as JSON-able data."""
        return {
            "verdict": self.verdict.value,
            "n": self.n,
            "looks": list(self.looks),
            "settled": self.settled,
            "metrics": {name: test.to_dict() for name, test in self.metrics.items()},
        }


def decide(
    reference: Mapping[str, ArrayLike],
    candidate: Mapping[str, ArrayLike],
    *,
    margins: Mapping[str, float | str | Margin | None] | None = None,
    alpha: float = 0.05,
    paired: bool = True,
    looks: Iterable[int | Look] | None = None,
    fail_values: Mapping[str, float | None] | None = None,
    rng: np.random.Generator | int | None = None,
) -> Decision:
    """Decide jointly over several metrics of the same runs.

    Args:
        reference: metric name -> values, one per run, shape (n,); NaN is a failed run.
        candidate: the same metrics of the candidate.
        margins: metric name -> margin, as `parse_margin` reads it; one reference sd where none is given.
        alpha: bound of both error rates.
        paired: run i of both twins shares its seeds.
        looks: run counts at which to decide; the first look that decides is final. ``None``: one look at all
            runs.
        fail_values: metric name -> what a failed run stands for; by default the worst value seen, which is
            the smallest for metrics named like an accuracy and the largest for others.
        rng: draws the permutations; ``None`` uses the same draws every time.

    Raises:
        InputError: an argument cannot be used.
    """
    arguments.alpha(alpha)
    runs = _run_counts(reference, candidate)
    plan = parse_looks(looks, max(runs), alpha)
    options: dict[str, Any] = {"margins": margins, "paired": paired, "fail_values": fail_values, "rng": rng}
    if looks is None:
        return _decide(reference, candidate, plan, 0, **options)
    for k in range(len(due_looks(plan, min(runs)))):
        decision = decide_at_look(reference, candidate, plan, k, **options)
        if decision.verdict is not Verdict.INCONCLUSIVE:
            break
    return decision


def decide_at_look(
    reference: Mapping[str, ArrayLike],
    candidate: Mapping[str, ArrayLike],
    looks: Sequence[Look],
    k: int,
    *,
    margins: Mapping[str, float | str | Margin | None] | None = None,
    paired: bool = True,
    fail_values: Mapping[str, float | None] | None = None,
    rng: np.random.Generator | int | None = None,
) -> Decision:
    """Decide at look ``k`` of a plan from the first ``looks[k].n`` runs of each twin; later ones are unseen.

    `decide` with the same looks on the complete runs gives the same decision as calling this with k = 0, 1,
    ... until ``.settled``.

    Args:
        reference: metric name -> values of the runs so far.
        candidate: the same of the candidate.
        looks: the plan, from `default_looks` or `parse_looks`; each look carries its own level.
        k: which look, from 0.
        margins: as in `decide`.
        paired: as in `decide`.
        fail_values: as in `decide`.
        rng: as in `decide`.

    Raises:
        InputError: an argument cannot be used, or there are fewer runs than the look takes.
    """
    fewest, n = min(_run_counts(reference, candidate)), looks[k].n
    if fewest < n:
        raise InputError(
            f"looks[{k}] takes {n} runs but only {fewest} runs of a twin are given; wait for more runs"
        )
    x, y = _first(reference, n), _first(candidate, n)
    return _decide(x, y, looks, k, margins=margins, paired=paired, fail_values=fail_values, rng=rng)


def _first(arm: Mapping[str, ArrayLike], n: int) -> dict[str, ArrayLike]:
    return {name: np.asarray(values)[:n] for name, values in arm.items()}


def _decide(
    reference: Mapping[str, ArrayLike],
    candidate: Mapping[str, ArrayLike],
    looks: Sequence[Look],
    k: int,
    *,
    margins: Mapping[str, float | str | Margin | None] | None,
    paired: bool,
    fail_values: Mapping[str, float | None] | None,
    rng: np.random.Generator | int | None,
) -> Decision:
    """Decide from all runs given, at the level of look ``k``."""
    source, sizes = generator(rng), _margins(margins, reference)
    values = {name: fail_value_for(name) for name in reference}
    values |= {name: value for name, value in (fail_values or {}).items() if value is not None}
    tests = {
        name: decide_arms(
            read_arms(reference[name], candidate[name], paired=paired, fail_value=values[name]),
            sizes[name],
            looks,
            k,
            source,
        )
        for name in reference
    }
    return _joined(tests, last=k == len(looks) - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values, in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _joined(tests: Mapping[str, EquivalenceTest], *, last: bool) -> Decision:
    adjusted = holm([test.p_difference for test in tests.values()])
    metrics = {name: decided(test, p) for (name, test), p in zip(tests.items(), adjusted, strict=True)}
    verdict = joint_verdict([test.verdict for test in metrics.values()])
    first = next(iter(metrics.values()))
    return Decision(verdict, metrics, first.n, first.looks, last or verdict is not Verdict.INCONCLUSIVE)


def joint_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """Return DIFFERENT where any is, EQUIVALENT where all are, else INCONCLUSIVE."""
    if Verdict.DIFFERENT in verdicts:
        return Verdict.DIFFERENT
    return Verdict.EQUIVALENT if set(verdicts) == {Verdict.EQUIVALENT} else Verdict.INCONCLUSIVE


def _margins(
    margins: Mapping[str, float | str | Margin | None] | None, reference: Mapping[str, ArrayLike]
) -> dict[str, Margin]:
    given = dict(margins or {})
    unknown = [name for name in given if name not in reference]
    if unknown:
        raise InputError(
            f"margins names {unknown[0]!r}, which is no metric here; choose from {', '.join(reference)}"
        )
    return {name: parse_margin(given.get(name)) for name in reference}


def _run_counts(reference: Mapping[str, ArrayLike], candidate: Mapping[str, ArrayLike]) -> list[int]:
    if not reference:
        raise InputError("reference={} holds no metric, so nothing would be decided; give at least one")
    if set(reference) != set(candidate):
        raise InputError(
            f"reference has the metrics {', '.join(sorted(reference))} and candidate "
            f"{', '.join(sorted(candidate))}; give the same metrics on both sides"
        )
    return [len(values) for arm in (reference, candidate) for values in arm.values()]  # type: ignore[arg-type]
