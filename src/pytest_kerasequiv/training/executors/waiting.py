"""Waiting for a task: as long as something may come, saying so where nothing does, and not for ever."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

SECONDS_BETWEEN_LOOKS = 1.0
SAY_AFTER = 30.0
"""Seconds without a finished task after which it is said."""
WITHOUT_WORKERS = 10 * 60.0
"""Seconds after which an executor that tells of no worker is given up."""
WITHOUT_RESULT = 6 * 3600.0
"""Seconds after which an executor is given up whose workers finish nothing."""


class Stalled(Exception):  # noqa: N818 - what the machines did, not an error of the program
    """The executor finishes nothing; the message says for how long it was waited for."""


class Patience:
    """Waits for the tasks of one executor.

    Args:
        executor: runs the tasks.
        say: is told in a few words that nothing has come for a while, and again every so often.
    """

    def __init__(self, executor: Any, say: Callable[[str], None] | None) -> None:
        self._executor = executor
        self._say = say
        self._said = False

    def result(self, future: Any, all_of_them: Sequence[Any]) -> Any:
        """Return a task's result.

        Args:
            future: the task.
            all_of_them: all tasks that are out; each that finishes shows that the executor works.

        Raises:
            Stalled: nothing finished for `WITHOUT_RESULT`, or there was no worker for `WITHOUT_WORKERS`.
        """
        finished, since, with_workers = 0, time.monotonic(), time.monotonic()
        while True:
            try:
                return future.result(timeout=SECONDS_BETWEEN_LOOKS)
            except TimeoutError:
                if future.done() and _raised(future):
                    raise
            now = time.monotonic()
            done = sum(one.done() for one in all_of_them)
            if done != finished:
                finished, since = done, now
            if workers_alive(self._executor) != 0:
                with_workers = now
            self._judge(now - since, now - with_workers)

    def _judge(self, without_result: float, without_workers: float) -> None:
        name = type(self._executor).__name__
        if without_workers >= WITHOUT_WORKERS:
            raise Stalled(f"{name} had no worker for {without_workers:.0f} s")
        if without_result >= WITHOUT_RESULT:
            raise Stalled(f"{name} finished nothing for {without_result:.0f} s")
        if without_workers >= SAY_AFTER:
            self._tell(
                f"{name} has had no worker for {without_workers:.0f} s, gives up at {WITHOUT_WORKERS:.0f}"
            )
        elif without_result >= SAY_AFTER:
            self._tell(f"{name} has finished nothing for {without_result:.0f} s")

    def _tell(self, text: str) -> None:
        if self._say is not None:
            self._say(text)
        elif not self._said:
            logging.getLogger("pytest_kerasequiv").warning("training waits: %s", text)
            self._said = True


def _raised(future: Any) -> bool:
    """Tell whether a task that is done raised something; one of Dask's may be done, its result on its way."""
    status = getattr(future, "status", None)
    return status == "error" if status is not None else future.exception() is not None


def workers_alive(executor: Any) -> int | None:
    """Return how many workers an executor has now; ``None`` where it does not tell (a Dask client does)."""
    nthreads = getattr(executor, "nthreads", None)
    if not callable(nthreads):
        return None
    try:
        return len(nthreads())
    except Exception:  # the scheduler is gone
        return 0
