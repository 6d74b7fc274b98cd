"""Choosing what trains a twin, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.cache import as_cache
from pytest_kerasequiv.training.cached import CachedArm
from pytest_kerasequiv.training.fit import FitEngine
from pytest_kerasequiv.training.fitting import check_fits
from pytest_kerasequiv.training.keys import RunKeys
from pytest_kerasequiv.training.remote import RemoteArm
from pytest_kerasequiv.training.starts import Starts
from pytest_kerasequiv.training.support import vectorizes
from pytest_kerasequiv.training.vectorized import VectorizedEngine

if TYPE_CHECKING:
    from pytest_kerasequiv.models.program import Program
    from pytest_kerasequiv.models.sources import Source
    from pytest_kerasequiv.models.twins import Twins
    from pytest_kerasequiv.training.coupling import Coupling
    from pytest_kerasequiv.training.plan import Training


def make_arm(source: Source, plan: Training, side: str, starts: Starts | None = None) -> Arm:
    """Return what trains one twin in this process."""
    if vectorizes(plan):
        return VectorizedEngine(source, plan, side, starts=starts)
    return FitEngine(source, plan, side)


def make_arms(
    twins: Twins,
    plan: Training,
    *,
    programs: Mapping[str, Callable[[], Program]],
    coupled: Coupling | None = None,
    executor: Any = None,
    cache: Any = None,
) -> tuple[Arm, Arm]:
    """Return what trains the reference and what the candidate: cached, on the executor where given.

    Args:
        twins: the pair.
        plan: the plan.
        programs: side -> returns its traced program, which keys the finished runs.
        coupled: gives the candidate the reference's starts.
        executor: a ``concurrent.futures.Executor`` or a Dask client; ``None`` trains in this process.
        cache: a `RunCache` or a directory; ``None`` shares runs between proved twins within this call only.

    Raises:
        InputError: a twin cannot be trained as planned, or cannot be shipped to the executor.
    """
    reference = twins.reference_source, Starts(twins.reference_source, plan)
    candidate = twins.candidate_source, Starts(twins.candidate_source, plan)
    if coupled is not None:
        candidate = coupled.candidate, coupled.starts(plan)
    sides = {"reference": reference, "candidate": candidate}
    arms = {side: _arm(source, plan, side, starts, executor) for side, (source, starts) in sides.items()}
    if plan.fit is None:
        runs = as_cache(cache)
        models = {"reference": twins.reference, "candidate": twins.candidate}
        for side, model in models.items():
            check_fits(model, plan, side)  # both sides, before the first run is paid for
        for side, (_, starts) in sides.items():
            keep = isinstance(arms[side], VectorizedEngine)
            keys = RunKeys(models[side], programs[side](), plan, starts, keep=keep)
            arms[side] = CachedArm(arms[side], keys, runs)
    return arms["reference"], arms["candidate"]


def _arm(source: Source, plan: Training, side: str, starts: Starts, executor: Any) -> Arm:
    if executor is None:
        return make_arm(source, plan, side, starts)
    return RemoteArm(source, plan, side, executor)
