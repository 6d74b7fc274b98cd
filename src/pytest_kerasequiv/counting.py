"""The comparisons that `compare` makes, for who counts what a test has compared: in any thread of it.

Also what renews recordings before they are compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Counted:
    """The comparisons that `compare` makes meanwhile, and how they are made.

    Attributes:
        comparisons: they, in order.
        everything: whether every check is run even where the answer is known.
        timeout: seconds that each of them may take; ``None`` sets no limit.
    """

    comparisons: list[Any] = field(default_factory=list)
    everything: bool = False
    timeout: float | None = None


_OPEN: list[Counted] = []
"""What is counted now, the innermost last; a thread that a test started has no context of the test's."""

_OF_CONTEXT: ContextVar[Counted | None] = ContextVar("counted", default=None)

RENEW: ContextVar[Callable[..., None] | None] = ContextVar("renew", default=None)
"""Called with twins whose reference is a recording, and the settings, before it is read."""


@contextmanager
def counted_comparisons(*, everything: bool = False, timeout: float | None = None) -> Iterator[list[Any]]:
    """Gather the comparisons that `compare` makes meanwhile, in this thread and in others.

    Args:
        everything: whether they run every check even where the answer is known.
        timeout: seconds that each of them may take.
    """
    counted = Counted(everything=everything, timeout=timeout)
    token = _OF_CONTEXT.set(counted)
    _OPEN.append(counted)
    try:
        yield counted.comparisons
    finally:
        _OPEN.remove(counted)
        _OF_CONTEXT.reset(token)


def counting() -> Counted:
    """Return where a comparison that begins now is counted; one of nobody's where nobody asked."""
    own = _OF_CONTEXT.get()
    if own is not None and own in _OPEN:
        return own
    return _OPEN[-1] if _OPEN else Counted()
