"""Training on an executor: chunks of seeds as tasks, retried where a worker dies."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cloudpickle

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.engines.choice import make_arm
from pytest_kerasequiv.training.engines.support import vectorizes
from pytest_kerasequiv.training.executors.shipping import packed_task
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run

RETRIES = 2
"""How often a task is sent again after the worker that held it died."""
_WORKERS = 4
_SMALL_TASKS = 4
_WORKER_LOST = ("BrokenProcessPool", "TerminatedWorkerError", "BrokenExecutor", "KilledWorker", "LostWorker")


class RemoteArm:
    """Trains one twin on a ``concurrent.futures.Executor`` or a ``distributed.Client``.

    Args:
        source: makes fresh models of the twin; it is pickled with cloudpickle.
        plan: how they are trained, data included.
        side: ``"reference"`` or ``"candidate"``, for messages.
        executor: runs the tasks. One that offers ``renew()`` is renewed after it broke.

    Raises:
        InputError: the builder or the plan cannot be pickled.
    """

    def __init__(self, source: Source, plan: Training, side: str, executor: Any) -> None:
        self._payload = packed_task(source, plan, side)
        self._plan = plan
        self._executor = executor
        self._retried = 0
        self._reasons: dict[str, None] = {}

    @property
    def reason(self) -> str:
        """Why its engine was chosen, and how its results were made sure of."""
        told = " / ".join(self._reasons) or "nothing had to be trained"
        lost = f"; {self._retried} tasks were sent again after a worker died" if self._retried else ""
        return f"on {type(self._executor).__name__}: {told}{lost}"

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield one run a seed, in this order, as the tasks finish.

        Raises:
            InputError: the model is not compiled, or the plan's data do not fit it.
        """
        chunks = self._chunks(list(seeds))
        if in_this_process(self._executor):
            # One at a time, while this thread waits: the random state is the process's, and it draws too.
            for chunk in chunks:
                yield from self._result(chunk, self._submit(chunk))
            return
        tasks = [(chunk, self._submit(chunk)) for chunk in chunks]
        for chunk, future in tasks:
            yield from self._result(chunk, future)

    def _chunks(self, seeds: list[int]) -> list[list[int]]:
        """Split the seeds into tasks: one a worker where one program trains them, else several small ones.

        What a worker has finished within a task is lost with it, and one program finishes all its seeds at
        once.
        """
        tasks = workers_of(self._executor) * (1 if vectorizes(self._plan) else _SMALL_TASKS)
        size = max(math.ceil(len(seeds) / tasks), 1)
        return [seeds[begin : begin + size] for begin in range(0, len(seeds), size)]

    def _submit(self, chunk: Sequence[int]) -> Any:
        try:
            return self._executor.submit(train_task, self._payload, tuple(chunk))
        except Exception as error:
            if not _lost(error):
                raise
            self._renew()
            return self._executor.submit(train_task, self._payload, tuple(chunk))

    def _result(self, chunk: Sequence[int], future: Future[Any]) -> list[Run]:
        """Wait for a task; where its worker died, send it again, at most `RETRIES` times."""
        for attempt in range(RETRIES + 1):
            try:
                runs, reason = future.result()
            except Exception as error:
                if not _lost(error):
                    raise
                lost = error
                if attempt < RETRIES:
                    self._retried += 1
                    self._renew()
                    future = self._submit(chunk)
            else:
                self._reasons[reason] = None
                return [Run.from_dict(run) for run in runs]
        why = f"the worker died {RETRIES + 1} times ({type(lost).__name__})"
        return [Run(seed, failure=why) for seed in chunk]

    def _renew(self) -> None:
        renew: Callable[[], None] | None = getattr(self._executor, "renew", None)
        if renew is not None:
            renew()


def in_this_process(executor: Any) -> bool:
    """Whether an executor runs its tasks in threads of this process."""
    return isinstance(executor, ThreadPoolExecutor) or (
        getattr(getattr(executor, "cluster", None), "processes", None) is False
    )


def train_task(payload: bytes, seeds: Sequence[int]) -> tuple[list[dict[str, Any]], str]:
    """Train one twin under some seeds, in a worker; return the runs as plain data and the reason."""
    with _ONE_AT_A_TIME:  # the random state is the process's: threads of one executor take turns
        arm = _arm(payload)
        return [run.to_dict() for run in arm.train(seeds)], arm.reason


_ONE_AT_A_TIME = threading.Lock()


@functools.lru_cache(maxsize=2)
def _arm(payload: bytes) -> Arm:
    """Return what trains a twin in this worker; the next task of the same twin traces nothing again."""
    source, plan, side = cloudpickle.loads(payload)
    return make_arm(source, plan, side)


def workers_of(executor: Any) -> int:
    """Return how many workers an executor has, as far as it tells."""
    count = getattr(executor, "workers", None) or getattr(executor, "_max_workers", None)
    if count is None and hasattr(executor, "nthreads"):  # a Dask client
        count = sum(executor.nthreads().values())
    return int(count) if count else _WORKERS


def _lost(error: BaseException) -> bool:
    """Tell whether an error says that a worker died, rather than that the task raised."""
    return any(kind.__name__ in _WORKER_LOST for kind in type(error).__mro__)
