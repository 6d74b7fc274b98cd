"""Training on an executor: chunks of seeds as tasks, sent again where the machines did not finish them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cloudpickle

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.errors import InputError, error_in_words
from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.engines.choice import make_arm
from pytest_kerasequiv.training.engines.support import vectorizes
from pytest_kerasequiv.training.executors.lease import end_with, interruptible, lease
from pytest_kerasequiv.training.executors.shipping import packed_task
from pytest_kerasequiv.training.executors.waiting import Patience, Stalled, workers_alive
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run
from pytest_kerasequiv.training.starts.drawing import Starts

RETRIES = 2
"""How often a task is sent again that the machines did not finish."""
_WORKERS = 4
_SMALL_TASKS = 4
_NOT_FINISHED = (Exception, asyncio.CancelledError, concurrent.futures.CancelledError)
"""All that a future raises but `InputError`: the task itself makes a run of what the user's code raises."""


class RemoteArm:
    """Trains one twin on a ``concurrent.futures.Executor`` or a ``distributed.Client``.

    Args:
        source: makes fresh models of the twin; it is pickled with cloudpickle.
        plan: how they are trained, data included.
        side: ``"reference"`` or ``"candidate"``, for messages.
        executor: runs the tasks.
        starts: where the twin starts under each seed; a run that started elsewhere does not count.
        say: is told where the executor finishes nothing.

    Raises:
        InputError: the builder or the plan cannot be pickled.
    """

    def __init__(
        self,
        source: Source,
        plan: Training,
        side: str,
        executor: Any,
        *,
        starts: Starts | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._payload = packed_task(source, plan, side)
        self._plan = plan
        self._executor = executor
        self._starts = starts if starts is not None else Starts(source, plan)
        self._patience = Patience(executor, say)
        self._refused: Exception | None = None
        self._given_up = ""
        self._determined = True
        self._retried = 0
        self._reasons: dict[str, None] = {}

    @property
    def reason(self) -> str:
        """Why its engine was chosen, and how its results were made sure of."""
        told = " / ".join(self._reasons) or "nothing had to be trained"
        again = f"; {self._retried} tasks were sent again" if self._retried else ""
        free = "" if self._determined else "; one seed gives the builder several starts, so none was checked"
        return f"on {type(self._executor).__name__}: {told}{again}{free}"

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield one run a seed, in this order, as the tasks finish.

        What the executor did not finish after `RETRIES` more tries, or in time, is a missing run.

        Raises:
            InputError: the model is not compiled, or the plan's data do not fit it.
        """
        chunks = self._chunks(list(seeds))
        # One at a time where they run in this process: the random state is the process's, and it draws too.
        ahead = 1 if in_this_process(self._executor) else len(chunks)
        tasks = [self._submit(chunk) for chunk in chunks[:ahead]]
        try:
            for index, chunk in enumerate(chunks):
                if index == len(tasks):
                    tasks.append(self._submit(chunk))
                yield from self._runs(chunk, tasks, index)
        finally:
            for task in tasks:
                if task is not None:
                    task.cancel()

    def _chunks(self, seeds: list[int]) -> list[list[int]]:
        """Split the seeds into tasks: one a worker where one program trains them, else several small ones.

        What a worker has finished within a task is lost with it, and one program finishes all its seeds at
        once.
        """
        tasks = workers_of(self._executor) * (1 if vectorizes(self._plan) else _SMALL_TASKS)
        size = max(math.ceil(len(seeds) / tasks), 1)
        return [seeds[begin : begin + size] for begin in range(0, len(seeds), size)]

    def _submit(self, chunk: Sequence[int]) -> Any:
        """Send a task; ``None`` where the executor does not take it."""
        try:
            return self._executor.submit(train_task, self._payload, tuple(chunk), os.getpid(), lease())
        except Exception as error:  # as the first of several tasks, it is tried again when its turn comes
            self._refused = error
            return None

    def _runs(self, chunk: Sequence[int], tasks: list[Any], index: int) -> list[Run]:
        """Wait for a task; what the machines did not finish is sent again, at most `RETRIES` times."""
        found: dict[int, Run] = {}
        why = dict.fromkeys(chunk, "")
        for attempt in range(RETRIES + 1):
            left = [seed for seed in chunk if seed not in found]
            if attempt and left and not self._given_up:
                self._retried += 1
                tasks[index] = self._submit(left)
            for run in self._finished(left, tasks, index):
                why[run.seed] = run.missing or ""
                if run.missing is None:
                    found[run.seed] = run
        return [found.get(seed) or Run(seed, missing=why[seed]) for seed in chunk]

    def _finished(self, seeds: Sequence[int], tasks: list[Any], index: int) -> list[Run]:
        """Return the runs of one try of a task, each with what is missing where it is."""
        if not seeds or self._given_up:
            return [Run(seed, missing=self._given_up) for seed in seeds]
        try:
            if tasks[index] is None and self._refused is not None:
                raise self._refused
            runs, reason = self._patience.result(tasks[index], [task for task in tasks if task is not None])
        except InputError:
            raise
        except Stalled as stalled:
            self._given_up = str(stalled)
            return [Run(seed, missing=self._given_up) for seed in seeds]
        except _NOT_FINISHED as error:
            return [
                Run(seed, missing=f"the task did not finish: {error_in_words(error, 160)}") for seed in seeds
            ]
        self._reasons[reason] = None
        return [self._checked(Run.from_dict(run)) for run in runs]

    def _checked(self, run: Run) -> Run:
        """Return a run that counts: it started where its seed starts here."""
        here = self._starts.digest(run.seed)
        if run.missing is not None or run.start == here or not self._determined:
            return run
        self._determined = self._starts.repeats(run.seed)
        if not self._determined:
            return run
        return Run(
            run.seed,
            missing="its worker made another start of this seed than this process; let both have the same "
            "versions, files and environment",
        )


def in_this_process(executor: Any) -> bool:
    """Whether an executor runs its tasks in threads of this process."""
    return isinstance(executor, ThreadPoolExecutor) or (
        getattr(getattr(executor, "cluster", None), "processes", None) is False
    )


def train_task(
    payload: bytes, seeds: Sequence[int], session: int, lease_of_session: str
) -> tuple[list[dict[str, Any]], str]:
    """Train one twin under some seeds, in a worker; return the runs as plain data and the reason."""
    end_with(session, lease_of_session)
    with _ONE_AT_A_TIME, interruptible():  # the random state is the process's: threads take turns
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
    return int(count or workers_alive(executor) or _WORKERS)
