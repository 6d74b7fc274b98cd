"""The constants and attributes over which two corresponding operations part, and by how much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.program.attributes import SHOWN_ELEMENTS, array_of, shortened
from pytest_kerasequiv.program.indices import REDUCTIONS
from pytest_kerasequiv.program.nodes import Body, Node, Program

ROUNDING = 2.0
"""Most units in the last place by which two constants of one value may differ."""

NO_EFFECT = frozenset({"device", "shape of an input"})
"""Attributes that say where or for which sizes an operation was traced, not what it computes."""

TABLE = 8
"""Elements from which on an array is a table, rounded at the size of its largest element (sines near 0)."""

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Distance from 1 to the next number."""

BINARY = {
    "Add",
    "AddV2",
    "Sub",
    "Mul",
    "RealDiv",
    "Maximum",
    "Minimum",
    "Pow",
    "SquaredDifference",
    "SelectV2",
}
UNARY = {"Abs", "Cast", "Exp", "Log", "Neg", "Reciprocal", "Rsqrt", "Sqrt", "Square"}

REPEATED = frozenset({*BINARY, *UNARY, *REDUCTIONS, "FloorMod"})
"""Operations for which a constant repeated along an axis is the same as the constant alone, and an axis as a
list of it (its gradients take it modulo the rank)."""


Array = NDArray[Any]


@dataclass(frozen=True)
class Parting:
    """One constant or attribute that two programs of one skeleton do not share.

    Attributes:
        part: the entry of the surface in which it was met first.
        operation: type of the operation that has it, or takes it.
        field: name of the attribute, or ``"constant"``.
        reference_layer: Keras path of the layer in the reference, ``None`` where it is not known.
        candidate_layer: the same for the candidate.
        reference: the reference's value, as text.
        candidate: the candidate's.
        units: greatest distance in units in the last place of the constant's dtype; ``None`` where the values
            are no floats of one shape, so that no rounding explains it.
    """

    part: str
    operation: str
    field: str
    reference_layer: str | None
    candidate_layer: str | None
    reference: str
    candidate: str
    units: float | None

    @property
    def rounds(self) -> bool:
        """Whether rounding alone explains the parting."""
        return self.units is not None and self.units <= ROUNDING

    def to_dict(self) -> dict[str, Any]:
        """Return the parting as JSON-able data."""
        return asdict(self)

    def __str__(self) -> str:
        where = " and ".join(dict.fromkeys(x for x in (self.reference_layer, self.candidate_layer) if x))
        field = "" if self.field == "constant" else f"{self.field} "
        ours, theirs = _without_common_dtype(self.reference, self.candidate)
        return f"{field}{ours} against {theirs} at {self.operation}" + (f" in {where}" if where else "")


def _without_common_dtype(ours: str, theirs: str) -> tuple[str, str]:
    first, second = (_DTYPE.match(text) for text in (ours, theirs))
    if first is None or second is None or first[0] != second[0]:
        return ours, theirs
    return ours[first.end() :], theirs[second.end() :]


_DTYPE = re.compile(r"(?:bool|u?int|b?float|complex|string)\d* ")

Place = tuple[str, str, str | None, str | None]


def partings_of(
    reference: Program, candidate: Program, ours: Node, theirs: Node, place: Place
) -> list[Parting] | None:
    """Return the partings of two operations; ``None`` where they call functions of different skeletons.

    Args:
        reference: the program that holds the functions which ``ours`` calls.
        candidate: the same for ``theirs``.
        ours: an operation of the reference.
        theirs: the candidate's operation of the same type.
        place: entry of the surface, operation to name, and layer on each side.
    """
    found: list[Parting] = []
    for name, one, other in _unequal(ours, theirs):
        if _FUNCTION.search(one) and _FUNCTION.search(other):
            inner = _of_functions(reference, candidate, (one, other), place)
            if inner is None:
                return None
            found += inner
            continue
        field = "constant" if ours.op == "Const" and name == "value" else name
        part, operation, layer, other_layer = place
        units = distance(one, other, broadcast=operation in REPEATED)
        if operation == "Fill" and _one_size(one, other):
            units = 0.0
        shown = _where_apart(one, other) or (shortened(one), shortened(other))
        found.append(Parting(part, operation, field, layer, other_layer, *shown, units))
    return [parting for parting in found if parting.units != 0]


def _unequal(ours: Node, theirs: Node) -> Iterator[tuple[str, str, str]]:
    """Yield name and both texts of the attributes that differ and may have an effect."""
    mine, others = dict(ours.attributes), dict(theirs.attributes)
    leaf = not ours.inputs and ours.op != "Const"
    for name in sorted(mine.keys() | others.keys()):
        known = f"{name} of an input" if leaf else name
        if mine.get(name) != others.get(name) and known not in NO_EFFECT:
            yield name, mine.get(name, "none"), others.get(name, "none")


