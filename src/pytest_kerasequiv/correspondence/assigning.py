"""Pairing variables that nothing tells apart but shape, dtype, name and place: seed states and leftovers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from scipy.optimize import linear_sum_assignment

Parts = tuple[tuple[int, ...], ...]


def assign_variables(
    ours: Sequence[Any], theirs: Sequence[Any]
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[Parts, Parts], ...]]:
    """Pair variables of equal shape, dtype and trainability by the likeness of their paths and places.

    Returns:
        The pairs, and the groups in which another pairing is as likely, as (reference's, candidate's) parts
        of one variable each.
    """
    pairs: list[tuple[int, int]] = []
    ambiguous: list[tuple[Parts, Parts]] = []
    right = _groups(theirs)
    for key, left in _groups(ours).items():
        others = right.get(key, [])
        if not others:
            continue
        cost = [[-_likeness(ours, theirs, index, other) for other in others] for index in left]
        rows, columns = linear_sum_assignment(cost)
        chosen = [(left[row], others[column]) for row, column in zip(rows, columns, strict=True)]
        pairs += chosen
        if len(chosen) > 1 and not _decided(ours, theirs, chosen):
            ambiguous.append((tuple((i,) for i, _ in chosen), tuple((j,) for _, j in chosen)))
    return tuple(sorted(pairs)), tuple(ambiguous)


def _groups(variables: Sequence[Any]) -> dict[tuple[Any, ...], list[int]]:
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for index, variable in enumerate(variables):
        groups[tuple(variable.shape), str(variable.dtype), variable.name].append(index)
    return groups


def _likeness(ours: Sequence[Any], theirs: Sequence[Any], index: int, other: int) -> float:
    order = abs(index / max(len(ours), 1) - other / max(len(theirs), 1))
    return path_likeness(ours[index].path, theirs[other].path) - 0.5 * order


def path_likeness(path: str, other: str) -> float:
    """Return how alike two variable paths are, 0 to 1; numbers that Keras appends to names do not count."""
    first, second = (re.sub(r"_\d+(?=/|$)", "", text).split("/") for text in (path, other))
    return SequenceMatcher(None, first, second).ratio()


def _decided(ours: Sequence[Any], theirs: Sequence[Any], chosen: Sequence[tuple[int, int]]) -> bool:
    """Tell whether the paths alone tell the variables of a group apart, on both sides alike."""
    named = all(
        ours[index].path.split("/")[1:] == theirs[other].path.split("/")[1:] for index, other in chosen
    )
    return named and len({ours[index].path for index, _ in chosen}) == len(chosen)
