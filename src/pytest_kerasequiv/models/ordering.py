"""Topological orders of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence


def depth_first_order(roots: Iterable[int], sources: Callable[[int], Sequence[int]]) -> list[int]:
    """Return what can be reached from ``roots``, sources first, each branch in one piece.

    Args:
        roots: where to begin.
        sources: what a node reads, in order.
    """
    order: list[int] = []
    done: set[int] = set()
    for root in roots:
        waiting = [(root, False)]
        while waiting:  # a stack of its own: chains of calls may be longer than Python's
            index, ready = waiting.pop()
            if ready:
                order.append(index)
            elif index not in done:
                done.add(index)
                waiting.append((index, True))
                waiting += [(source, False) for source in reversed(sources(index))]
    return order