_FUNCTION = re.compile(r"function ([0-9a-f]{64})")


def _of_functions(
    reference: Program, candidate: Program, texts: tuple[str, str], place: Place
) -> list[Parting] | None:
    """Return the partings of the functions that two attributes name, operation by operation."""
    if _FUNCTION.sub("", texts[0]) != _FUNCTION.sub("", texts[1]):
        return None
    found: list[Parting] = []
    for one, other in zip(_FUNCTION.findall(texts[0]), _FUNCTION.findall(texts[1]), strict=True):
        if one != other:
            inner = _of_bodies(reference, candidate, reference.bodies[one], candidate.bodies[other], place)
            if not inner:  # they differ in what is not told here: how values are returned
                return None
            found += inner
    return found


def _of_bodies(
    reference: Program, candidate: Program, ours: Body, theirs: Body, place: Place
) -> list[Parting] | None:
    if len(ours.nodes) != len(theirs.nodes):
        return None
    takers = {source: node.op for node in reversed(ours.nodes) for source, _ in node.inputs}
    found: list[Parting] = []
    for index, (mine, others) in enumerate(zip(ours.nodes, theirs.nodes, strict=True)):
        if (mine.op, mine.inputs) != (others.op, others.inputs):
            return None
        operation = takers.get(index, mine.op) if mine.op == "Const" else mine.op
        inner = partings_of(reference, candidate, mine, others, (place[0], operation, *place[2:]))
        if inner is None:
            return None
        found += inner
    return found


def distance(one: str, other: str, *, broadcast: bool = False) -> float | None:
    """Return how many units in the last place two values are apart; ``None`` where no rounding explains it.

    Args:
        one: text of an attribute.
        other: the other one.
        broadcast: whether a value repeated along an axis is the same as the value alone.
    """
    arrays = array_of(one), array_of(other)
    if arrays[0] is None or arrays[1] is None or arrays[0].dtype != arrays[1].dtype:
        return None
    ours, theirs = arrays[0], arrays[1]
    if ours.shape != theirs.shape:
        if not broadcast or not _broadcasts(ours.shape, theirs.shape):
            return None
        ours, theirs = np.broadcast_arrays(ours, theirs)
    if np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
        return 0.0
    epsilon = EPSILON.get(str(ours.dtype))
    return None if epsilon is None else _units(ours.astype(np.float64), theirs.astype(np.float64), epsilon)


def _where_apart(one: str, other: str) -> tuple[str, str] | None:
    """Return both numbers where long arrays of floats are furthest apart; ``None`` for other attributes.

    The first numbers of two tables are often the same.
    """
    ours, theirs = array_of(one), array_of(other)
    if ours is None or theirs is None or (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return None
    if ours.size <= SHOWN_ELEMENTS or str(ours.dtype) not in EPSILON:
        return None
    apart = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    place = np.unravel_index(int(np.argmax(np.where(np.isnan(apart), np.inf, apart))), ours.shape)
    at = f"at [{', '.join(map(str, place))}] of shape ({', '.join(map(str, ours.shape))})"
    return f"{ours.dtype} {ours[place]!s} {at}", f"{theirs.dtype} {theirs[place]!s} {at}"


def _one_size(one: str, other: str) -> bool:
    """Tell whether shapes differ by axes of length 1 alone, as what gradients fill for an axis or a list."""
    shapes = [None if (array := array_of(text)) is None else array.ravel().tolist() for text in (one, other)]
    longer = [None if shape is None else [size for size in shape if size != 1] for shape in shapes]
    return longer[0] is not None and longer[0] == longer[1]


def _broadcasts(ours: tuple[int, ...], theirs: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(ours, theirs) in {ours, theirs}
    except ValueError:
        return False


def _units(ours: Array, theirs: Array, epsilon: float) -> float | None:
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    apart = np.where(same, 0.0, np.abs(np.where(same, 0.0, ours) - np.where(same, 0.0, theirs)))
    if not np.isfinite(apart).all():
        return None
    magnitude = np.where(same, 0.0, np.maximum(np.abs(ours), np.abs(theirs)))
    if ours.size >= TABLE:
        finite = np.abs(ours[np.isfinite(ours)])
        magnitude = np.maximum(magnitude, finite.max(initial=0.0))
    _, exponent = np.frexp(magnitude)
    return float(np.max(apart / np.ldexp(epsilon, exponent - 1)))
