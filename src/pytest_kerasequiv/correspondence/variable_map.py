"""Which variable of the reference is which variable of the candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pytest_kerasequiv.correspondence.carrying import Carry

Pair = tuple[int, int]
Pairs = tuple[Pair, ...]
Source = Literal["program", "graph", "use", "hypothesis"]


@dataclass(frozen=True)
class VariableMap:
    """A one-to-one map of variables, by their index in `variables_of`.

    Attributes:
        pairs: (reference, candidate), each variable at most once.
        source: what the map rests on: the proved ``program``; the isomorphic layer ``graph``; ``use``, where
            roles, shapes and the order of use leave one map; else it is a ``hypothesis``.
        certain: no other map is possible, or under this one both models gave the same outputs, or every
            possible one was tried.
        rivals: how many other maps are possible; ``None`` where there are more than were looked for.
        unmapped_reference: the reference's variables without a partner.
        unmapped_candidate: the candidate's.
        unlike: pairs in the same role of matched layers whose shapes do not fit; both are unmapped.
        ambiguous: groups of interchangeable parts of the reference, each part a tuple of variables: where a
            map that exchanges the parts is as good (two equal branches).
        dead_reference: variables of the reference's layers that no output needs and the candidate has not.
        dead_candidate: the same for the candidate.
        assigned: those of the pairs that the graph does not tell, found by path, shape and dtype.
        complete: no weight is unmapped; states of seed generators and dead layers do not count.
        carried: for the pairs whose values are transposed on the way, or reshaped otherwise than by axes of
            length 1.
        tried: how many maps were tried by running both models; 0 where that was not needed.
    """

    pairs: Pairs
    source: Source
    certain: bool = True
    rivals: int | None = 0
    unmapped_reference: tuple[int, ...] = ()
    unmapped_candidate: tuple[int, ...] = ()
    unlike: Pairs = ()
    ambiguous: tuple[tuple[tuple[int, ...], ...], ...] = ()
    dead_reference: tuple[int, ...] = ()
    dead_candidate: tuple[int, ...] = ()
    assigned: Pairs = ()
    complete: bool = True
    carried: Mapping[Pair, Carry] = field(default_factory=dict)
    tried: int = 0

    def carry(
        self, reference_values: Sequence[NDArray[np.generic]], candidate_values: Sequence[NDArray[np.generic]]
    ) -> list[NDArray[np.generic]]:
        """Return values for the candidate: the reference's through the map, its own where it has no partner.

        A value is reshaped or transposed where a rewrite changes the shape (a Dense kernel in a Conv1D of
        kernel size 1) and cast to the candidate's dtype; else it is the reference's array itself, not a copy.
        """
        carried = list(candidate_values)
        for index, other in self.pairs:
            value, own = reference_values[index], candidate_values[other]
            way = self.carried.get((index, other))
            fits = way is None and value.shape == own.shape and value.dtype == own.dtype
            if not fits:
                value = value.reshape(own.shape) if way is None else way(value)
            carried[other] = value if fits else value.astype(own.dtype, copy=False)
        return carried

    def returned(self, pair: Pair, value: NDArray[np.generic], shape: Sequence[int]) -> NDArray[np.generic]:
        """Return a value of the candidate's variable, its gradient for one, in the reference's ``shape``."""
        way = self.carried.get(pair)
        return value.reshape(tuple(shape)) if way is None else way.back(value, shape)

    def resolved(
        self, reference_values: Sequence[NDArray[np.generic]], candidate_values: Sequence[NDArray[np.generic]]
    ) -> VariableMap:
        """Return the map, of those that are equally good, under which most values are equal.

        For copying weights any of them is right. For comparing values, two equal branches must not be taken
        for different only because they were built in another order.
        """
        theirs = dict(self.pairs)
        for parts in self.ambiguous:
            whole = [part for part in parts if all(index in theirs for index in part)]
            chosen = _best_exchange(whole, theirs, reference_values, candidate_values)
            theirs |= chosen
        return replace(self, pairs=tuple(sorted(theirs.items())))


def _best_exchange(
    parts: Sequence[tuple[int, ...]],
    theirs: Mapping[int, int],
    reference_values: Sequence[Any],
    candidate_values: Sequence[Any],
) -> dict[int, int]:
    """Exchange interchangeable parts so that as many values as possible are equal, or near."""
    images: list[tuple[int, ...]] = [tuple(theirs[index] for index in part) for part in parts]
    cost = np.zeros((len(parts), len(parts)))
    for row, part in enumerate(parts):
        for column, image in enumerate(images):
            cost[row, column] = sum(
                _distance(reference_values[index], candidate_values[other])
                for index, other in zip(part, image, strict=True)
            )
    rows, columns = linear_sum_assignment(cost)
    return {
        index: other
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        for index, other in zip(parts[row], images[column], strict=True)
    }


def _distance(ours: Any, theirs: Any) -> float:
    """Return 0 for equal values, else between 1 and 2 by how far they are apart."""
    theirs = theirs.reshape(ours.shape)
    if np.array_equal(ours, theirs):
        return 0.0
    with np.errstate(all="ignore"):
        apart = float(np.mean(np.abs(np.asarray(ours, float) - np.asarray(theirs, float))))
    return 2.0 - 1.0 / (1.0 + apart) if np.isfinite(apart) else 2.0


def _rest(indices: Sequence[int], used: set[int]) -> tuple[int, ...]:
    return tuple(index for index in indices if index not in used)
