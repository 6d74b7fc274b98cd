"""Which layers of two models correspond, and what differs where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_kerasequiv.models.alignment import align
from pytest_kerasequiv.models.colours import colour
from pytest_kerasequiv.models.edits import Edit, edits
from pytest_kerasequiv.models.isomorphism import Symmetry, isomorphism

if TYPE_CHECKING:
    from pytest_kerasequiv.models.graph import LayerGraph


@dataclass(frozen=True)
class RuleUse:
    """A benign rewrite that one side has and the other has not.

    Attributes:
        rule: name of the rule.
        side: ``"reference"`` or ``"candidate"``: where it was applied.
        layer: path of the layer.
        other_layer: path of the corresponding layer of the other side, ``None`` where there is none.
        reason: why it is benign.
    """

    rule: str
    side: str
    layer: str
    other_layer: str | None
    reason: str


@dataclass(frozen=True)
class Match:
    """How two layer graphs correspond.

    Attributes:
        isomorphic: all nodes correspond, after the benign rewrites in ``rules``.
        pairs: (node of the reference, node of the candidate) whose output tensors correspond; indices into
            the graphs as they were read.
        rules: the benign rewrites that were needed, where.
        edits: the differences, empty if isomorphic.
        variables: (index, index) of corresponding variables.
        unlike: the same for variables in the same role whose layers differ; their shapes may differ too.
        symmetries: interchangeable groups of variables: where other correspondences of variables are as good.
    """

    isomorphic: bool
    pairs: tuple[tuple[int, int], ...]
    rules: tuple[RuleUse, ...]
    edits: tuple[Edit, ...]
    variables: tuple[tuple[int, int], ...] = ()
    symmetries: tuple[Symmetry, ...] = ()


def match(reference: LayerGraph, candidate: LayerGraph) -> Match:
    """Match two layer graphs: by isomorphism, else by the best correspondence."""
    exact = isomorphism(reference, candidate)
    if exact is not None:
        return _as_match(reference, candidate, exact.pairing, (), exact.symmetries)
    pairing = align(reference, candidate, *colour([reference, candidate]))
    return _as_match(reference, candidate, pairing, edits(reference, candidate, pairing), ())


def _as_match(
    reference: LayerGraph,
    candidate: LayerGraph,
    pairing: Mapping[int, int],
    found: tuple[Edit, ...],
    symmetries: tuple[Symmetry, ...],
) -> Match:
    pairs = tuple(
        (reference.nodes[index].home, candidate.nodes[other].home)
        for index, other in sorted(pairing.items())
        if not reference.nodes[index].inner and not candidate.nodes[other].inner
    )
    variables = variables_of_pairs(reference, candidate, pairing)
    in_variables = tuple(_symmetric_variables(reference, candidate, symmetry) for symmetry in symmetries)
    return Match(not found, pairs, (), found, variables, tuple(s for s in in_variables if s[0][0]))


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
