"""What a builder leaves behind in the process: threads that go on, and a fork that came back."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class LeftThreadWarning(UserWarning):
    """A builder left a thread running, which goes on beside what is compared and tested later."""


@contextmanager
def told(builder: str) -> Iterator[None]:
    """Tell what a builder leaves behind; a forked child that comes out of it ends.

    Args:
        builder: the builder as messages name it.
    """
    process = os.getpid()
    try:
        with _started_here() as started:
            yield
    finally:
        if os.getpid() != process:
            _end(builder)
    left = [thread.name for thread in started if thread.is_alive()]
    if left:
        warnings.warn(
            f"{builder} left {len(left)} thread{'s' if len(left) > 1 else ''} running ({left[0]!r}), which "
            "goes on beside the tests; end it in the builder",
            LeftThreadWarning,
            stacklevel=2,
        )


@contextmanager
def _started_here() -> Iterator[list[threading.Thread]]:
    """Gather the threads that this thread starts meanwhile; what other threads start is not the builder's."""
    mine, start, started = threading.get_ident(), threading.Thread.start, list[threading.Thread]()

    def noted(thread: threading.Thread) -> None:
        if threading.get_ident() == mine:
            started.append(thread)
        start(thread)

    threading.Thread.start = noted  # type: ignore[assignment, method-assign]
    try:
        yield started
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]


def _end(builder: str) -> None:
    """End this process, a copy of the session that would run all later tests a second time."""
    sys.stderr.write(
        f"pytest-kerasequiv: {builder} forked, and the child came back; it ends here. Let it end in the "
        "builder, with os._exit\n"
    )
    sys.stderr.flush()
    os._exit(1)
