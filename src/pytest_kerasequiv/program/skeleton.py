"""Two programs aligned by their skeleton: operations and edges alone, without constants and attributes.

Programs of one skeleton compute the same but for the constants and attributes over which they part; which
these are, at which operation, and by how many units in the last place, is what an alignment says. It looks
at data alone: whether a parting has an effect is for numbers to show.

The results are paired by what they are, and from each pair the operations are walked upwards in lockstep. An
operation must meet the same counterpart wherever it is met. Where operands may change places, the order is
taken under which both have the same skeleton, and if that leaves a choice the same constants. There is no
search: two programs may have one skeleton and not be found so, never the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_kerasequiv.program.hidden_limits import hidden_apart
from pytest_kerasequiv.program.layer_names import enclosing_layer, layer_tree
from pytest_kerasequiv.program.limits import limits_apart, sizes_apart
from pytest_kerasequiv.program.node_colours import (
    MIRROR,
    MIRRORED,
    Colour,
    digest,
    forward_colours,
    own_colours,
    symmetric,
)
from pytest_kerasequiv.program.nodes import Node, Program, Ref
from pytest_kerasequiv.program.partings import Parting, partings_of
from pytest_kerasequiv.program.texts import texts_apart

NEAR = 6
"""Steps back over which two operands that may change places are compared."""


@dataclass(frozen=True)
class Alignment:
    """How two programs correspond.

    Attributes:
        same: whether they have one skeleton.
        partings: the constants and attributes over which they part, in the order of the reference's trace;
            where they have not one skeleton, what `limits_apart`, `sizes_apart`, `hidden_apart` and
            `texts_apart` find.
        sharp: whether float64 results may be held to float64: nothing is hidden, and no constant is rounded
            otherwise.
    """

    same: bool
    partings: tuple[Parting, ...] = ()
    sharp: bool = False


def align(reference: Program, candidate: Program) -> Alignment:
    """Align two programs, as far as they were traced: what is not provable in them may be visible."""
    partings = _all_partings(_Walk(_Side(reference), _Side(candidate)))
    if partings is None:
        finders = limits_apart, sizes_apart, hidden_apart, texts_apart
        return Alignment(False, tuple(one for find in finders for one in find(reference, candidate)))
    first = {replace(parting, part=""): parting for parting in reversed(partings)}
    provable = reference.reason is None and candidate.reason is None
    sharp = provable and not any(parting.rounds for parting in first)
    same = reference.whole and candidate.whole
    return Alignment(same, tuple(reversed(first.values())), sharp)


class _Side:
    """One program with the colours that choose between operands."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes = program.nodes
        self.tree = layer_tree(program.layers)

    @cached_property
    def bare(self) -> list[Colour]:
        """The colours of the nodes by the operations alone."""
        kinds = [digest(repr((v.shape, v.trainable, v.seed)).encode()) for v in self.program.variables]
        own = [digest(node.op.encode()) for node in self.nodes]
        return forward_colours(self.nodes, own, kinds)[0]

    @cached_property
    def full(self) -> list[Colour]:
        """The colours with constants and attributes."""
        kinds = [digest(repr(v.kind).encode()) for v in self.program.variables]
        return forward_colours(self.nodes, own_colours(self.nodes), kinds)[0]

    @cached_property
    def near(self) -> list[tuple[Colour, ...]]:
        """For each node, its colours by what it is computed from in 1, 2, … steps, constants included."""
        own = own_colours(self.nodes)
        levels = [own]
        for _ in range(NEAR):
            levels.append(
                [self._nearer(node, mine, levels[-1]) for node, mine in zip(self.nodes, own, strict=True)]
            )
        return list(zip(*levels[1:], self.full, strict=True))

    @staticmethod
    def _nearer(node: Node, own: Colour, before: Sequence[Colour]) -> Colour:
        parts = [before[source] for source, _ in node.inputs]
        return digest(own, *(sorted(parts) if symmetric(node) else parts))

    @cached_property
    def takers(self) -> dict[int, int]:
        """For each constant, the first operation that takes it."""
        found: dict[int, int] = {}
        for index, node in enumerate(self.nodes):
            for source, _ in node.inputs:
                found.setdefault(source, index)
        return found

    def layer(self, index: int) -> str | None:
        """Return the Keras path of the layer that made an operation."""
        return enclosing_layer(self.nodes, index, self.tree)

    def variable_of(self, result: int) -> int | None:
        """Return the variable that a result belongs to."""
        return next((index for index, output in self.nodes[result].inputs if output == "of"), None)


