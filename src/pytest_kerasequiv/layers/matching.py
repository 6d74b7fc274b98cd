"""Which layers of two models correspond, and what differs where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pytest_kerasequiv.layers.alignment import align
from pytest_kerasequiv.layers.colours import colour
from pytest_kerasequiv.layers.edits import edits
from pytest_kerasequiv.layers.isomorphism import Symmetry, isomorphism
from pytest_kerasequiv.layers.layer_graph import LayerGraph
from pytest_kerasequiv.layers.paired import Edit
from pytest_kerasequiv.layers.rewrites import Canonical, canonical
from pytest_kerasequiv.layers.rule_uses import RuleUse, rule_uses


@dataclass(frozen=True)
class Match:
    """How two layer graphs correspond.

    Attributes:
        isomorphic: all nodes correspond, after the benign rewrites in ``rules``.
        pairs: (node of the reference, node of the candidate) whose output tensors correspond; indices into
            the graphs as they were read.
        rules: the benign rewrites that were needed, where.
        edits: the differences, empty if isomorphic.
        variables: (index, index) of variables in the same role of layers that correspond.
        told: those of the variables, where the graphs are not isomorphic, whose layers surely correspond.
        symmetries: interchangeable parts: where another correspondence of the variables is as good.
        dead_reference: variables of the reference that no output needs, and that have no partner for it.
        dead_candidate: the same for the candidate.
    """

    isomorphic: bool
    pairs: tuple[tuple[int, int], ...]
    rules: tuple[RuleUse, ...]
    edits: tuple[Edit, ...]
    variables: tuple[tuple[int, int], ...] = ()
    told: tuple[tuple[int, int], ...] = ()
    symmetries: tuple[Symmetry, ...] = ()
    dead_reference: tuple[int, ...] = ()
    dead_candidate: tuple[int, ...] = ()


def match(reference: LayerGraph, candidate: LayerGraph) -> Match:
    """Match two layer graphs: as they are, else in canonical form, else by the best correspondence."""
    exact = isomorphism(reference, candidate)
    if exact is not None:
        as_read = Canonical(reference, ()), Canonical(candidate, ())
        return _as_match(*as_read, exact.pairing, (), exact.symmetries)
    ours, theirs = canonical(reference), canonical(candidate)
    exact = isomorphism(ours.graph, theirs.graph)
    if exact is not None:
        return _as_match(ours, theirs, exact.pairing, (), exact.symmetries)
    aligned = align(ours.graph, theirs.graph, *colour([ours.graph, theirs.graph]))
    found = edits(ours.graph, theirs.graph, aligned.pairing, as_read=(reference, candidate))
    found = found or (_unlocated(reference, candidate),)
    told = {index: aligned.pairing[index] for index in aligned.told}
    as_match = _as_match(ours, theirs, aligned.pairing, found, ())
    return replace(as_match, told=variables_of_pairs(ours.graph, theirs.graph, told))


def _as_match(
    ours: Canonical,
    theirs: Canonical,
    pairing: Mapping[int, int],
    found: tuple[Edit, ...],
    symmetries: tuple[Symmetry, ...],
) -> Match:
    reference, candidate = ours.graph, theirs.graph
    pairs = tuple(
        (reference.nodes[index].home, candidate.nodes[other].home)
        for index, other in sorted(pairing.items())
        if not reference.nodes[index].inner and not candidate.nodes[other].inner
    )
    in_variables = [_symmetric_variables(reference, candidate, symmetry) for symmetry in symmetries]
    return Match(
        isomorphic=not found,
        pairs=pairs,
        rules=rule_uses(reference, candidate, pairing, isomorphic=not found),
        edits=found,
        variables=variables_of_pairs(reference, candidate, pairing),
        symmetries=tuple(symmetry for symmetry in in_variables if symmetry[0][0]),
        dead_reference=ours.dead,
        dead_candidate=theirs.dead,
    )


def _unlocated(reference: LayerGraph, candidate: LayerGraph) -> Edit:
    """Say that two graphs are not isomorphic where no single layer shows it."""
    message = "the layers correspond one by one, but not with all connections and shared layers at once"
    return Edit(reference.name, candidate.name, "graph", None, None, message)


def variables_of_pairs(
    reference: LayerGraph, candidate: LayerGraph, pairing: Mapping[int, int]
) -> tuple[tuple[int, int], ...]:
    """Pair the variables of paired nodes by role; each variable at most once, in the order of the calls."""
    found: dict[int, int] = {}
    taken: set[int] = set()
    for index, other in sorted(pairing.items()):
        theirs = dict(candidate.nodes[other].variables)
        for role, variable in reference.nodes[index].variables:
            if role in theirs and variable not in found and theirs[role] not in taken:
                found[variable] = theirs[role]
                taken.add(theirs[role])
    return tuple(sorted(found.items()))


def _symmetric_variables(reference: LayerGraph, candidate: LayerGraph, symmetry: Symmetry) -> Symmetry:
    """Turn interchangeable nodes into interchangeable tuples of variables."""
    ours, theirs = (
        tuple(
            tuple(dict.fromkeys(variable for node in part for _, variable in graph.nodes[node].variables))
            for part in parts
        )
        for graph, parts in zip((reference, candidate), symmetry, strict=True)
    )
    return ours, theirs
