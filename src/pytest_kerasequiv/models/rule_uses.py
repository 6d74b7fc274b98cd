"""Which benign rewrites were needed to make two layer graphs equal, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_kerasequiv.models.graph import COMMUTING_KINDS
from pytest_kerasequiv.models.rewrites import REASONS

if TYPE_CHECKING:
    from pytest_kerasequiv.models.graph import LayerGraph, LayerNode


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
    reference: LayerGraph, candidate: LayerGraph, pairing: Mapping[int, int]
) -> tuple[RuleUse, ...]:
    """List the rules that were applied on one side of a pair only; applied on both, none was needed."""
    found: list[RuleUse] = []
    nested: set[tuple[str, str]] = set()
    for index, other in sorted(pairing.items()):
        mine, its = reference.nodes[index], candidate.nodes[other]
        found += _one_sided(mine, its, "reference")
        found += _one_sided(its, mine, "candidate")
        found += _commuted(mine, its, pairing)
        found += _nested(mine, its, nested)
    return tuple(found)


def _one_sided(mine: LayerNode, its: LayerNode, side: str) -> Iterator[RuleUse]:
    matched = Counter(rule for rule, _ in its.rewrites)
    for rule, path in mine.rewrites:
        if matched[rule] > 0:
            matched[rule] -= 1
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
