"""Aligning the rows of two summaries, so that one inserted layer is one difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.layers.summary_rows import Row

FIELDS = ("kind", "output_shapes", "parameters", "trainable")
"""What is compared of a row, in the order in which differences are told."""

# Costs: a gap on one side is 10. Rows of one class (at most 7) pair rather than make two gaps, and so do rows
# of two classes (at most 19): a replaced layer is one difference, but two gaps that line up equal rows are
# cheaper.
_GAP = 10
_COSTS = {"kind": 12, "output_shapes": 3, "parameters": 2, "trainable": 2}


@dataclass(frozen=True)
class Pairing:
    """One line of the alignment: indices of rows, ``None`` where a side has no such row."""

    reference: int | None
    candidate: int | None
    fields: tuple[str, ...] = ()
    consequence: bool = False


def align(reference: Sequence[Row], candidate: Sequence[Row]) -> tuple[Pairing, ...]:
    """Align two lists of rows with least cost (Needleman and Wunsch, J. Mol. Biol. 48, 1970), in order."""
    costs = _pair_costs(reference, candidate)
    best = _best_costs(costs)
    pairs: list[Pairing] = []
    i, j = len(reference), len(candidate)
    while i or j:
        if i and j and best[i, j] == best[i - 1, j - 1] + costs[i - 1, j - 1]:
            i, j = i - 1, j - 1
            fields = differing(reference[i], candidate[j])
            pairs.append(Pairing(i, j, fields, is_consequence(reference[i], candidate[j], fields)))
        elif i and best[i, j] == best[i - 1, j] + _GAP:
            i -= 1
            pairs.append(Pairing(i, None))
        else:
            j -= 1
            pairs.append(Pairing(None, j))
    return tuple(reversed(pairs))


def _pair_costs(reference: Sequence[Row], candidate: Sequence[Row]) -> NDArray[np.int64]:
    """Return the cost of pairing each reference row (first axis) with each candidate row."""
    total = np.zeros((len(reference), len(candidate)), np.int64)
    for name, cost in _COSTS.items():
        numbers: dict[object, int] = {}
        columns = [
            np.array([numbers.setdefault(getattr(row, name), len(numbers)) for row in rows], np.int64)
            for rows in (reference, candidate)
        ]
        other = columns[0][:, None] != columns[1][None, :]
        if name == "output_shapes" and () in numbers:
            unknown = [column == numbers[()] for column in columns]
            other &= ~(unknown[0][:, None] | unknown[1][None, :])
        total += cost * other
    return total


def _best_costs(costs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the least cost of aligning every pair of beginnings, one row of the table at a time.

    Within a row each entry may come from its left neighbour at the cost of a gap: a running minimum once the
    gaps up to each column are taken off.
    """
    count, width = costs.shape
    gaps = _GAP * np.arange(width + 1)
    best = np.empty((count + 1, width + 1), np.int64)
    best[0] = gaps
    for i in range(count):
        entry = best[i] + _GAP
        entry[1:] = np.minimum(entry[1:], best[i, :-1] + costs[i])
        best[i + 1] = np.minimum.accumulate(entry - gaps) + gaps
    return best


def differing(reference: Row, candidate: Row) -> tuple[str, ...]:
    """Return the compared fields in which two rows differ; an unknown shape differs from none."""
    return tuple(
        name
        for name in FIELDS
        if getattr(reference, name) != getattr(candidate, name)
        and not (name == "output_shapes" and () in {reference.output_shapes, candidate.output_shapes})
    )


def is_consequence(reference: Row, candidate: Row, fields: Sequence[str]) -> bool:
    """Whether two rows differ only because they get different shapes from above.

    That is so for a layer without weights that gets other shapes and returns other shapes, and for a layer
    with weights if the feature axis of what it returns (its units or filters) is the same.
    """
    if not fields or not set(fields) <= {"output_shapes", "parameters"}:
        return False
    if reference.input_shapes == candidate.input_shapes:
        return False
    ranks = [[len(shape) for shape in row.output_shapes] for row in (reference, candidate)]
    if ranks[0] != ranks[1]:
        return False
    if reference.parameters == 0 and candidate.parameters == 0:
        return True
    return _features(reference) == _features(candidate) or _keeps_features(reference, candidate)


def _features(row: Row) -> list[int | None]:
    return [shape[-1] for shape in row.output_shapes]


def _keeps_features(*rows: Row) -> bool:
    """Whether the rows return as many features as they get, as normalisations do."""
    return all(
        [shape[-1] for shape in row.input_shapes] == [shape[-1] for shape in row.output_shapes]
        for row in rows
    )
