"""Limits that only one of two rewritten programs has, so far off that no number tried need reach them.

Programs of other operations are held to numbers alone. A limit, such as the 50 of a clip, shows in numbers
only where a value passes it: what is computed from variables alone (constraints, regularisers) stays small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import zip_longest

from pytest_kerasequiv.program.attributes import array_of, shortened
from pytest_kerasequiv.program.layer_names import enclosing_layer, layer_tree
from pytest_kerasequiv.program.nodes import Node, Program
from pytest_kerasequiv.program.partings import TABLE, Parting

LIMITING = frozenset(
    {"Minimum", "Maximum", "ClipByValue", "Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"}
)
"""Operations that compare a value with a constant."""

SHIFTING = frozenset({"Add", "AddV2", "Sub"})
"""Operations that move a value before it is compared."""

CUTTING = frozenset({"Slice", "StridedSlice"})
"""Operations that take a part of an axis between two numbers."""

SIZES = frozenset({"Shape", "ShapeN", "Size"})
"""Operations that return sizes."""

OF_SHAPES = SIZES | {"Pack", "ConcatV2"}
"""Operations whose parts are sizes, as code for shapes uses them."""

LONGEST = 2048
"""Largest size of a free axis that is tried for a constant."""

PASSING = frozenset({"Any", "Reshape", "ExpandDims", "Squeeze"})
"""Operations that a flag of what is NaN passes on its way to a selection."""

REACHED, REACHED_BY_VARIABLES = 100.0, 1.0
"""Magnitude up to which probes reach limits: of what depends on inputs, and on variables alone."""

TINY = 2.0**-126
"""Smallest number that float32 holds in full: it stands for zero, as what is smaller may be taken for it."""

ALIKE = 1e-5
"""Relative distance at which two numbers are one that was computed in two ways."""


def limits_apart(reference: Program, candidate: Program) -> tuple[Parting, ...]:
    """Return the distant limits of each side that the other does not hold, where both have such.

    A limit that only one side has is no parting: a rewrite may need one more or one less.
    """
    sides = (reference, candidate), (candidate, reference)
    ours, theirs = ([one for one in _far(mine) if not _held(one, other)] for mine, other in sides)
    if not ours or not theirs:
        return ()
    pairs = zip_longest(ours, theirs)
    return tuple(dict.fromkeys(_parting(a or ours[-1], b or theirs[-1]) for a, b in pairs))


def thresholds(program: Program, free: Container[int]) -> Iterator[tuple[str, float]]:
    """Yield the numbers that a program compares values with, or cuts axes at, each with the entry it is in.

    Any probe lies on both sides of zero, and every axis is longer than 1.

    Args:
        program: the program.
        free: the axes of inputs that have no size; others are cut alike in every batch.
    """
    for nodes in (program.nodes, *(body.nodes for body in program.bodies.values())):
        for _, source, taker in compared(nodes):
            yield from ((taker.part, number) for number in few_numbers(nodes[source]) if number)
        for node in nodes:
            if node.op == "Relu6":
                yield node.part, 6.0
            yield from ((node.part, at) for axis, at in _cuts(nodes, node) if axis in free and abs(at) > 1)


def sizes_compared(program: Program) -> Iterator[tuple[int, Node, str | None]]:
    """Yield the whole numbers above 1 that a program compares sizes of its tensors with.

    Each with the operation that compares, and the Keras path of the layer, as far as that is known.
    """
    tree = layer_tree(program.layers)
    for nodes in (program.nodes, *(body.nodes for body in program.bodies.values())):
        of_sizes = depending(nodes, lambda node: node.op in SIZES)
        for index, source, taker in compared(nodes):
            values = array_of(_value(nodes[source]))
            if of_sizes[index] and values is not None and values.dtype.kind in "iu":
                layer = enclosing_layer(nodes, index, tree)
                yield from (
                    (int(number), taker, layer) for number in few_numbers(nodes[source]) if number > 1
                )


def sizes_apart(reference: Program, candidate: Program) -> tuple[Parting, ...]:
    """Return the sizes beyond what probes have that only one side compares sizes of its tensors with."""
    ours, theirs = (
        {size: (node, layer) for size, node, layer in sizes_compared(program) if size > LONGEST}
        for program in (reference, candidate)
    )
    found = []
    for size in sorted(ours.keys() ^ theirs.keys()):
        node, _ = ours.get(size) or theirs[size]
        first, second = (side[size][1] if size in side else None for side in (ours, theirs))
        shown, beside = (str(size) if size in side else "none" for side in (ours, theirs))
        found.append(Parting(node.part, node.op, "size", first, second, shown, beside, None))
    return tuple(found)


def _cuts(nodes: Sequence[Node], node: Node) -> Iterator[tuple[int, float]]:
    """Yield at which numbers an operation cuts axes, where it tells of each axis."""
    if node.op not in CUTTING or nodes[node.inputs[0][0]].op in OF_SHAPES:
        return
    masks = dict(node.attributes)
    if all(masks.get(name, "i 0") == "i 0" for name in ("ellipsis_mask", "new_axis_mask")):
        for source, _ in node.inputs[1:3]:
            yield from enumerate(few_numbers(nodes[source]))


def few_numbers(node: Node) -> list[float]:
    """Return the numbers of a small constant; none of other nodes."""
    values = array_of(_value(node))
    few = values is not None and values.dtype.kind in "fiu" and values.size < TABLE
    return [float(value) for value in values.flat] if few and values is not None else []


def gives_nan(nodes: Sequence[Node], node: Node) -> bool:
    """Tell whether an operation selects NaN where NaN is found, as ``median`` does: it hands NaN on."""
    if node.op != "SelectV2":
        return False
    (flag, _), (given, _), _ = node.inputs
    while nodes[flag].op in PASSING:
        flag = nodes[flag].inputs[0][0]
    numbers = few_numbers(nodes[given])
    return nodes[flag].op == "IsNan" and bool(numbers) and all(map(math.isnan, numbers))


class _Limit:
    """One constant that a value is compared with."""

    def __init__(self, program: Program, index: int, taker: Node, text: str) -> None:
        self.text = text
        self.part = taker.part
        self.operation = taker.op
        self.layer = enclosing_layer(program.nodes, index, layer_tree(program.layers))
        self.numbers = _numbers(text)


def _parting(ours: _Limit, theirs: _Limit) -> Parting:
    shown = shortened(ours.text), shortened(theirs.text)
    return Parting(ours.part, ours.operation, "constant", ours.layer, theirs.layer, *shown, None)


def _far(program: Program) -> Iterator[_Limit]:
    """Yield the limits beyond what probes reach, each text once."""
    seen: set[str] = set()
    by_input = depending(program.nodes, is_given)
    for index, source, taker in compared(program.nodes):
        text = _value(program.nodes[source])
        reach = REACHED if by_input[index] else REACHED_BY_VARIABLES
        if text not in seen and any(number > reach for number in _numbers(text)):
            seen.add(text)
            yield _Limit(program, index, taker, text)


def compared(nodes: Sequence[Node]) -> Iterator[tuple[int, int, Node]]:
    """Yield which operation takes a constant, the constant, and the operation that compares."""
    shifted: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        constants = [at for source, _ in node.inputs if nodes[at := _uncast(nodes, source)].op == "Const"]
        if node.op in SHIFTING:
            shifted[index] = constants
        if node.op in LIMITING:
            yield from ((index, source, node) for source in constants)
        if node.op in LIMITING or node.op == "Relu":
            moved = [source for before, _ in node.inputs for source in shifted.get(before, ())]
            yield from ((index, source, node) for source in moved)


def _uncast(nodes: Sequence[Node], index: int) -> int:
    """Return what a node casts; itself where it is no cast."""
    return nodes[index].inputs[0][0] if nodes[index].op == "Cast" else index


def is_given(node: Node) -> bool:
    """Tell whether a node is what the program is given: an input, a target, an argument."""
    return node.op.startswith(("Input ", "Target ", "Arg "))


def depending(nodes: Sequence[Node], on: Callable[[Node], bool]) -> list[bool]:
    """Return of each node whether it is one of some kind, or computed from such."""
    found: list[bool] = []
    for node in nodes:
        found.append(on(node) or any(found[source] for source, _ in node.inputs))
    return found


def _held(limit: _Limit, program: Program) -> bool:
    """Whether a program holds the numbers of a limit, whatever it does with them."""
    bodies = (node for body in program.bodies.values() for node in body.nodes)
    held = {number for node in (*program.nodes, *bodies) for number in _numbers(_value(node))}
    return all(any(abs(one - n) <= ALIKE * n for one in held) for n in limit.numbers)


def _value(node: Node) -> str:
    return dict(node.attributes).get("value", "") if node.op == "Const" else ""


def _numbers(text: str) -> list[float]:
    """Return the magnitudes of a constant's few floats."""
    values = array_of(text) if text else None
    few = values is not None and values.dtype.kind == "f" and values.size < TABLE
    return [abs(float(value)) for value in values.flat] if few and values is not None else []
