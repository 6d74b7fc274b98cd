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
    """Both twins, or one alone, under one plan; remembers what has been trained.

    Args:
        arms: side -> trains that twin.
        plan: the plan.
        progress: told after every run.
    """

    def __init__(
        self, arms: Mapping[str, Arm], plan: Training, progress: ProgressCallback | None = None
    ) -> None:
        self._arms = arms
        self._runs: dict[str, list[Run]] = {side: [] for side in arms}
        self._plan = plan
        self._progress = progress
        self._started = time.perf_counter()
        self.message = ""

    def runs(self, side: str, n: int) -> Runs:
        """Return the first n runs of one twin; those of the twins that are to be trained are interleaved.

        Raises:
            InputError: the plan names a metric that is not returned, or the metrics of twins or runs differ.
        """
        known = len(self._runs[side])
        if known < n:
            self._extend(self._plan.seed_values[known:n])
        return Runs(tuple(self._runs[side][:n]), self._arms[side].reason)

    def _extend(self, seeds: Sequence[int]) -> None:
        self._tell()
        for runs in zip(*(arm.train(seeds) for arm in self._arms.values()), strict=True):
            for known, run in zip(self._runs.values(), runs, strict=True):
                known.append(run)
                _check_alike(self._plan, known)
            self._tell()
            if all(len(known) == 1 for known in self._runs.values()):
                metrics_of(self._plan, *(run.metrics for run in runs))  # told after one run, not after all

    def say(self, text: str) -> None:
        """Tell whoever watches the progress why there is none."""
        self._tell(f"{self.message}; {text}" if self.message else text)

    def _tell(self, message: str = "") -> None:
        if self._progress is None:
            return
        done = sum(len(known) for known in self._runs.values())
        total = len(self._runs) * len(self._plan.seed_values)
        seconds = time.perf_counter() - self._started
        side = "both" if len(self._runs) > 1 else next(iter(self._runs))
        self._progress(Progress(side, done, total, seconds, message or self.message))


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


def metrics_of(plan: Training, *returned: Mapping[str, float]) -> tuple[str, ...]:
    """Return the metrics to decide on, from the names that a run of each twin gave (none where it raised).

    Raises:
        InputError: the plan names one that is not among them, or they differ.
    """
    found = [tuple(names) for names in returned if names]
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
