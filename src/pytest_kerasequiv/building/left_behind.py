"""What a builder leaves behind in the process: settings, threads that go on, and a fork that came back."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from pytest_kerasequiv.keras_access.switches import READ_BY_CODE, Switch, switches

_STASH = "_kerasequiv_left"


class LeftThreadWarning(UserWarning):
    """A builder left a thread running, which goes on beside what is compared and tested later."""


@dataclass(frozen=True, eq=False)
class _Left:
    """Settings and what the builder made of them; an object, since Keras tracks lists and dicts."""

    settings: tuple[tuple[Switch, Any], ...]


@contextmanager
def settings_noted() -> Iterator[Callable[[keras.Model], None]]:
    """Watch a model being built; the function that is given keeps with it what it set."""
    before = [read() for read, _ in READ_BY_CODE]

    def keep(model: keras.Model) -> None:
        both = zip(READ_BY_CODE, before, strict=True)
        changed = [(switch, switch[0]()) for switch, value in both if switch[0]() != value]
        setattr(model, _STASH, _Left(tuple(changed)))

    yield keep


@contextmanager
def as_left(model: keras.Model) -> Iterator[None]:
    """Run a block under the settings that a model's builder left; those of before come back.

    A layer may read them whenever it is called, as ``keras.config.epsilon()`` or from the environment.
    """
    left: _Left | None = getattr(model, _STASH, None)
    if left is None or not left.settings:
        yield
        return
    restore = switches()
    for (_, write), value in left.settings:
        write(value)
    try:
        yield
    finally:
        restore()


def carry_settings(original: keras.Model, copy: keras.Model) -> None:
    """Let a copy of a model run under the settings that the model's builder left."""
    if hasattr(original, _STASH):
        setattr(copy, _STASH, getattr(original, _STASH))


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
