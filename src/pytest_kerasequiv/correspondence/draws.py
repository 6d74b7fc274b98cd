"""The random draws of a traced training pass: where each is made, from which seed, and which correspond."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_kerasequiv.program.node_colours import digest, forward_colours
from pytest_kerasequiv.program.nodes import Node, Program

DRAWING = (
    "StatelessRandomUniform",
    "StatelessRandomNormal",
    "StatelessTruncatedNormal",
    "StatelessRandomBinomial",
    "StatelessRandomGamma",
    "StatelessRandomPoisson",
    "StatelessMultinomial",
    "StatelessParameterizedTruncatedNormal",
)
"""How the operations that draw begin."""


SCALING = ("AddV2", "Mul")
"""What `keras.random.uniform` does to numbers between 0 and 1 to give them a range."""


@dataclass(frozen=True)
class Draw:
    """One operation that draws random numbers.

    Attributes:
        operation: its name.
        place: colour of all that leads to it: the tensor that it is shaped like is among that.
        seeds: indices of the seed states it depends on.
        rate: where the numbers are compared with one constant, as Dropout does, that constant; else ``None``.
    """

    operation: str
    place: bytes
    seeds: tuple[int, ...]
    rate: str | None


def draws_of(program: Program) -> tuple[Draw, ...]:
    """Return the draws of a traced training pass, in the order of the trace; none where it was not traced."""
    nodes = program.nodes
    kinds = [digest(repr((v.shape, v.trainable, v.seed)).encode()) for v in program.variables]
    places, _ = forward_colours(nodes, [digest(node.op.encode()) for node in nodes], kinds)
    seeds = _seeds(program)
    rates = _rates(nodes)
    return tuple(
        Draw(node.op, places[at], seeds[at], rates.get(at))
        for at, node in enumerate(nodes)
        if node.part == "training" and node.op.startswith(DRAWING)
    )


def correspond(ours: Sequence[Draw], theirs: Sequence[Draw], pairs: Sequence[tuple[int, int]]) -> bool:
    """Tell whether each draw has one partner for certain: at the same place, from corresponding seeds."""
    if Counter((d.operation, d.place) for d in ours) != Counter((d.operation, d.place) for d in theirs):
        return False
    by_place = {(draw.operation, draw.place): draw for draw in theirs}
    partner = dict(pairs)
    return len(by_place) == len(ours) and all(
        {partner.get(seed) for seed in draw.seeds} == {*by_place[draw.operation, draw.place].seeds}
        for draw in ours
    )


def other_rates(ours: Sequence[Draw], theirs: Sequence[Draw]) -> bool:
    """Tell whether all draws are those of Dropout, and the rates on one side are not those on the other."""
    rates = [{draw.rate for draw in side} for side in (ours, theirs)]
    return None not in rates[0] | rates[1] and rates[0] != rates[1]


def seed_pairs(ours: Sequence[Draw], theirs: Sequence[Draw]) -> list[tuple[int, int]]:
    """Pair the seed states of draws at the same place, first come, first served."""
    waiting = list(theirs)
    found: dict[int, int] = {}
    for draw in ours:
        places = (draw.operation, draw.place)
        other = next((one for one in waiting if (one.operation, one.place) == places), None)
        if other is None:
            continue
        waiting.remove(other)
        new = [seed for seed in draw.seeds if seed not in found]  # what led to the draw drew before it
        its = [seed for seed in other.seeds if seed not in found.values()]
        found.update(zip(new, its, strict=False))
    return sorted(found.items())


def _seeds(program: Program) -> list[tuple[int, ...]]:
    """Return for each node the seed states it depends on."""
    known = {index for index, variable in enumerate(program.variables) if variable.seed}
    held: list[frozenset[int]] = []
    for index, node in enumerate(program.nodes):
        above = [held[source] for source, _ in node.inputs]
        held.append(frozenset({index} & known).union(*above))
    return [tuple(sorted(seeds)) for seeds in held]


def _rates(nodes: Sequence[Node]) -> dict[int, str]:
    """Return for each draw of uniform numbers the constant that these, scaled or not, are compared with."""
    found = {}
    for node in nodes:
        if node.op == "GreaterEqual" and nodes[node.inputs[1][0]].op == "Const":
            source = node.inputs[0][0]
            while nodes[source].op in SCALING:
                source = nodes[source].inputs[0][0]
            found[source] = dict(nodes[node.inputs[1][0]].attributes).get("value", "")
    return found
