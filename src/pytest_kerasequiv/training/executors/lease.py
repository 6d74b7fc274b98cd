"""Workers that end with their session: whatever ends it, and where Ctrl-C ends it while they train.

A process that the session started looks twice a second whether the session is still there, and whether it
gave up the lease of its tasks, by an empty temporary file of that name; then it ends itself. Workers of a
cluster are not the session's.
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
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_kerasequiv.time_limit import TimeUp

SECONDS_BETWEEN_LOOKS = 0.5

_held: tuple[int, Path] | None = None
"""The process that holds a lease, and its path; a forked child does not hold that of its parent."""
_watched: set[tuple[int, str | None]] = set()
_tasks: set[int] = set()
"""Threads of this process in which a task runs."""


def lease() -> str:
    """Return the path of this session's lease: where a file of that name is, its tasks end."""
    global _held  # noqa: PLW0603 - there is one session a process
    if _held is None or _held[0] != os.getpid():
        _held = os.getpid(), Path(tempfile.gettempdir()) / f"kerasequiv-{uuid.uuid4().hex}.ended"
    return str(_held[1])


@contextmanager
def ending_tasks() -> Iterator[None]:
    """Where the block is interrupted, end what runs this session's tasks: its processes and its threads."""
    global _held  # noqa: PLW0603 - there is one session a process
    try:
        yield
    except (KeyboardInterrupt, SystemExit, TimeUp):
        if _held is not None and _held[0] == os.getpid():
            _give_up(_held[1])
            _held = None
        _interrupt_threads()
        raise


def _give_up(held: Path) -> None:
    """End the tasks under a lease; the file stays until the session ends, which ends its processes anyway."""
    with contextlib.suppress(OSError):  # on a full disk they end with the session
        held.touch()
        atexit.register(_remove, held, os.getpid())


def _remove(held: Path, session: int) -> None:
    if os.getpid() == session:  # a forked child has the hooks of its parent
        held.unlink(missing_ok=True)


def end_with(session: int, lease: str | None) -> None:
    """Let this process end with the session that started it, or its lease; Ctrl-C is the session's.

    Args:
        session: process id of the session; where it did not start this process, nothing happens.
        lease: path of the file that ends it; ``None`` for the session's life.
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
    while os.getppid() == session and (lease is None or not Path(lease).exists()):
        time.sleep(SECONDS_BETWEEN_LOOKS)
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
