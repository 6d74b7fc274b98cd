"""How the value of one variable becomes that of another of another shape: reshaped or transposed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["same", "ones", "merged", "transposed", "reshaped"]

LARGEST_RANK = 5
"""Axes of a value whose orders are tried one by one; 120 orders."""


@dataclass(frozen=True)
class Carry:
    """What is done to a value of the reference to give the candidate's.

    Attributes:
        kind: how sure it is. ``"same"`` and ``"ones"`` (axes of length 1 come or go) leave no choice;
            ``"merged"`` joins or parts neighbouring axes; ``"transposed"`` and ``"reshaped"`` are guesses.
        shape: the shape of the result.
        axes: the order in which the axes are taken before; ``None`` where it stays.
    """

    kind: Kind
    shape: tuple[int, ...]
    axes: tuple[int, ...] | None = None

    def __call__(self, value: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the carried value; a view where that is possible."""
        turned = value if self.axes is None else value.transpose(self.axes)
        return turned.reshape(self.shape)

    def back(self, value: NDArray[np.generic], shape: Sequence[int]) -> NDArray[np.generic]:
        """Return a value of the candidate (a gradient) in the reference's ``shape``."""
        if self.axes is None:
            return value.reshape(tuple(shape))
        turned = value.reshape(tuple(shape[axis] for axis in self.axes))
        return turned.transpose(np.argsort(self.axes))

    @property
    def certain(self) -> bool:
        """Whether the shapes leave no other way."""
        return self.kind in ("same", "ones", "merged")

    def __str__(self) -> str:
        if self.kind == "same":
            return "as it is"
        order = "" if self.axes is None else f"axes taken in the order {list(self.axes)}, then "
        return f"{order}reshaped to {self.shape}"


def carries(shape: Sequence[int], other: Sequence[int]) -> tuple[Carry, ...]:
    """Return the ways to carry a value of one shape to another, the likeliest first; there may be none."""
    ours, theirs = tuple(shape), tuple(other)
    if math.prod(ours) != math.prod(theirs):
        return ()
    if ours == theirs:
        square = len(ours) == 2 and ours[0] == ours[1] > 1
        return (Carry("same", theirs), *((Carry("transposed", theirs, (1, 0)),) if square else ()))
    plain, plain_other = ([size for size in side if size != 1] for side in (ours, theirs))
    if plain == plain_other:
        return (Carry("ones", theirs),)
    turned = tuple(Carry("transposed", theirs, axes) for axes in _orders(ours, theirs))
    joined = _joins(plain, plain_other) or _joins(plain_other, plain)
    return (Carry("merged", theirs), *turned) if joined else (*turned, Carry("reshaped", theirs))


def _orders(ours: tuple[int, ...], theirs: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the orders of the reference's axes under which only axes of length 1 are left to come or go."""
    if len(ours) > LARGEST_RANK:
        return []
    goal = [size for size in theirs if size != 1]
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for axes in permutations(range(len(ours))):
        order = tuple(axis for axis in axes if ours[axis] != 1)
        if [ours[axis] for axis in order] == goal:
            found.setdefault(order, axes)
    return list(found.values())


def _joins(longer: Sequence[int], shorter: Sequence[int]) -> bool:
    """Tell whether joining neighbours makes the longer shape the shorter."""
    place = 0
    for size in shorter:
        product = 1
        while place < len(longer) and product < size:
            product *= longer[place]
            place += 1
        if product != size:
            return False
    return place == len(longer)
