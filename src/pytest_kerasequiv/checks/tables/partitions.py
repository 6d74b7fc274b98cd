"""Which variables start equal, and which random draws are equal: the same ones on both sides?

One initialiser object in two layers, one seed given twice, a kernel copied into another: these variables
start equal under every seed. Two ``Dropout(seed=7)`` of one model draw one mask. No check of one variable at
a time can see that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import networkx as nx
import numpy as np

from pytest_kerasequiv.building.starts import Start
from pytest_kerasequiv.checks.tables.fresh_starts import Side
from pytest_kerasequiv.checks.tables.initial_values import MappedPair, VariableFacts
from pytest_kerasequiv.verdict import Finding

Labels = dict[int, Hashable]
"""Number of a variable -> what those that are equal to it share."""


def equal_starts(reference: Side, candidate: Side, pairs: Sequence[MappedPair]) -> Iterator[Finding]:
    """Return a finding for each group of weights that start equal on one side only."""
    ours = _start_labels(reference, [index for index, _ in pairs])
    theirs = _start_labels(candidate, [other for _, other in pairs])
    for group, side in _split_groups(pairs, ours, theirs):
        starts = [reference.starts[i] if side == "reference" else candidate.starts[j] for i, j in group]
        yield _finding(
            (reference.facts, candidate.facts), group, side, f"start equal in the {side} only{_why(starts)}"
        )


def equal_draws(
    facts: tuple[Sequence[VariableFacts], Sequence[VariableFacts]],
    values: tuple[Sequence[Any], Sequence[Any]],
    pairs: Sequence[MappedPair],
) -> Iterator[Finding]:
    """Return a finding for each group of seed generators that draw the same numbers on one side only."""
    ours = {index: values[0][index].tobytes() for index, _ in pairs}
    theirs = {other: values[1][other].tobytes() for _, other in pairs}
    for names, side in _split_groups(pairs, ours, theirs):
        yield _finding(
            facts, names, side, f"draw the same random numbers in the {side} only: one seed for all"
        )


def _start_labels(side: Side, indices: Sequence[int]) -> Labels:
    """Join the variables that hold the same draw: of one seed and distribution, or equal bit by bit."""
    alike: nx.Graph[Any] = nx.Graph()
    random = [index for index in indices if _may_be_drawn(side, index)]
    alike.add_nodes_from(random)
    for index in random:
        start = side.starts[index]
        if start.seed is not None:
            alike.add_edge(index, ("seed", start.seed, repr(start.settings)))
    for index, content in _contents(side, random):
        alike.add_edge(index, content)
    joined = enumerate(nx.connected_components(alike))
    return {index: label for label, group in joined for index in group if isinstance(index, int)}


def _may_be_drawn(side: Side, index: int) -> bool:
    """Whether a variable is drawn, or nothing has told yet that it is not."""
    if side.explained(index):
        return side.starts[index].origin in {"drawn", "seeded"}
    value = side.values[index]
    return not side.known_constant(index) and bool(value.size) and bool(np.any(value != value.flat[0]))


def _contents(side: Side, indices: Iterable[int]) -> Iterator[tuple[int, Hashable]]:
    """Yield what variables hold, where one of their shape did not get its values from an initialiser."""
    by_shape: dict[Any, list[int]] = defaultdict(list)
    for index in indices:
        by_shape[side.values[index].shape].append(index)
    for group in by_shape.values():
        if len(group) > 1 and not all(side.explained(index) for index in group):
            yield from ((index, ("bits", side.values[index].tobytes())) for index in group)


def _split_groups(
    pairs: Sequence[MappedPair], ours: Labels, theirs: Labels
) -> Iterator[tuple[list[MappedPair], str]]:
    """Yield pairs whose variables are equal on one side and not all on the other, and that side."""
    for side, mine, other in (("reference", 0, theirs), ("candidate", 1, ours)):
        groups: dict[Hashable, list[MappedPair]] = defaultdict(list)
        for pair in pairs:
            label = (ours, theirs)[mine].get(pair[mine])
            if label is not None:
                groups[label].append(pair)
        for group in groups.values():
            labels = [other.get(pair[1 - mine]) for pair in group]
            if len(group) > 1 and (None in labels or len(set(labels)) > 1):
                yield group, side


def _why(starts: Sequence[Start]) -> str:
    if any(start.seed is None for start in starts):
        return ", under every seed"
    if starts[0].origin == "seeded":
        return f": their initialisers have one seed ({starts[0].seed})"
    return ", under every seed: one initialiser draws them"


def _finding(
    facts: tuple[Sequence[VariableFacts], Sequence[VariableFacts]],
    pairs: Sequence[MappedPair],
    side: str,
    message: str,
) -> Finding:
    mine = 0 if side == "reference" else 1
    members = [facts[mine][pair[mine]] for pair in pairs]
    named = [f"{fact.name} of {fact.layer}" for fact in members[:4]]
    more = f" and {len(members) - 4} more" if len(members) > 4 else ""
    text = f"{', '.join(named[:-1])} and {named[-1]}{more} {message}"
    values = ("equal", "not equal") if side == "reference" else ("not equal", "equal")
    first = pairs[0]
    layers = facts[0][first[0]].layer, facts[1][first[1]].layer
    return Finding.difference("weights", "start", text, layers=layers, values=values)
