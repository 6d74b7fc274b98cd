"""Where trainings run: N local processes, or a Dask scheduler."""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor, Future
from typing import Any

from loky import ProcessPoolExecutor

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.executors.lease import end_with

_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS")


class LocalProcesses:
    """N processes of loky, each with its share of the cores; after one was killed, a task starts new ones.

    Args:
        workers: how many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: Any = None

    def submit(self, task: Any, *arguments: Any) -> Future[Any]:
        """Run a task in one of the processes."""
        if self._pool is None:
            self._pool = self._start()
        try:
            future: Future[Any] = self._pool.submit(task, *arguments)
        except BrokenExecutor:
            self._pool = self._start()
            future = self._pool.submit(task, *arguments)
        return future

    def shutdown(self) -> None:
        """End the processes at once, whatever they do."""
        if self._pool is not None:
            self._pool.shutdown(kill_workers=True)
        self._pool = None

    def _start(self) -> Any:
        share = str(max((os.cpu_count() or 1) // self.workers, 1))
        environment = dict.fromkeys(_THREADS, share) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        return ProcessPoolExecutor(
            max_workers=self.workers, env=environment, initializer=end_with, initargs=(os.getpid(), None)
        )


def executor_for(workers: str | int) -> Any:
    """Return the executor that ``--kerasequiv-workers`` names.

    Args:
        workers: a number of local processes, or the address of a Dask scheduler (``tcp://host:port``).

    Raises:
        InputError: it is neither, or the package ``distributed`` is missing, or no scheduler answers.
    """
    text = str(workers)
    if text.isdecimal() and int(text) > 0:
        return LocalProcesses(int(text))
    if "://" not in text:
        raise InputError(
            f"workers={workers!r} is neither a number of processes nor a Dask address; pass for example 4 or "
            "tcp://scheduler:8786"
        )
    return _dask_client(text)


def _dask_client(address: str, timeout: float = 10) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            f"workers={address!r} needs the package distributed; install pytest-kerasequiv[dask]"
        ) from error
    try:
        return Client(address, set_as_default=False, timeout=timeout)
    except OSError as error:
        raise InputError(
            f"workers={address!r}: no Dask scheduler answers there ({error}); start one or correct the "
            f"address"
        ) from error
