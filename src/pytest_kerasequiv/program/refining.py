"""Numbering the variables of a program by what the program does with them, never by their order or name.

Colour refinement: a variable begins with its shape, dtype and trainability as colour. Downwards, each node
gets a colour from all that it is computed from; upwards, from all that is computed from it; a variable's next
colour is what is made of it. A variable in a chain of layers thereby gets a colour of its own at once.
Symmetric ones (two equal branches that are added) stay tied; then one is singled out, and the others follow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pytest_kerasequiv.program.node_colours import Colour, digest, forward_colours, own_colours, symmetric
from pytest_kerasequiv.program.nodes import Node, Program, ProgramVariable, Ref


def alive(nodes: Sequence[Node], results: Sequence[int], leaves: int) -> tuple[list[Node], list[int]]:
    """Drop the nodes that no result depends on; the first ``leaves`` stay."""
    needed = [False] * len(nodes)
    for index in results:
        needed[index] = True
    for index in range(len(nodes) - 1, -1, -1):
        if needed[index]:
            for source, _ in nodes[index].inputs:
                needed[source] = True
    place: dict[int, int] = {}
    kept: list[Node] = []
    for index, node in enumerate(nodes):
        if needed[index] or index < leaves:
            place[index] = len(kept)
            inputs = tuple((place[source], output) for source, output in node.inputs)
            kept.append(Node(node.op, node.attributes, inputs, node.name, node.part))
    return kept, [place[index] for index in results]


COLOURED_NODES = 500_000
"""How many nodes may be coloured to tell tied variables apart one by one."""


class Refiner:
    """Refines the colours of the variables of one program; what does not change is computed once."""

    def __init__(
        self, nodes: Sequence[Node], variables: Sequence[ProgramVariable], results: Sequence[int]
    ) -> None:
        self._nodes = nodes
        self._count = len(variables)
        self._results = results
        self._own = own_colours(nodes)
        self._symmetric = [symmetric(node) for node in nodes]
        self.kinds = [digest(b"variable", repr(variable.kind).encode()) for variable in variables]

    @property
    def size(self) -> int:
        """How many nodes one refinement colours."""
        return len(self._nodes)

    @cached_property
    def used(self) -> frozenset[int]:
        """The variables that a result depends on or changes."""
        return frozenset(index for node in self._nodes for index, _ in node.inputs if index < self._count)

    def results(self, colours: Sequence[Colour]) -> list[Colour]:
        """Return the sorted colours of the program's results, where its variables have these colours."""
        forward, _ = forward_colours(self._nodes, self._own, colours)
        return sorted(forward[index] for index in self._results)

    def stable(self, colours: Sequence[Colour]) -> list[Colour]:
        """Refine until no class of variables splits any more."""
        current = list(colours)
        classes = len(set(current))
        while not self.distinct(current):
            current = self._once(current)
            if len(set(current)) == classes:
                break
            classes = len(set(current))
        return current

    def distinct(self, colours: Sequence[Colour]) -> bool:
        """Whether all used variables have a colour of their own."""
        used = [colours[index] for index in self.used]
        return len(set(used)) == len(used)

    def tied(self, colours: Sequence[Colour]) -> list[list[int]]:
        """Return the classes of several used variables, in an order that depends on colours alone."""
        members: dict[Colour, list[int]] = {}
        for index in sorted(self.used):
            members.setdefault(colours[index], []).append(index)
        return [members[colour] for colour in sorted(members) if len(members[colour]) > 1]

    def _once(self, colours: Sequence[Colour]) -> list[Colour]:
        forward, arranged = forward_colours(self._nodes, self._own, colours)
        upward = self._upward(forward, arranged)
        return [digest(colours[i], upward[i]) for i in range(self._count)]

    def _upward(self, forward: Sequence[Colour], arranged: Sequence[tuple[Ref, ...]]) -> list[Colour]:
        """Colour each node by all that is computed from it."""
        uses: list[list[bytes]] = [[] for _ in self._nodes]
        upward: list[Colour] = [b""] * len(self._nodes)
        for index in range(len(self._nodes) - 1, -1, -1):
            seen = uses[index]
            seen.sort()
            upward[index] = digest(*seen)
            me = forward[index] + upward[index]
            ordered = not self._symmetric[index]
            for position, (source, output) in enumerate(arranged[index]):
                place = f"{output} {position if ordered else 0} ".encode()
                uses[source].append(place + me)
        return upward


