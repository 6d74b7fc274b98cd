"""Which benign rewrites were needed to make two layer graphs equal, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_kerasequiv.layers.layer_graph import COMMUTING_KINDS, LayerGraph, LayerNode
from pytest_kerasequiv.layers.rewrites import REASONS


@dataclass(frozen=True)
class RuleUse:
    """A benign rewrite that one side has and the other has not.

    Attributes:
        rule: name of the rule.
        side: ``"reference"`` or ``"candidate"``: where it was applied.
        layer: path of the layer.
        other_layer: path of the corresponding layer of the other side.
        reason: why it is benign.
    """

    rule: str
    side: str
    layer: str
    other_layer: str
    reason: str


def rule_uses(
    reference: LayerGraph, candidate: LayerGraph, pairing: Mapping[int, int], *, isomorphic: bool
) -> tuple[RuleUse, ...]:
    """List the rules that made a pair of nodes equal.

    A rule that was applied to the same layer on both sides was not needed; unless nothing else explains why
    the graphs are equal, as where two sums are grouped differently.
    """
    needed = tuple(_uses(reference, candidate, pairing, all_of_them=False))
    if needed or not isomorphic:
        return needed
    return tuple(_uses(reference, candidate, pairing, all_of_them=True))


def _uses(
    reference: LayerGraph, candidate: LayerGraph, pairing: Mapping[int, int], *, all_of_them: bool
) -> Iterator[RuleUse]:
    nested: set[tuple[str, str]] = set()
    for index, other in sorted(pairing.items()):
        mine, its = reference.nodes[index], candidate.nodes[other]
        if mine.label != its.label:
            continue  # no rule made these equal
        for side, own, other_side in (("reference", mine, its), ("candidate", its, mine)):
            not_needed = Counter() if all_of_them else Counter(_without_path(other_side))
            yield from _one_sided(own, other_side, side, not_needed)
        yield from _commuted(mine, its, pairing)
        yield from _nested(mine, its, nested)


def _without_path(node: LayerNode) -> list[tuple[str, str]]:
    return [(rule, before) for rule, _, before in node.rewrites]


def _one_sided(
    mine: LayerNode, its: LayerNode, side: str, not_needed: Counter[tuple[str, str]]
) -> Iterator[RuleUse]:
    for rule, path, before in mine.rewrites:
        if not_needed[rule, before] > 0:
            not_needed[rule, before] -= 1
        else:
            yield RuleUse(rule, side, path, its.path, REASONS[rule])


def _commuted(mine: LayerNode, its: LayerNode, pairing: Mapping[int, int]) -> Iterator[RuleUse]:
    if mine.kind not in COMMUTING_KINDS or mine.kind != its.kind:
        return
    ours = [(pairing.get(edge.source), edge.output) for edge in mine.inputs]
    theirs = [(edge.source, edge.output) for edge in its.inputs]
    if ours != theirs and sorted(ours, key=repr) == sorted(theirs, key=repr):
        name = "commuting merge"
        yield RuleUse(name, "candidate", its.path, mine.path, REASONS[name])


def _nested(mine: LayerNode, its: LayerNode, seen: set[tuple[str, str]]) -> Iterator[RuleUse]:
    """One use for each nested model that the other side writes out."""
    name = "nested model"
    for side, own, other in (("reference", mine, its), ("candidate", its, mine)):
        model = own.path.rsplit("/", 1)[0]
        if own.path.count("/") > 1 and other.path.count("/") == 1 and (side, model) not in seen:
            seen.add((side, model))
            yield RuleUse(name, side, model, other.path, REASONS[name])
