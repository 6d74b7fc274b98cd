"""The candidate's runs of repeated training against recorded ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.checks.registry import Check, named
from pytest_kerasequiv.checks.training import Portion, looks_of
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.recording.recorded_pair import RecordedPair
from pytest_kerasequiv.recording.training_runs import facts_of_plan
from pytest_kerasequiv.training.arms import Arms
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Runs
from pytest_kerasequiv.training.setup import make_arms
from pytest_kerasequiv.verdict import CheckResult, Finding

STARTS = Finding.note(
    "training",
    "start",
    "the runs of one seed start from other initial weights than the recorded ones did, so that the pairs "
    "have less in common; the decision takes that into account",
)


def decided(check: Check, pair: RecordedPair, known: Runs, given: Mapping[str, Any]) -> CheckResult:
    """Train the candidate, as far as the decision needs, and compare its runs with the recorded ones.

    Raises:
        InputError: the runs were recorded with other data, seeds or settings.
    """
    training: Training = given["training"]
    _check_plan(pair, training)
    progress = given.get("progress")
    made = make_arms(
        pair.twins,
        training,
        programs={"candidate": lambda: pair.candidate_program},
        executor=given.get("executor"),
        cache=given.get("cache"),
        say=None if progress is None else lambda text: arms.say(text),  # noqa: PLW0108 - arms are made below
    )
    arms = Arms(made, training, progress)
    result = None
    for look in looks_of(training):
        candidate = check.observe(pair.candidate_twin, Portion(training, look.n, arms))
        recorded = replace(known, runs=known.runs[: look.n])
        result = check.compare(recorded, candidate, pair.correspondence, **named(check.compare, given))
        if not check.further(result, pair.correspondence):
            break
        arms.message = f"undecided after {look.n} runs each, "
    assert result is not None
    alike = all(one.start == other.start for one, other in zip(known.runs, candidate.runs, strict=False))
    return result if alike else replace(result, findings=(*result.findings, STARTS))


def _check_plan(pair: RecordedPair, training: Training) -> None:
    recorded, now = pair.content.structure.data, facts_of_plan(training)
    apart = [name for name, value in now.items() if recorded.get(name) != value]
    if pair.other_data:
        apart = [name for name in apart if name == "seeds"]
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
