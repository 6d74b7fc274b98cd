"""Choosing what trains a twin, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.fit import train_fresh
from pytest_kerasequiv.training.runs import Run

if TYPE_CHECKING:
    from pytest_kerasequiv.models.sources import Source
    from pytest_kerasequiv.training.plan import Training


class FitArm:
    """Engine ``fit``, one freshly built model a seed."""

    reason = "every run builds and compiles a fresh model"

    def __init__(self, source: Source, plan: Training, side: str) -> None:
        self._source = source
        self._plan = plan
        self._side = side

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield one run a seed, in this order."""
        for seed in seeds:
            yield train_fresh(self._source, self._plan, seed, self._side)


def make_arm(source: Source, plan: Training, side: str) -> Arm:
    """Return what trains one twin in this process."""
    return FitArm(source, plan, side)


def make_arms(pair: Any, plan: Training, *, executor: Any = None, cache: Any = None) -> tuple[Arm, Arm]:
    """Return what trains the reference and what trains the candidate."""
    twins = pair.twins
    return make_arm(twins.reference_source, plan, "reference"), make_arm(
        twins.candidate_source, plan, "candidate"
    )
