"""The candidate's runs of repeated training against recorded ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.checks.training import arms_of, portions
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.recording.recorded_pair import RecordedPair
from pytest_kerasequiv.recording.training_runs import facts_of_plan
from pytest_kerasequiv.training.arms import SIDES, Arm
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run, Runs
from pytest_kerasequiv.verdict import CheckResult, Finding

STARTS = Finding.note(
    "training",
    "start",
    "the runs of one seed start from other initial weights than those of the reference did, so that the "
    "pairs have less in common; the decision takes that into account",
)


class RecordedArm:
    """Gives the recorded runs of the reference instead of training it.

    Args:
        known: the runs.
    """

    def __init__(self, known: Runs) -> None:
        self._known = {run.seed: run for run in known.runs}
        self.reason = known.reason

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield the recorded run of each seed, in this order."""
        yield from (self._known[seed] for seed in seeds)


def recorded_arm(pair: RecordedPair, known: Runs, training: Training) -> Arm:
    """Return what gives the recorded runs.

    Raises:
        InputError: the runs were recorded with other data, seeds or settings.
    """
    _check_plan(pair, training)
    return RecordedArm(known)


def decided(check: Check, pair: RecordedPair, reference: Arm, given: Mapping[str, Any]) -> CheckResult:
    """Train the candidate, as far as the decision needs, and compare its runs with those of the reference."""
    training: Training = given["training"]
    programs = {"candidate": lambda: pair.candidate_program}
    arms = arms_of(pair.twins, training, programs, given, known={"reference": reference})
    result, seen = check.run(pair, portions(training, arms), given)
    both = (arms.runs(side, seen[-1].n).runs for side in SIDES)
    alike = all(one.start == other.start for one, other in zip(*both, strict=True))
    return result if alike else replace(result, findings=(*result.findings, STARTS))


def _check_plan(pair: RecordedPair, training: Training) -> None:
    recorded, now = pair.content.structure.data, facts_of_plan(training)
    apart = [name for name, value in now.items() if recorded.get(name) != value]
    if not apart:
        return
    words = {"train": "other training data", "test": "other test data", "fit": "another fit="}
    told = [
        words.get(name, f"{name}={recorded.get(name)!r}, where {now[name]!r} is asked for") for name in apart
    ]
    raise InputError(
        f"the runs in the recording {pair.where!r} were made with {'; '.join(told)}; train as it was "
        "recorded, or record it again"
    )
