"""Where two programs calculate otherwise with the integers that they are given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_kerasequiv.program.limits import SIZES
from pytest_kerasequiv.program.nodes import Node, Program

SIZED_BY = {"Range": None, "Fill": 0, "Tile": 1, "BroadcastTo": 1, "Reshape": 1}
"""Operations that take sizes, and at which place; ``None`` for any."""

CALLING = frozenset({"While", "StatelessWhile", "PartitionedCall", "StatefulPartitionedCall"})
"""Operations whose bodies may make sizes of what they are given, or loop so often."""

GUARDING = frozenset({"Minimum", "Maximum", "Greater", "GreaterEqual", "Less", "LessEqual", "FloorMod"})
"""Operations by which code keeps integers in the bounds of a table."""


def whole_numbers_apart(programs: Sequence[Program]) -> bool:
    """Tell whether the operations on given integers are others, and no given number may become a size.

    Args:
        programs: those of the twins; of one alone it is not known that the other has the same.
    """
    found = []
    for program in programs:
        given = _given(program.nodes)
        if any(_sized(node, given) for node in program.nodes):
            return False
        found.append(Counter(map(_operation, _on_integers(program.nodes, given))))
    return len(found) == 1 or found[0] != found[1]


def narrowed_apart(programs: Sequence[Program]) -> bool:
    """Tell whether one program alone narrows given integers of 64 bits, so that large ones wrap around."""
    found = []
    for program in programs:
        operations = map(_operation, _on_integers(program.nodes, _given(program.nodes)))
        found.append(sum(op == "Cast" and set(told) >= _NARROWING for op, told in operations))
    return len(found) > 1 and bool(found[0]) != bool(found[1])


def guards(reference: Program, candidate: Program) -> bool:
    """Tell whether the reference alone keeps given integers in bounds: the candidate may refuse some."""
    return bool(_guarding(reference.nodes) - _guarding(candidate.nodes))


def _guarding(nodes: Sequence[Node]) -> Counter[str]:
    """Count the operations of `GUARDING`, but for those by which `keras.ops.take` counts from the end."""
    given = {id(node) for node in _on_integers(nodes, _given(nodes))}
    counting = {
        condition
        for node in nodes
        if node.op == "SelectV2"
        for (condition, _), (moved, _), left in [node.inputs]
        if nodes[moved].op == "AddV2" and left in nodes[moved].inputs
    }
    return Counter(
        node.op
        for index, node in enumerate(nodes)
        if id(node) in given and node.op in GUARDING and index not in counting
    )


_NARROWING = {("SrcT", "int64"), ("DstT", "int32")}


def _given(nodes: Sequence[Node]) -> list[bool]:
    """Return of each node whether its values, not only its sizes, are computed from inputs."""
    found: list[bool] = []
    for node in nodes:
        known = node.op.startswith("Input ") or any(found[source] for source, _ in node.inputs)
        found.append(known and node.op not in SIZES)
    return found


def _sized(node: Node, given: Sequence[bool]) -> bool:
    sources = [source for source, _ in node.inputs]
    if node.op in SIZED_BY:
        place = SIZED_BY[node.op]
        sources = sources if place is None else sources[place : place + 1]
    return node.op in {*SIZED_BY, *CALLING} and any(given[source] for source in sources)


def _on_integers(nodes: Sequence[Node], given: Sequence[bool]) -> list[Node]:
    """Return the operations on given integers whose results are integers."""
    return [
        node
        for node, known in zip(nodes, given, strict=True)
        if known and node.inputs and all("int" in dtype for dtype in _dtypes(node) or ("",))
    ]


def _dtypes(node: Node) -> tuple[str, ...]:
    return tuple(
        dict(node.attributes)[name] for name in ("T", "SrcT", "DstT") if name in dict(node.attributes)
    )


def _operation(node: Node) -> tuple[str, tuple[tuple[str, str], ...]]:
    return node.op, tuple(node.attributes)