class _Walk:
    """Pairs nodes of two programs, from the results upwards."""

    def __init__(self, ours: _Side, theirs: _Side) -> None:
        self.ours, self.theirs = ours, theirs
        self.pairs: dict[int, int] = {}
        self._back: dict[int, int] = {}
        self._mirrored: set[int] = set()
        self._met: list[tuple[Ref, Ref]] = []

    def results(self) -> bool:
        """Pair all results; first those that are told by what they are, then those of paired variables."""
        ours, theirs = _by_kind(self.ours), _by_kind(self.theirs)
        if {kind: len(found) for kind, found in ours.items()} != {k: len(f) for k, f in theirs.items()}:
            return False
        ordered = sorted(ours, key=lambda kind: len(ours[kind]))
        return all(self._group(ours[kind], list(theirs[kind])) for kind in ordered)

    def _group(self, ours: Sequence[int], theirs: list[int]) -> bool:
        for one in sorted(ours, key=lambda index: self.ours.variable_of(index) not in self.pairs):
            chosen = self._counterpart(one, theirs)
            if chosen is None or not self._walk(one, chosen):
                return False
            theirs.remove(chosen)
        return True

    def _counterpart(self, one: int, theirs: Sequence[int]) -> int | None:
        """Return the other side's result that belongs to the same variable, else one of the same skeleton."""
        variable = self.ours.variable_of(one)
        if variable is not None and variable in self.pairs:
            wanted = self.pairs[variable]
            return next((other for other in theirs if self.theirs.variable_of(other) == wanted), None)
        for colours in ((self.ours.full, self.theirs.full), (self.ours.bare, self.theirs.bare)):
            found = next((other for other in theirs if colours[0][one] == colours[1][other]), None)
            if found is not None:
                return found
        return None

    def _walk(self, one: int, other: int) -> bool:
        waiting = [(one, other)]
        while waiting:
            mine, others = waiting.pop()
            if mine in self.pairs or others in self._back:
                if self.pairs.get(mine) != others:
                    return False
                continue
            if self.ours.bare[mine] != self.theirs.bare[others]:
                return False
            self.pairs[mine], self._back[others] = others, mine
            for ref, counterpart in self._operands(mine, others):
                self._met.append((ref, counterpart))
                waiting.append((ref[0], counterpart[0]))
        return True

    def _operands(self, one: int, other: int) -> list[tuple[Ref, Ref]]:
        node, counterpart = self.ours.nodes[one], self.theirs.nodes[other]
        straight = list(zip(node.inputs, counterpart.inputs, strict=True))
        if not symmetric(node):
            return straight
        crossed = list(zip(node.inputs, reversed(counterpart.inputs), strict=True))
        if self._fit(crossed) > self._fit(straight):
            if node.op == MIRRORED:
                self._mirrored.add(other)
            return crossed
        return straight

    def _fit(self, operands: Sequence[tuple[Ref, Ref]]) -> tuple[bool, int, int]:
        """Rate an order of operands: possible at all, then paired already, then by equal constants nearby."""
        possible = all(self.ours.bare[a] == self.theirs.bare[b] for (a, _), (b, _) in operands)
        known = sum(self.pairs.get(a) == b for (a, _), (b, _) in operands)
        free = all(self.pairs.get(a, b) == b and self._back.get(b, a) == a for (a, _), (b, _) in operands)
        near = [zip(self.ours.near[a], self.theirs.near[b], strict=True) for (a, _), (b, _) in operands]
        alike = sum(mine == others for levels in near for mine, others in levels)
        return possible and free, known, alike

    def outputs_agree(self) -> bool:
        """Whether all edges leave corresponding outputs."""
        return all(
            output == (MIRROR.get(theirs, theirs) if other in self._mirrored else theirs)
            for (_, output), (other, theirs) in self._met
        )


def _all_partings(walk: _Walk) -> list[Parting] | None:
    """Return all partings; ``None`` where the programs have not one skeleton."""
    if not walk.results() or not walk.outputs_agree():
        return None
    partings: list[Parting] = []
    for one, other in sorted(walk.pairs.items()):
        found = _partings(walk, one, other)
        if found is None:
            return None
        partings += found
    return partings


def _by_kind(side: _Side) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index in side.program.results:
        found.setdefault(side.nodes[index].op, []).append(index)
    return found


def _partings(walk: _Walk, one: int, other: int) -> list[Parting] | None:
    """Return the partings of two nodes; ``None`` where they call functions of different skeletons."""
    ours, theirs = walk.ours.nodes[one], walk.theirs.nodes[other]
    if ours.attributes == theirs.attributes:
        return []
    layers = walk.ours.layer(one), walk.theirs.layer(other)
    taker = walk.ours.takers.get(one)
    operation = walk.ours.nodes[taker].op if ours.op == "Const" and taker is not None else ours.op
    place = (ours.part, operation, *layers)
    return partings_of(walk.ours.program, walk.theirs.program, ours, theirs, place)
