"""Where the traced program of one model uses its variables: in which order, and which depends on which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.program.node_colours import digest, own_colours, symmetric
from pytest_kerasequiv.program.nodes import RESULT, Node, Program, Ref

_NOTHING = Node("", (), ())

ASSOCIATIVE = frozenset({"Add", "AddV2", "Mul", "Maximum", "Minimum"})
"""Operations whose terms may be taken in any order, up to rounding."""

NEAR = 6
"""How many operations on are near."""

TRAINED = f"{RESULT}training output"
"""Begins the results of the call that ``fit`` makes."""

UNUSED = 1 << 30
"""The rank of a variable that the program does not use."""


@dataclass(frozen=True)
class Uses:
    """How the variables of one model are used, by their index.

    Attributes:
        rank: place in the order of first use.
        before: ``before[i, j]`` is 1 where the first use of j depends on i, -1 where that of i depends on j,
            else 0.
        past: colour of what each is used with, its own kind among it.
        future: colour of all that is computed from it.
        near: colour of the next few operations on it, by their names alone.
        trained: the same in training, where a Dropout shows, of what inference does not tell apart.
        alike: number of the class of variables that may change places with it.
        ends: the inputs that the data of its first use come from, and the outputs that depend on it.
    """

    rank: tuple[int, ...]
    before: NDArray[np.int8]
    past: tuple[bytes, ...]
    future: tuple[bytes, ...]
    near: tuple[bytes, ...]
    trained: tuple[bytes, ...]
    alike: tuple[int, ...]
    ends: tuple[frozenset[str], ...]


def uses_of(program: Program, count: int) -> Uses:
    """Return how a program uses the first ``count`` variables of its model.

    The first traced call is looked at, inference where that could be traced: what training adds, gradients
    above all, uses every variable again. Of training, the next few operations on each variable are.
    """
    nodes = _first_part(program)
    meetings, upstream = _meetings(nodes, len(program.variables))
    before = np.zeros((count, count), np.int8)
    for index, others in upstream.items():
        for other in _bits(others & (1 << count) - 1 & ~(1 << index)) if index < count else ():
            before[other, index] += 1
            before[index, other] -= 1
    order = sorted(range(count), key=lambda index: (meetings[index][:1] or [(UNUSED, "")], index))
    rank = {index: place for place, index in enumerate(order)}
    past, future = _colours(nodes, program, meetings)
    near, trained = _near(nodes), _near(_forward_pass(program))
    return Uses(
        rank=tuple(rank[i] for i in range(count)),
        before=before,
        past=tuple(past[:count]),
        future=tuple(future[:count]),
        near=tuple(near[:count]),
        trained=tuple(trained[:count]),
        alike=_alike(nodes, program, trained)[:count],
        ends=_ends(nodes, meetings)[:count],
    )


def certain_pairs(ours: Uses, theirs: Uses) -> dict[int, int]:
    """Pair the variables that the programs alone tell: what one is used on, or made into, occurs once."""
    found: dict[int, int] = {}
    taken: dict[int, int] = {}
    for left, right in ((ours.past, theirs.past), (ours.future, theirs.future)):
        counts = Counter(left), Counter(right)
        where = {colour: index for index, colour in enumerate(right)}
        for index, colour in enumerate(left):
            if colour and counts[0][colour] == counts[1][colour] == 1:
                other = where[colour]
                if found.setdefault(index, other) != other or taken.setdefault(other, index) != index:
                    return {}  # the two directions contradict each other: nothing is certain then
    return found


def _first_part(program: Program) -> list[Node]:
    """Return the nodes of the part that is traced first, at their places, sums of sums as one sum."""
    leaves = len(program.variables)
    part = next((node.part for node in program.nodes[leaves:] if node.part and node.inputs), "")
    return _kept(program, [node.part == part or not node.inputs for node in program.nodes])


def _forward_pass(program: Program) -> list[Node]:
    """Return what the outputs in training are made of, likewise; not what their gradients are."""
    needed = [node.op.startswith(TRAINED) for node in program.nodes]
    for place in range(len(needed) - 1, -1, -1):
        for source, _ in program.nodes[place].inputs if needed[place] else ():
            needed[source] = True
    return _kept(program, needed)


def _kept(program: Program, own: Sequence[bool]) -> list[Node]:
    both = zip(program.nodes, own, strict=True)
    leaves = len(program.variables)
    kept = [node if keep or place < leaves else _NOTHING for place, (node, keep) in enumerate(both)]
    return _flattened(kept)


def _flattened(nodes: Sequence[Node]) -> list[Node]:
    """Let a sum take the terms of a sum that only it reads: in which order terms are added tells nothing."""
    readers = Counter(source for node in nodes for source, _ in node.inputs)
    flat: list[Node] = []
    for node in nodes:
        inputs: list[Ref] = []
        for source, output in node.inputs:
            inner = flat[source]
            joins = node.op in ASSOCIATIVE and inner.op == node.op and readers[source] == 1
            inputs += inner.inputs if joins else [(source, output)]
            if joins:
                flat[source] = _NOTHING
        flat.append(replace(node, inputs=tuple(inputs)))
    return flat


def _slot(node: Node, position: int, output: str) -> str:
    """Return which argument an input is, where that matters."""
    return output if node.op in ASSOCIATIVE or symmetric(node) else f"{output} {position}"


def _meetings(nodes: Sequence[Node], variables: int) -> tuple[list[list[tuple[int, str]]], dict[int, int]]:
    """Return where each variable meets data that comes from the inputs, and on which others its first hangs.

    What is computed from weights alone (a kernel's transpose, a variance's root) is no use yet. The others
    are bits of one number.
    """
    held = [1 << index if index < variables else 0 for index in range(len(nodes))]
    fed = [node.op.startswith("Input ") for node in nodes]
    meetings: list[list[tuple[int, str]]] = [[] for _ in range(variables)]
    upstream: dict[int, int] = {}
    for place, node in enumerate(nodes[variables:], variables):
        data = 0
        for source, _ in node.inputs:
            held[place] |= held[source]
            fed[place] = fed[place] or fed[source]
            data |= held[source] if fed[source] else 0
        if not fed[place]:
            continue
        for position, (source, output) in enumerate(node.inputs):
            for index in _bits(0 if fed[source] else held[source]):
                meetings[index].append((place, _slot(node, position, output)))
                upstream.setdefault(index, data & ~(1 << index))
    return meetings, upstream


def _ends(nodes: Sequence[Node], meetings: Sequence[Sequence[tuple[int, str]]]) -> tuple[frozenset[str], ...]:
    """Return the inputs that each variable first meets, and the outputs that depend on it."""
    fed_by: list[frozenset[str]] = []
    for node in nodes:
        own = {node.op} if node.op.startswith("Input ") else set()
        fed_by.append(frozenset(own).union(*(fed_by[source] for source, _ in node.inputs)))
    leads_to: list[frozenset[str]] = [frozenset()] * len(nodes)
    for place in range(len(nodes) - 1, -1, -1):
        node = nodes[place]
        own = {node.op} if node.op.startswith(RESULT) and " output" in node.op else set()
        leads_to[place] = leads_to[place].union(own)
        for source, _ in node.inputs:
            leads_to[source] = leads_to[source].union(leads_to[place])
    first = (fed_by[met[0][0]] if met else frozenset() for met in meetings)
    return tuple(inputs | outputs for inputs, outputs in zip(first, leads_to, strict=False))


def _bits(number: int) -> list[int]:
    found = []
    while number:
        low = number & -number
        found.append(low.bit_length() - 1)
        number ^= low
    return found


def _colours(
    nodes: Sequence[Node], program: Program, meetings: Sequence[Sequence[tuple[int, str]]]
) -> tuple[list[bytes], list[bytes]]:
    """Return the past and the future of each variable; empty where it is not used."""
    own = own_colours(nodes)
    kinds = [digest(repr(v.kind).encode()) for v in program.variables]
    own[: len(kinds)] = kinds
    forward = _forward(nodes, own)
    past = [
        digest(kind, *sorted(forward[place] + slot.encode() for place, slot in met)) if met else b""
        for kind, met in zip(kinds, meetings, strict=True)
    ]
    uses: list[list[bytes]] = [[] for _ in nodes]
    future = list(own)
    for place in range(len(nodes) - 1, -1, -1):
        future[place] = digest(own[place], *sorted(uses[place]))
        for position, (source, output) in enumerate(nodes[place].inputs):
            uses[source].append(_slot(nodes[place], position, output).encode() + future[place])
    return past, [future[index] if uses[index] else b"" for index in range(len(kinds))]


def _near(nodes: Sequence[Node]) -> list[bytes]:
    """Return the colour of each node by the names of the next few operations on it."""
    names = [digest(node.op.encode()) for node in nodes]
    colours = names
    for _ in range(NEAR):
        uses: list[list[bytes]] = [[] for _ in nodes]
        for node, colour in zip(nodes, colours, strict=True):
            for source, _output in node.inputs:
                uses[source].append(colour)
        colours = [digest(name, *sorted(seen)) for name, seen in zip(names, uses, strict=True)]
    return colours


def _alike(nodes: Sequence[Node], program: Program, trained: Sequence[bytes]) -> tuple[int, ...]:
    """Number the classes of variables that neither the program nor the first steps of training tell apart."""
    own = own_colours(nodes)
    colours = [
        digest(repr(v.kind).encode(), seen) for v, seen in zip(program.variables, trained, strict=False)
    ]
    classes = 0
    while len(set(colours)) > classes:
        classes = len(set(colours))
        forward = _forward(nodes, [*colours, *own[len(colours) :]])
        uses: list[list[bytes]] = [[] for _ in nodes]
        for place in range(len(nodes) - 1, -1, -1):
            around = digest(forward[place], *sorted(uses[place]))
            for position, (source, output) in enumerate(nodes[place].inputs):
                uses[source].append(_slot(nodes[place], position, output).encode() + around)
        colours = [digest(c, *sorted(seen)) for c, seen in zip(colours, uses, strict=False)]
    numbers = {colour: number for number, colour in enumerate(dict.fromkeys(colours))}
    return tuple(numbers[colour] for colour in colours)


def _forward(nodes: Sequence[Node], own: Sequence[bytes]) -> list[bytes]:
    """Return the colour of each node by all that it is computed from."""
    forward: list[bytes] = []
    for node, colour in zip(nodes, own, strict=True):
        slots = enumerate(node.inputs)
        read = [_slot(node, at, output).encode() + forward[source] for at, (source, output) in slots]
        forward.append(digest(colour, *sorted(read)))
    return forward
