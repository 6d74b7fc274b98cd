"""The best correspondence of two layer graphs that are not isomorphic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pytest_kerasequiv.layers.colours import Colours, consumers_of
from pytest_kerasequiv.layers.layer_graph import LayerGraph, LayerNode, depth_first_order

SAME_LABEL = 8.0
SAME_KIND = 2.0
EQUAL_FIELDS = 2.0  # shared out over the equal fields of a layer of the same kind
NEIGHBOUR = 1.5  # for each side, sources and consumers, on which the nodes meet paired nodes
LARGEST_TABLE = 160_000  # cells of the alignment's table; beyond it, runs of equal tokens are aligned first


@dataclass(frozen=True)
class Alignment:
    """A correspondence of two graphs that are not isomorphic.

    Attributes:
        pairing: node of the reference -> node of the candidate.
        told: nodes of the reference whose partner is certain: what it is computed from, or what is computed
            from it, is the same and occurs once on each side.
    """

    pairing: dict[int, int]
    told: frozenset[int]


def align(reference: LayerGraph, candidate: LayerGraph, ours: Colours, theirs: Colours) -> Alignment:
    """Pair as many nodes as have a counterpart.

    What is computed from the same past is paired from the inputs on, what leads to the same future from
    the outputs back. Between these, pairs spread along equal edges, and the rest is aligned as a sequence,
    in which equal nodes count more than nodes of the same class, and these more than gaps.
    """
    state = _Alignment(reference, candidate)
    for index, other in zip(reference.inputs, candidate.inputs, strict=False):
        state.pair(index, other)
    state.pair_unique(ours.past, theirs.past)
    state.pair_unique(ours.future, theirs.future)
    told = frozenset(state.pairing)
    state.spread(ours.label, theirs.label)
    state.sequence(ours.label, theirs.label)
    state.spread(ours.label, theirs.label)
    state.spread(*state.kinds)
    state.replaced()
    return Alignment(state.pairing, told)


class _Alignment:
    """A pairing that grows."""

    def __init__(self, reference: LayerGraph, candidate: LayerGraph) -> None:
        self.reference = reference
        self.candidate = candidate
        self.pairing: dict[int, int] = {}
        self._taken: set[int] = set()
        self._readers = consumers_of(reference), consumers_of(candidate)
        self.kinds = [node.kind for node in reference.nodes], [node.kind for node in candidate.nodes]
        self._orders = depth_first(reference), depth_first(candidate)

    def pair(self, index: int, other: int) -> bool:
        """Pair two nodes unless one of them has a partner already."""
        if index in self.pairing or other in self._taken:
            return False
        self.pairing[index] = other
        self._taken.add(other)
        return True

    def left(self) -> tuple[list[int], list[int]]:
        """Return the nodes without a partner of both sides, in depth-first order."""
        mine = [index for index in self._orders[0] if index not in self.pairing]
        return mine, [other for other in self._orders[1] if other not in self._taken]

    def pair_unique(self, ours: Sequence[int], theirs: Sequence[int]) -> None:
        """Pair nodes by a colour that occurs once on each side."""
        counts, other_counts = Counter(ours), Counter(theirs)
        where = {number: index for index, number in enumerate(theirs)}
        for index, number in enumerate(ours):
            if counts[number] == 1 and other_counts[number] == 1:
                self.pair(index, where[number])

    def spread(self, ours: Sequence[object], theirs: Sequence[object]) -> None:
        """Pair neighbours of pairs, as long as slot and token agree."""
        waiting = list(self.pairing.items())
        while waiting:
            index, other = waiting.pop()
            for near, far in self._neighbours(index, other):
                if ours[near] == theirs[far] and self.pair(near, far):
                    waiting.append((near, far))

    def _neighbours(self, index: int, other: int) -> Iterable[tuple[int, int]]:
        mine, its = self.reference.nodes[index], self.candidate.nodes[other]
        for edge in mine.inputs:
            for far in its.inputs:
                if (mine.comparable_slot(edge), edge.output) == (its.comparable_slot(far), far.output):
                    yield edge.source, far.source
        for reader, output, slot in self._readers[0][index]:
            for far_reader, far_output, far_slot in self._readers[1][other]:
                if (output, slot) == (far_output, far_slot):
                    yield reader, far_reader

    def sequence(self, ours: Sequence[int], theirs: Sequence[int]) -> None:
        """Align what is left as two sequences, in depth-first order."""
        for tokens in ((ours, theirs), self.kinds):
            left, right = self.left()
            if len(left) * len(right) > LARGEST_TABLE:
                _align_runs(self, *tokens)
        left, right = self.left()
        if len(left) * len(right) > LARGEST_TABLE:
            return
        score = [[self._score(index, other, ours, theirs) for other in right] for index in left]
        for row, column in best_path(score):
            self.pair(left[row], right[column])

    def _score(self, index: int, other: int, ours: Sequence[int], theirs: Sequence[int]) -> float:
        mine, its = self.reference.nodes[index], self.candidate.nodes[other]
        if mine.kind != its.kind:
            return 0.0
        own = SAME_LABEL if ours[index] == theirs[other] else SAME_KIND + EQUAL_FIELDS * likeness(mine, its)
        return own + NEIGHBOUR * (self._meet_above(index, other) + self._meet_below(index, other))

    def _meet_above(self, index: int, other: int) -> bool:
        sources = {edge.source for edge in self.candidate.nodes[other].inputs}
        return any(self.pairing.get(edge.source) in sources for edge in self.reference.nodes[index].inputs)

    def _meet_below(self, index: int, other: int) -> bool:
        readers = {reader for reader, _, _ in self._readers[1][other]}
        return any(self.pairing.get(reader) in readers for reader, _, _ in self._readers[0][index])

    def replaced(self) -> None:
        """Pair nodes of different classes that stand in the same place: one layer was replaced by another."""
        right = [other for other in self._orders[1] if other not in self._taken]
        for index in self._orders[0]:
            if index in self.pairing:
                continue
            for other in right:
                if (
                    other not in self._taken
                    and self._meet_above(index, other)
                    and self._meet_below(index, other)
                ):
                    self.pair(index, other)
                    break


def likeness(mine: LayerNode, its: LayerNode) -> float:
    """Return the share of equal fields of two layers, 0 to 1."""
    names = mine.config.keys() | its.config.keys()
    equal = sum(name in mine.config and mine.config[name] == its.config.get(name) for name in names)
    return equal / len(names) if names else 1.0


def best_path(score: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return the pairs (row, column) of a global alignment of largest score; a score of 0 is never a pair."""
    if not score or not score[0]:
        return []
    rows, columns = len(score), len(score[0])
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        row, below, here = score[i], best[i + 1], best[i]
        for j in range(columns - 1, -1, -1):
            gap = max(below[j], here[j + 1])
            here[j] = max(gap, below[j + 1] + row[j]) if row[j] > 0 else gap
    return list(_walk_back(score, best))


def _walk_back(
    score: Sequence[Sequence[float]], best: Sequence[Sequence[float]]
) -> Iterable[tuple[int, int]]:
    i = j = 0
    while i < len(score) and j < len(score[0]):
        if score[i][j] > 0 and best[i][j] == best[i + 1][j + 1] + score[i][j]:
            yield i, j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1


def _align_runs(state: _Alignment, ours: Sequence[object], theirs: Sequence[object]) -> None:
    """Pair runs of equal tokens: coarse, for what is too large for a table."""
    left, right = state.left()
    tokens = [ours[index] for index in left], [theirs[other] for other in right]
    for block in SequenceMatcher(None, *tokens, autojunk=False).get_matching_blocks():
        for step in range(block.size):
            state.pair(left[block.a + step], right[block.b + step])


def depth_first(graph: LayerGraph) -> list[int]:
    """Return a topological order in which each branch stays together."""
    roots = [edge.source for edge in graph.outputs] + list(range(len(graph.nodes)))
    return depth_first_order(roots, lambda index: [edge.source for edge in graph.nodes[index].inputs])