@dataclass(frozen=True)
class Numbering:
    """A canonical order of the variables, the content digest it gives, and whether no tie was broken."""

    order: tuple[int, ...]
    content: bytes
    unique: bool


def number(refiner: Refiner) -> Numbering:
    """Order the variables canonically.

    While some are tied, the first of a tied class is singled out and the rest refined. Where the tied ones
    are interchangeable it is all the same which one is taken. Where they are not, two orders of building may
    get two fingerprints, which costs a search or a proof, never its truth.
    """
    colours = refiner.stable(refiner.kinds)
    ties = refiner.tied(colours)
    unique = not ties
    budget = COLOURED_NODES
    while ties and budget > 0:
        chosen = ties[0][0]
        colours = refiner.stable(_marked(colours, chosen, digest(colours[chosen], b"chosen")))
        ties = refiner.tied(colours)
        budget -= refiner.size
    final = break_ties(colours, ties)
    content = digest(*sorted(final), b"|", *refiner.results(final))
    order = sorted(range(len(final)), key=lambda index: (final[index], index))
    return Numbering(tuple(order), content, unique)


def break_ties(colours: Sequence[Colour], ties: Sequence[Sequence[int]]) -> list[Colour]:
    """Give the members of each tied class colours of their own, by position."""
    broken = list(colours)
    for members in ties:
        for rank, index in enumerate(members):
            broken[index] = digest(colours[index], str(rank).encode())
    return broken


def refiner_of(program: Program) -> Refiner:
    """Return the refiner of a program."""
    return Refiner(program.nodes, program.variables, program.results)


def search(
    reference: Refiner, candidate: Refiner, told: tuple[Sequence[str], Sequence[str]] | None = None
) -> list[tuple[int, int]] | None:
    """Find an order of tied variables under which two programs have equal results.

    One tied variable of the reference is singled out, and each of the candidate's in its class tried as its
    counterpart, refining after each choice.

    Args:
        reference: the refiner of the reference's program.
        candidate: that of the candidate's.
        told: texts that tell the first variables of both programs apart; corresponding ones have the same.

    Returns:
        Pairs of corresponding used variables, ``None`` where there are none or the search took too long.
    """
    budget = COLOURED_NODES
    kinds = reference.kinds, candidate.kinds
    if told is not None:
        kinds = _told_apart(kinds[0], told[0]), _told_apart(kinds[1], told[1])
    waiting = [(reference.stable(kinds[0]), candidate.stable(kinds[1]))]
    while waiting and budget > 0:
        ours, theirs = waiting.pop()
        if Counter(ours) != Counter(theirs):
            continue
        ties = reference.tied(ours)
        if not ties:
            by_colour = {theirs[index]: index for index in candidate.used}
            return [(index, by_colour[ours[index]]) for index in sorted(reference.used)]
        chosen = ties[0][0]
        mark = digest(ours[chosen], b"chosen")
        marked = reference.stable(_marked(ours, chosen, mark))
        for index in reversed([i for i in sorted(candidate.used) if theirs[i] == ours[chosen]]):
            waiting.append((marked, candidate.stable(_marked(theirs, index, mark))))
            budget -= candidate.size
    return None


def _told_apart(colours: Sequence[Colour], texts: Sequence[str]) -> list[Colour]:
    untold = [""] * (len(colours) - len(texts))
    return [digest(one, text.encode()) for one, text in zip(colours, [*texts, *untold], strict=True)]


def _marked(colours: Sequence[Colour], index: int, mark: Colour) -> list[Colour]:
    return [mark if i == index else colour for i, colour in enumerate(colours)]
