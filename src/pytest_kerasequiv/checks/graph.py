"""The check `graph`: the same layers, configured alike, wired alike?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from pytest_kerasequiv.checks.pair import Correspondence, Twin
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.layers.graph_reading import layer_graph
from pytest_kerasequiv.layers.layer_graph import LayerGraph, NoLayerGraph
from pytest_kerasequiv.layers.matching import Match, match
from pytest_kerasequiv.layers.paired import Edit
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

NAME = "graph"
ALIKE = 3
"""From so many layers on that differ in the same field by the same values, they are told in one finding."""


@dataclass(frozen=True)
class GraphObservation:
    """The layer graph of one model, or why it has none."""

    graph: LayerGraph | None
    reason: str = ""


def observe(model: keras.Model) -> GraphObservation:
    """Read the layer graph of a model."""
    try:
        return GraphObservation(layer_graph(model))
    except NoLayerGraph as none:
        return GraphObservation(None, str(none))


def compare(
    reference: GraphObservation, candidate: GraphObservation, layer_match: Match | None = None
) -> CheckResult:
    """Decide whether two layer graphs are the same up to benign rewrites.

    Args:
        reference: the reference's observation.
        candidate: the candidate's.
        layer_match: the match of the two graphs, if it has been made already.
    """
    if reference.graph is None or candidate.graph is None:
        return _without_graph(reference, candidate)
    found = layer_match if layer_match is not None else match(reference.graph, candidate.graph)
    figures = figures_of(reference.graph, candidate.graph, found)
    findings = (
        *grouped(found.edits),
        *_rule_notes(found),
        *_undescribed(reference.graph, candidate.graph),
        *_seed_notes(reference.graph, candidate.graph, found),
    )
    verdict = _verdict(found, reference.graph, candidate.graph)
    evidence = None if verdict is Verdict.INCONCLUSIVE else Evidence.MEASURED
    return CheckResult(NAME, verdict, evidence, findings, figures)


def _observe(twin: Twin, _: None) -> GraphObservation:
    """Read the layer graph of a twin, once for all checks; where there is none, read why."""
    return observe(twin.model) if twin.graph is None else GraphObservation(twin.graph)


def _compare(
    reference: GraphObservation, candidate: GraphObservation, correspondence: Correspondence
) -> CheckResult:
    return compare(reference, candidate, correspondence.layers)


def figures_of(reference: LayerGraph, candidate: LayerGraph, found: Match) -> dict[str, Any]:
    """Return both graphs, what corresponds and what differs as JSON-able data, enough to draw them."""
    return {
        "isomorphic": found.isomorphic,
        "reference": _drawable(
            reference, [(e.reference_node, e.field, e.candidate_node) for e in found.edits]
        ),
        "candidate": _drawable(
            candidate, [(e.candidate_node, e.field, e.reference_node) for e in found.edits]
        ),
        "pairs": [list(pair) for pair in found.pairs],
        "rules": [
            {"rule": use.rule, "side": use.side, "layer": use.layer, "other_layer": use.other_layer}
            for use in found.rules
        ],
    }


def _drawable(graph: LayerGraph, changes: Sequence[tuple[int | None, str, int | None]]) -> dict[str, Any]:
    marks: dict[int, list[str]] = defaultdict(list)
    for node, field, _ in changes:
        if node is not None and field not in marks[node]:
            marks[node].append(field)
    nodes = [
        {
            "path": node.path,
            "kind": node.kind,
            "shape": list(node.outputs[0][0]) if node.outputs else None,
            "inputs": [[edge.source, edge.slot] for edge in node.inputs],
            "differs": marks.get(index, []),
        }
        for index, node in enumerate(graph.nodes)
    ]
    return {"name": graph.name, "nodes": nodes, "outputs": [edge.source for edge in graph.outputs]}


def _verdict(found: Match, reference: LayerGraph, candidate: LayerGraph) -> Verdict:
    if not found.isomorphic:
        return Verdict.DIFFERENT
    unread = any(not node.described for graph in (reference, candidate) for node in graph.nodes)
    return Verdict.INCONCLUSIVE if unread else Verdict.EQUIVALENT


def _without_graph(reference: GraphObservation, candidate: GraphObservation) -> CheckResult:
    findings = tuple(
        Finding.note(
            NAME, "layer graph", text, values=(reference.graph is not None, candidate.graph is not None)
        )
        for text in (f"the reference: {reference.reason}", f"the candidate: {candidate.reason}")
        if not text.endswith(": ")
    )
    return CheckResult(NAME, Verdict.INCONCLUSIVE, None, findings)


def grouped(edits: Sequence[Edit]) -> Iterator[Finding]:
    """Turn edits into findings; the same change of the same field in many layers is told once."""
    groups: dict[tuple[str, str, str], list[Edit]] = defaultdict(list)
    for edit in edits:
        groups[edit.field, repr(edit.reference), repr(edit.candidate)].append(edit)
    for group in groups.values():
        if len(group) < ALIKE or group[0].field in {"inputs", "outputs", "layer", "sharing"}:
            yield from (_finding(edit, edit.message) for edit in group)
            continue
        others = [str(edit.reference_layer or edit.candidate_layer) for edit in group[1:]]
        named = ", ".join(others[:3]) + (" and others" if len(others) > 3 else "")
        yield _finding(group[0], f"{group[0].message}; the same in {len(others)} more layers: {named}")


def _finding(edit: Edit, message: str) -> Finding:
    return Finding.difference(
        NAME,
        edit.field,
        message,
        layers=(edit.reference_layer, edit.candidate_layer),
        values=(edit.reference, edit.candidate),
    )


def _rule_notes(found: Match) -> Iterator[Finding]:
    """One note per rule: what was looked through, where, and why that is allowed."""
    uses: dict[str, list[Any]] = defaultdict(list)
    for use in found.rules:
        uses[use.rule].append(use)
    for rule, group in uses.items():
        where = ", ".join(dict.fromkeys(f"{use.layer} ({use.side})" for use in group[:4]))
        more = f" and {len(group) - 4} more" if len(group) > 4 else ""
        message = f"equivalent up to {rule} at {where}{more}: {group[0].reason.replace('``', '')}"
        ours = next((use.layer for use in group if use.side == "reference"), group[0].other_layer)
        theirs = next((use.layer for use in group if use.side == "candidate"), group[0].other_layer)
        yield Finding.note(NAME, "rewrite", message, layers=(ours, theirs), values=(rule, None))


def _undescribed(reference: LayerGraph, candidate: LayerGraph) -> Iterator[Finding]:
    for side, graph in (("reference", reference), ("candidate", candidate)):
        for node in graph.nodes:
            if not node.described:
                message = (
                    f"{node.path} ({node.kind}) of the {side} has no get_config(), so only its code and "
                    "its plain "
                    "attributes were compared; give it a get_config() that returns all arguments of its "
                    "__init__"
                )
                ours, theirs = (node.path, None) if side == "reference" else (None, node.path)
                yield Finding.note(NAME, "config", message, layers=(ours, theirs))


def _seed_notes(reference: LayerGraph, candidate: LayerGraph, found: Match) -> Iterator[Finding]:
    for index, other in found.pairs:
        mine, its = reference.nodes[index], candidate.nodes[other]
        for name in sorted(mine.seeds.keys() | its.seeds.keys()):
            ours, theirs = mine.seeds.get(name), its.seeds.get(name)
            if ours != theirs:
                message = (
                    f"{mine.path}: {name} is {ours} in the reference, {theirs} in the candidate; only a seed"
                )
                yield Finding.note(NAME, name, message, layers=(mine.path, its.path), values=(ours, theirs))


CHECK = Check(
    NAME,
    Kind.INFORMING,
    observe=_observe,
    compare=_compare,
    next_step="give both builders the layers named above alike; if the change is meant, it is another model.",
    picture="pytest_kerasequiv.reporting.pictures:draw_graphs",
)
