"""What trains both twins: from the cache, on an executor, or in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.program import Program, trace
from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.cache import CachedArm, as_cache
from pytest_kerasequiv.training.engines.choice import make_arm
from pytest_kerasequiv.training.engines.vectorized import VectorizedEngine
from pytest_kerasequiv.training.executors.remote import RemoteArm
from pytest_kerasequiv.training.fit_options import refuse_shared_callbacks
from pytest_kerasequiv.training.fitting import check_fits
from pytest_kerasequiv.training.keys import RunKeys
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.starts.coupling import Coupling
from pytest_kerasequiv.training.starts.drawing import Starts


def make_arms(
    twins: Twins,
    plan: Training,
    *,
    programs: Mapping[str, Callable[[], Program]],
    coupled: Coupling | None = None,
    executor: Any = None,
    cache: Any = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Arm]:
    """Return what trains each side: cached, on the executor where given.

    Args:
        twins: the pair.
        plan: the plan.
        programs: side to train -> returns its traced program, which keys the finished runs.
        coupled: gives the candidate the reference's starts.
        executor: a ``concurrent.futures.Executor`` or a Dask client; ``None`` trains in this process.
        cache: a `RunCache` or a directory; ``None`` shares runs between proved twins within this call only.
        say: is told where the executor finishes nothing.

    Raises:
        InputError: a twin cannot be trained as planned, or cannot be shipped to the executor.
    """
    check_data(plan)
    sides = {side: _made_by(twins, plan, side, coupled) for side in programs}
    arms: dict[str, Arm] = {
        side: make_arm(source, plan, side, starts)
        if executor is None
        else RemoteArm(source, plan, side, executor, starts=starts, say=say)
        for side, (source, starts) in sides.items()
    }
    if plan.fit is None:
        runs = as_cache(cache)
        models = {side: twins.reference if side == "reference" else twins.candidate for side in sides}
        for side, model in models.items():
            check_fits(model, plan, side)  # both sides, before the first run is paid for
        for side, (_, starts) in sides.items():
            keep = isinstance(arms[side], VectorizedEngine)
            keys = RunKeys(models[side], programs[side](), plan, starts, keep=keep)
            arms[side] = CachedArm(arms[side], keys, runs)
    return arms


def check_data(plan: Training) -> None:
    """See that every run trains on the same: data come out alike the second time, callbacks are fresh ones.

    Raises:
        InputError: they do not.
    """
    if plan.fit is None:
        refuse_shared_callbacks(plan.callbacks)
        for data in plan.feeds.values():
            _ = data.content


def _made_by(twins: Twins, plan: Training, side: str, coupled: Coupling | None) -> tuple[Source, Starts]:
    if side == "candidate" and coupled is not None:
        return coupled.candidate, coupled.starts(plan)
    source = twins.reference_source if side == "reference" else twins.candidate_source
    return source, Starts(source, plan)


def one_arm(source: Source, model: keras.Model, plan: Training, *, cache: Any = None) -> Arm:
    """Return what trains one twin alone, in this process; it is called the reference.

    Args:
        source: makes fresh models of the twin.
        model: one of them.
        plan: the plan.
        cache: a `RunCache` or a directory.

    Raises:
        InputError: the twin cannot be trained as planned.
    """
    check_data(plan)
    starts = Starts(source, plan)
    arm = make_arm(source, plan, "reference", starts)
    if plan.fit is not None:
        return arm
    check_fits(model, plan, "reference")
    keys = RunKeys(model, trace(model), plan, starts, keep=isinstance(arm, VectorizedEngine))
    return CachedArm(arm, keys, as_cache(cache))
