"""The one-to-one maps of two models' variables that are possible, the likeliest first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.correspondence.carrying import Carry, carries
from pytest_kerasequiv.correspondence.known import Known
from pytest_kerasequiv.correspondence.uses import Uses

MOST_MAPS = 48
"""How many maps are tried; each costs one forward pass."""

MOST_STEPS = 4000
"""How many choices the search for them may make."""

Pairs = tuple[tuple[int, int], ...]
Order = Literal["equal", "not against", "free"]


@dataclass(frozen=True)
class Hypotheses:
    """Possible maps.

    Attributes:
        maps: (reference, candidate) index -> how its value is carried, the likeliest map first.
        forced: shapes, roles and the order of use leave the first map alone.
        exhausted: no map that shapes and the order of use allow is missing.
    """

    maps: tuple[dict[tuple[int, int], Carry], ...]
    forced: bool
    exhausted: bool


@dataclass(frozen=True)
class Side:
    """One model's variables, those of them to map, and how its program uses them."""

    variables: Sequence[Known]
    open: Sequence[int]
    uses: Uses


def hypotheses(
    reference: Side, candidate: Side, *, fixed: Mapping[int, int], hints: Mapping[int, int]
) -> Hypotheses:
    """Return the one-to-one maps of the open variables, if these can be mapped at all.

    Variables are taken for the same by what their layers' class calls them, shape and order of use, then by
    shape and order, at last by shape alone. Within one way, the map comes first whose pairs together are most
    alike: used with and for the same, in training as well, at the same place in the order.

    Args:
        reference: the reference's open variables.
        candidate: the candidate's.
        fixed: pairs that are certain.
        hints: pairs that the aligned layer graphs suggest.
    """
    found: dict[frozenset[tuple[tuple[int, int], str]], dict[tuple[int, int], Carry]] = {}
    forced = exhausted = False
    for roles in (True, False):
        choices = _choices(reference, candidate, fixed, hints, roles=roles)
        orders: tuple[Order, ...] = ("equal", "not against") if roles else ("equal", "not against", "free")
        for order in orders:
            search = _Search(reference, candidate, choices, order, owners=roles)
            before = len(found)
            several = sorted(islice(search.maps(), MOST_MAPS), key=lambda one: one[0])
            for _, one in several:
                found.setdefault(frozenset((pair, str(carry)) for pair, carry in one.items()), one)
            exhausted = search.exhausted
            if before == 0 and len(found) == 1:
                forced = exhausted and order != "free" and _certain(next(iter(found.values())))
            if len(found) >= MOST_MAPS:
                return Hypotheses(tuple(found.values())[:MOST_MAPS], forced, exhausted=False)
            if forced:
                return Hypotheses(tuple(found.values()), forced=True, exhausted=False)
    return Hypotheses(tuple(found.values()), forced=False, exhausted=exhausted)


def _certain(one: Mapping[tuple[int, int], Carry]) -> bool:
    return all(carry.certain for carry in one.values())


@dataclass(frozen=True)
class _Choices:
    """The pairs that may be, as arrays: both positions among the open variables, and what each costs."""

    ours: NDArray[np.int64]
    theirs: NDArray[np.int64]
    cost: NDArray[np.float64]
    way: NDArray[np.int64]
    carry: list[Carry]


def _choices(
    reference: Side, candidate: Side, fixed: Mapping[int, int], hints: Mapping[int, int], *, roles: bool
) -> _Choices:
    rows: list[tuple[int, int, float, int, Carry]] = []
    taken = {other: index for index, other in fixed.items()}
    ends = _same_ends(reference, candidate)
    for a, index in enumerate(reference.open):
        mine = reference.variables[index]
        for b, other in enumerate(candidate.open):
            its = candidate.variables[other]
            if fixed.get(index, other) != other or taken.get(other, index) != index:
                continue
            if ends and reference.uses.ends[index] != candidate.uses.ends[other]:
                continue
            told = index in fixed
            if roles and not told and (mine.role, mine.shape) != (its.role, its.shape):
                continue
            cost = _unlikeness(mine, its) - 0.5 * (hints.get(index) == other)
            cost += _otherwise_used(reference.uses, index, candidate.uses, other)
            cost += abs(_place(reference, index) - _place(candidate, other))
            for kind, carry in enumerate(carries(mine.shape, its.shape)[: 1 if roles or told else None]):
                rows.append((a, b, cost + 4.0 * kind, kind, carry))
    return _Choices(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], float),
        np.array([row[3] for row in rows], np.int64),
        [row[4] for row in rows],
    )


