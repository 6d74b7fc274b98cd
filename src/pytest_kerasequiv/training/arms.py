"""The two arms of the experiment: runs of both twins, interleaved by seed, in portions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Progress, ProgressCallback, Run, Runs

SIDES = ("reference", "candidate")


class Arm(Protocol):
    """Trains one twin."""

    @property
    def reason(self) -> str:
        """Why its engine was chosen, and how its results were made sure of."""

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield one run a seed, in this order."""


class Arms:
    """Both twins under one plan; remembers what has been trained.

    Args:
        reference: trains the reference.
        candidate: trains the candidate.
        plan: the plan.
        progress: told after every run.
    """

    def __init__(
        self, reference: Arm, candidate: Arm, plan: Training, progress: ProgressCallback | None = None
    ) -> None:
        self._arms = (reference, candidate)
        self._runs: tuple[list[Run], list[Run]] = ([], [])
        self._plan = plan
        self._progress = progress
        self._started = time.perf_counter()
        self.message = ""

    def extend_to(self, n: int) -> tuple[Runs, Runs]:
        """Train until each twin has n runs, and return all runs so far.

        Raises:
            InputError: the plan names a metric that is not returned, or the metrics of twins or runs differ.
        """
        seeds = self._plan.seed_values[len(self._runs[0]) : n]
        self._tell()
        for pair in zip(*(arm.train(seeds) for arm in self._arms), strict=True):
            for known, run in zip(self._runs, pair, strict=True):
                known.append(run)
                _check_alike(self._plan, known)
            self._tell()
            if len(self._runs[0]) == 1:  # a wrong name is told after one run, not after all
                metrics_of(self._plan, pair[0].metrics, pair[1].metrics)
        reference, candidate = (
            Runs(tuple(known), arm.reason) for known, arm in zip(self._runs, self._arms, strict=True)
        )
        return reference, candidate

    def say(self, text: str) -> None:
        """Tell whoever watches the progress why there is none."""
        self._tell(f"{self.message}; {text}" if self.message else text)

    def _tell(self, message: str = "") -> None:
        if self._progress is None:
            return
        done = sum(len(known) for known in self._runs)
        total = 2 * len(self._plan.seed_values)
        seconds = time.perf_counter() - self._started
        self._progress(Progress("both", done, total, seconds, message or self.message))


def metric_names(plan: Training, reference: Runs, candidate: Runs) -> tuple[str, ...]:
    """Return the metrics to decide on.

    Raises:
        InputError: the plan names a metric that ``evaluate`` does not return, or the metrics of twins or runs
            differ.
    """
    for runs in (reference.runs, candidate.runs):
        _check_alike(plan, runs)
    return metrics_of(plan, _metrics(reference), _metrics(candidate))


def _metrics(runs: Runs) -> Mapping[str, float]:
    return next((run.metrics for run in runs.runs if run.metrics), {})


def metrics_of(
    plan: Training, reference: Mapping[str, float], candidate: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the metrics to decide on, from the names that a run of each twin gave (none where it raised).

    Raises:
        InputError: the plan names one that is not among them, or they differ.
    """
    found = [tuple(names) for names in (reference, candidate) if names]
    for names in found:
        _check_margins(plan.margin, names)
    if plan.metrics is not None:
        for names in found:
            _check_named(plan.metrics, names)
        return tuple(plan.metrics)
    if len(found) == 2 and set(found[0]) != set(found[1]):
        common = [name for name in found[0] if name in found[1]]
        raise InputError(
            f"the twins return different metrics: the reference {', '.join(found[0])}; the candidate "
            f"{', '.join(found[1])}; compile both with the same metrics, or choose with metrics={common!r}"
        )
    return found[0] if found else ()


def _check_named(asked: Sequence[str], returned: Sequence[str]) -> None:
    missing = [name for name in asked if name not in returned]
    if missing:
        raise InputError(
            f"metrics names {missing[0]!r}, which evaluate does not return; it returns "
            f"{', '.join(returned)}. "
            "Choose from these, or compile the twins with that metric"
        )


def _check_margins(margin: object, returned: Sequence[str]) -> None:
    unknown = [name for name in margin if name not in returned] if isinstance(margin, Mapping) else []
    if unknown:
        raise InputError(
            f"margin names {unknown[0]!r}, which is no metric of the runs, so the default margin would "
            f"decide instead of yours; they return {', '.join(returned)}. Name one of these"
        )


def _check_alike(plan: Training, runs: Sequence[Run]) -> None:
    """Refuse a run that returned other metrics than the first: one would be left out, or count as failed."""
    told = [run for run in runs if run.metrics]
    for run in told[1:]:
        names, others = (
            {name for name in each.metrics if plan.metrics is None or name in plan.metrics}
            for each in (told[0], run)
        )
        if names != others:
            raise InputError(
                f"fit returned {', '.join(told[0].metrics)} under seed {told[0].seed} but "
                f"{', '.join(run.metrics)} under seed {run.seed}; return the same metrics from every run, or "
                "choose with metrics=[...] those that every run has"
            )
