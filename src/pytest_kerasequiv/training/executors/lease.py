"""Workers that end with their session: whatever ends it, and where Ctrl-C ends it while they train.

The session holds a lease, an empty temporary file. A process that it started looks twice a second whether
the lease and the session are still there, and else ends itself. Workers of a cluster are not the session's.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_kerasequiv.time_limit import TimeUp

SECONDS_BETWEEN_LOOKS = 0.5

_held: str | None = None
_watched: set[tuple[int, str | None]] = set()
_tasks: set[int] = set()
"""Threads of this process in which a task runs."""


def lease() -> str:
    """Return the path of this session's lease, which ends with the process."""
    global _held
    if _held is None:
        handle, _held = tempfile.mkstemp(prefix="kerasequiv-", suffix=".lease")
        os.close(handle)
        atexit.register(_give_up, _held, os.getpid())
    return _held


@contextmanager
def ending_tasks() -> Iterator[None]:
    """Where the block is interrupted, end what runs this session's tasks: its processes and its threads."""
    global _held  # noqa: PLW0603 - there is one session a process
    try:
        yield
    except (KeyboardInterrupt, SystemExit, TimeUp):
        if _held is not None:
            _give_up(_held, os.getpid())
            _held = None
        _interrupt_threads()
        raise


def _give_up(held: str, session: int) -> None:
    if os.getpid() == session:  # a forked child has the hooks of its parent
        Path(held).unlink(missing_ok=True)


def end_with(session: int, lease: str | None) -> None:
    """Let this process end with the session that started it, and with its lease; Ctrl-C is the session's.

    Args:
        session: process id of the session; where it did not start this process, nothing happens.
        lease: path of the file that the session holds; ``None`` for the session's life.
    """
    if not _started_by(session) or (session, lease) in _watched:
        return
    _watched.add((session, lease))
    with contextlib.suppress(ValueError):  # not in the main thread of this process
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(session, lease), daemon=True).start()


def _started_by(session: int) -> bool:
    """Tell whether the session started this process, though it may have died since."""
    parent = multiprocessing.parent_process()
    return session in {os.getppid(), None if parent is None else parent.pid}


def _watch(session: int, lease: str | None) -> None:
    while os.getppid() == session and (lease is None or Path(lease).exists()):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    for _, held in _watched:  # a session that was killed cannot remove it
        if held is not None:
            Path(held).unlink(missing_ok=True)
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def interruptible() -> Iterator[None]:
    """Run a task in a thread that an interrupted training of this process ends too."""
    thread = threading.get_ident()
    _tasks.add(thread)
    try:
        yield
    finally:
        _tasks.discard(thread)


def _interrupt_threads() -> None:
    for thread in _tasks - {threading.get_ident()}:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt)
        )