def _same_ends(reference: Side, candidate: Side) -> bool:
    """Tell whether equally many numbers lie between the same inputs and outputs on both sides.

    Inputs and outputs correspond by position or key, so partners then lie between the same ones.
    """
    first, second = (
        Counter((math.prod(side.variables[index].shape), side.uses.ends[index]) for index in side.open)
        for side in (reference, candidate)
    )
    return first == second


def _place(side: Side, index: int) -> float:
    """Return the place in the order of use, 0 to 1."""
    return side.uses.rank[index] / max(len(side.variables), 1)


def _otherwise_used(ours: Uses, index: int, theirs: Uses, other: int) -> float:
    """Return in how many ways two variables are used otherwise: what with, what for, how at first."""
    used = ((ours.past, theirs.past), (ours.future, theirs.future), (ours.near, theirs.near))
    trained = ours.trained[index] != theirs.trained[other]
    return 1.0 * sum(left[index] != right[other] for left, right in used) + 2.0 * trained


def _unlikeness(mine: Known, its: Known) -> float:
    """Return how little two variables look the same: role, training, what they start from."""
    cost = 1.0 * (mine.role.rpartition(".")[2] != its.role.rpartition(".")[2])
    cost += 3.0 * (mine.trainable != its.trainable) + 3.0 * (mine.dtype != its.dtype)
    if mine.constant != its.constant:
        return cost + 3.0
    equal = mine.constant is not None or np.array_equal(mine.value.ravel(), its.value.ravel())
    return cost + 0.25 * (not equal)


Classes = tuple[NDArray[np.int64], NDArray[np.int64]]
"""For the open variables of both sides, the class of those that may change places with each."""


