"""Python's ``random`` for one thread alone: what other threads draw meanwhile changes nothing in it.

Keras's layers draw their seeds from Python's global generator, which belongs to the whole process: the event
loop of an executor, a retry with jitter or a reporter of metrics that draws there would change the model.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SHARED: Any = random._inst  # the generator behind the functions of the module
_DRAWS = ("random", "getrandbits")
"""Methods that all others draw by, also those that were imported by name: ``from random import randint``."""
_SEEDS = ("seed", "setstate")

_own = threading.local()
_users = 0
_redirecting = threading.Lock()


@contextmanager
def own_generator() -> Iterator[None]:
    """Give this thread a generator of its own behind ``random``, at the state of the shared one.

    The shared generator keeps its state, but for what other threads draw from it. Within another such block
    of the same thread nothing changes. ``from random import random`` (or ``getrandbits``, ``seed``,
    ``getstate``, ``setstate``) before the block is not covered: such a name is the shared generator's own. So
    that it draws by the seed all the same, the shared one is seeded too, and put back at the end.
    """
    if getattr(_own, "generator", None) is not None:
        yield
        return
    own, before = random.Random(), random.getstate()
    own.setstate(before)
    _own.generator, _own.seeded = own, False
    _redirect()
    try:
        yield
    finally:
        _own.generator = None
        _put_back()
        if _own.seeded:
            _SHARED.setstate(before)


def _redirect() -> None:
    global _users  # noqa: PLW0603 - the module `random` is global too
    with _redirecting:
        _users += 1
        if _users > 1:
            return
        for name, function in _functions().items():
            setattr(random, name, _by_thread(name, function))
        for name in _DRAWS:
            setattr(_SHARED, name, _by_thread(name, getattr(_SHARED, name)))


def _put_back() -> None:
    global _users  # noqa: PLW0603
    with _redirecting:
        _users -= 1
        if _users:
            return
        for name in _DRAWS:
            delattr(_SHARED, name)
        for name, function in vars(random).items():
            if hasattr(function, "shared"):
                setattr(random, name, function.shared)


def _functions() -> dict[str, Callable[..., Any]]:
    """Return the functions of the module that draw from the shared generator or hold its state."""
    return {name: f for name, f in vars(random).items() if getattr(f, "__self__", None) is _SHARED}


def _by_thread(name: str, shared: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that uses the calling thread's generator where it has one."""

    def drawn(*arguments: Any, **options: Any) -> Any:
        own = getattr(_own, "generator", None)
        if own is None:
            return shared(*arguments, **options)
        if name in _SEEDS:
            _own.seeded = True
            shared(*arguments, **options)
        return getattr(own, name)(*arguments, **options)

    drawn.__name__ = drawn.__qualname__ = name
    drawn.shared = shared  # type: ignore[attr-defined]
    return drawn
