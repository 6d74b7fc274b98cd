"""Gathering the comparisons made meanwhile. Light, as sessions that compare nothing load it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counting:
    """The comparisons that `compare` made meanwhile, and how they are made.

    Attributes:
        comparisons: they, in order.
        everything: whether every check is run even where the answer is known.
    """

    comparisons: list[Any] = field(default_factory=list)
    everything: bool = False


COUNTING: ContextVar[Counting | None] = ContextVar("counting", default=None)


@contextmanager
def counted_comparisons(*, everything: bool = False) -> Iterator[list[Any]]:
    """Gather the comparisons that `compare` makes meanwhile.

    Args:
        everything: whether they run every check even where the answer is known.
    """
    counting = Counting(everything=everything)
    token = COUNTING.set(counting)
    try:
        yield counting.comparisons
    finally:
        COUNTING.reset(token)