class _Search:
    """Finds the maps in which the order of use agrees, those that follow the costs most closely first.

    Attributes:
        exhausted: whether all were found.
    """

    def __init__(
        self, reference: Side, candidate: Side, choices: _Choices, order: Order, *, owners: bool
    ) -> None:
        self._sides = reference, candidate
        self._choices = choices
        self._order = order
        self._owners_count = owners
        self._steps = MOST_STEPS
        self._cut = False
        self.exhausted = False
        both = (reference, candidate)
        self._before = [side.uses.before[np.ix_(list(side.open), list(side.open))] for side in both]
        self._owners = [np.array([side.variables[i].owner for i in side.open], int) for side in both]

    def maps(self) -> Iterator[tuple[float, dict[tuple[int, int], Carry]]]:
        """Yield costs and map, each map once: no departure from the cheapest choice, then one, and so on."""
        start = self._start()
        if len(self._sides[0].open) != len(self._sides[1].open) or not self._possible(start):
            self.exhausted = True
            return
        departures = 0
        while self._steps > 0 and not self.exhausted:
            self._cut = False
            ours, theirs = (np.array([s.uses.alike[i] for i in s.open], np.int64) for s in self._sides)
            yield from self._extend(start, [], (ours, theirs), departures)
            self.exhausted = not self._cut and self._steps > 0
            departures += 1

    def _start(self) -> NDArray[np.bool_]:
        """Leave out pairs that stand before or after too many others."""
        ours, theirs = self._choices.ours, self._choices.theirs
        first = [(np.sum(before == 1, axis=0), np.sum(before == -1, axis=0)) for before in self._before]
        (above, below), (above_too, below_too) = first
        if self._order == "equal":
            equal: NDArray[np.bool_] = (above[ours] == above_too[theirs]) & (below[ours] == below_too[theirs])
            return equal
        return np.ones(len(ours), bool)

    def _extend(
        self, possible: NDArray[np.bool_], chosen: list[int], classes: Classes, departures: int
    ) -> Iterator[tuple[float, dict[tuple[int, int], Carry]]]:
        """Choose for one variable more; at the end all ``departures`` must be used up."""
        if len(chosen) == len(self._sides[0].open):
            if departures == 0:
                yield float(self._choices.cost[chosen].sum()), self._as_map(chosen)
            return
        feasible = 0
        for option in self._options(possible, chosen, classes):
            self._steps -= 1
            if self._steps <= 0:
                return
            rest = self._narrowed(possible, chosen, option)
            if rest is None:
                continue
            if feasible > departures:
                self._cut = True
                return
            apart = self._told_apart(classes, option)
            yield from self._extend(rest, [*chosen, option], apart, departures - feasible)
            feasible += 1

    def _options(self, possible: NDArray[np.bool_], chosen: list[int], classes: Classes) -> list[int]:
        """Return what may be chosen next, cheapest first: for the variable, of either side, with the fewest.

        Of partners that may change places one stands for all.
        """
        open_ = possible.copy()
        open_[chosen] = False
        rows = np.flatnonzero(open_)
        rows = rows[np.argsort(self._choices.cost[rows], kind="stable")]
        ends = self._choices.ours[rows], self._choices.theirs[rows]
        fewest: list[int] = []
        for own, other, classed in ((ends[0], ends[1], classes[1]), (ends[1], ends[0], classes[0])):
            keys = np.stack([own, classed[other], self._choices.way[rows]])
            _, first = np.unique(keys, axis=1, return_index=True)
            counts = np.bincount(own[first], minlength=int(own.max()) + 1)
            best = int(np.argmin(np.where(counts == 0, len(rows) + 1, counts)))
            options = rows[sorted(first[own[first] == best])]
            if not fewest or len(options) < len(fewest):
                fewest = options.tolist()
        return fewest

    def _told_apart(self, classes: Classes, option: int) -> Classes:
        """Return the classes once two variables are paired: by how the others stand to these."""
        refined = []
        ends = self._choices.ours[option], self._choices.theirs[option]
        for end, own, before, owners in zip(ends, classes, self._before, self._owners, strict=True):
            stands = np.stack([own, before[end], owners == owners[end], np.arange(len(own)) == end])
            refined.append(np.unique(stands, axis=1, return_inverse=True)[1].reshape(-1))
        return refined[0], refined[1]

    def _narrowed(
        self, possible: NDArray[np.bool_], chosen: Sequence[int], option: int
    ) -> NDArray[np.bool_] | None:
        """Return what stays possible once an option is chosen, ``None`` where something has no partner."""
        ours, theirs = self._choices.ours, self._choices.theirs
        row, column = ours[option], theirs[option]
        rest = possible & (ours != row) & (theirs != column)
        mine, its = self._before[0][row, ours], self._before[1][column, theirs]
        if self._order == "equal":
            rest &= mine == its
        elif self._order == "not against":
            rest &= mine * its != -1
        if self._owners_count:
            together = self._owners[0][ours] == self._owners[0][row]
            rest &= together == (self._owners[1][theirs] == self._owners[1][column])
        rest[[*chosen, option]] = True
        return rest if self._possible(rest) else None

    def _possible(self, rest: NDArray[np.bool_]) -> bool:
        """Tell whether every variable of either side has a partner left."""
        count = len(self._sides[0].open)
        ours, theirs = self._choices.ours[rest], self._choices.theirs[rest]
        return len(np.unique(ours)) == count and len(np.unique(theirs)) == count

    def _as_map(self, chosen: Sequence[int]) -> dict[tuple[int, int], Carry]:
        reference, candidate = (side.open for side in self._sides)
        ours, theirs = self._choices.ours, self._choices.theirs
        pairs = {
            (reference[ours[option]], candidate[theirs[option]]): self._choices.carry[option]
            for option in chosen
        }
        return dict(sorted(pairs.items(), key=lambda item: item[0]))
