"""Isomorphism of layer graphs, consistent about shared layers."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import networkx as nx
from networkx.algorithms.isomorphism import DiGraphMatcher

from pytest_kerasequiv.layers.colours import Colours, calls_of, colour
from pytest_kerasequiv.layers.layer_graph import LayerGraph

Pairing = dict[int, int]
"""Node of the reference -> node of the candidate."""

Symmetry = tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]
"""Interchangeable parts: the reference's, the candidate's; each part's nodes in one common order."""


@dataclass(frozen=True)
class Isomorphism:
    """A one-to-one correspondence of all nodes that keeps labels, edges, shared layers, inputs and outputs.

    Attributes:
        pairing: node of the reference -> node of the candidate.
        symmetries: where other pairings are as good: groups of interchangeable parts.
    """

    pairing: Pairing
    symmetries: tuple[Symmetry, ...] = ()


def isomorphism(reference: LayerGraph, candidate: LayerGraph) -> Isomorphism | None:
    """Return an isomorphism of two layer graphs, or ``None`` where there is none.

    Nodes whose colour is unique are paired by it. What remains are symmetric parts, usually a few equal
    branches: these go to networkx's VF2, part by part, so that its cost stays small on graphs of any size.
    The pairing is checked edge by edge before it is returned.
    """
    if reference.trainable != candidate.trainable or len(reference.nodes) != len(candidate.nodes):
        return None
    ours, theirs = colour([reference, candidate])
    if Counter(ours.full) != Counter(theirs.full):
        return None
    found = _pair(reference, candidate, ours, theirs)
    if found is None or not preserves(reference, candidate, found.pairing):
        return None
    return found


def preserves(reference: LayerGraph, candidate: LayerGraph, pairing: Mapping[int, int]) -> bool:
    """Tell whether a pairing of all nodes keeps labels, edges, shared layers, inputs and outputs."""
    if len(set(pairing.values())) != len(reference.nodes) or len(reference.nodes) != len(candidate.nodes):
        return False
    outputs = tuple((pairing[edge.source], edge.output, edge.slot) for edge in reference.outputs)
    return (
        all(_same_call(reference, candidate, pairing, index) for index in range(len(reference.nodes)))
        and tuple(pairing[index] for index in reference.inputs) == candidate.inputs
        and outputs == tuple((edge.source, edge.output, edge.slot) for edge in candidate.outputs)
        and _same_sharing(reference, candidate, pairing)
    )


def _same_call(reference: LayerGraph, candidate: LayerGraph, pairing: Mapping[int, int], index: int) -> bool:
    ours, theirs = reference.nodes[index], candidate.nodes[pairing[index]]
    read = sorted((ours.comparable_slot(edge), edge.output, pairing[edge.source]) for edge in ours.inputs)
    return ours.label == theirs.label and read == sorted(
        (theirs.comparable_slot(edge), edge.output, edge.source) for edge in theirs.inputs
    )


def _same_sharing(reference: LayerGraph, candidate: LayerGraph, pairing: Mapping[int, int]) -> bool:
    ours = sorted(sorted(pairing[index] for index in group) for group in calls_of(reference))
    return ours == sorted(map(sorted, calls_of(candidate)))


def _pair(reference: LayerGraph, candidate: LayerGraph, ours: Colours, theirs: Colours) -> Isomorphism | None:
    by_colour = {number: index for index, number in enumerate(theirs.full)}
    often = {number for number, count in Counter(ours.full).items() if count > 1}
    pairing = {index: by_colour[number] for index, number in enumerate(ours.full) if number not in often}
    if not often:
        return Isomorphism(pairing)
    symmetries = _pair_parts(
        _parts(reference, ours.full, often), _parts(candidate, theirs.full, often), pairing
    )
    return None if symmetries is None else Isomorphism(pairing, symmetries)


def _parts(graph: LayerGraph, colours: Sequence[int], often: set[int]) -> dict[Any, list[nx.DiGraph]]:
    """Return the connected parts of the nodes whose colour is not unique, by the colours in them."""
    whole = _labelled(graph, colours)
    left = [index for index, number in enumerate(colours) if number in often]
    hubs = [node for node in whole if not isinstance(node, int)]
    inner = whole.subgraph([*left, *hubs])
    parts: dict[Any, list[nx.DiGraph]] = defaultdict(list)
    for nodes in nx.weakly_connected_components(inner):
        inside = sorted(inner.nodes[node]["colour"] for node in nodes)
        if any(isinstance(node, int) for node in nodes):
            parts[tuple(inside)].append(inner.subgraph(nodes).copy())
    for group in parts.values():
        group.sort(key=lambda part: min(node for node in part if isinstance(node, int)))
    return parts


def _labelled(graph: LayerGraph, colours: Sequence[int]) -> nx.DiGraph:
    """Return the calls with their colours, parallel edges merged, and a hub for each shared layer."""
    labelled = nx.DiGraph()
    labelled.add_nodes_from((index, {"colour": number}) for index, number in enumerate(colours))
    merged: dict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)
    for index, node in enumerate(graph.nodes):
        for edge in node.inputs:
            merged[edge.source, index].append((node.comparable_slot(edge), edge.output))
    labelled.add_edges_from((*ends, {"label": sorted(label)}) for ends, label in merged.items())
    for number, group in enumerate(calls_of(graph)):
        labelled.add_node(("layer", number), colour=-1)
        labelled.add_edges_from((("layer", number), index, {"label": "shared"}) for index in group)
    return labelled


def _pair_parts(
    ours: Mapping[Any, list[nx.DiGraph]], theirs: Mapping[Any, list[nx.DiGraph]], pairing: Pairing
) -> tuple[Symmetry, ...] | None:
    """Pair the symmetric parts, first come, first served; ``None`` where one finds no partner."""
    symmetries: list[Symmetry] = []
    for key, parts in ours.items():
        free = list(theirs.get(key, ()))
        chosen = []
        for part in parts:
            mapped = _first_isomorphic(part, free)
            if mapped is None:
                return None
            pairing.update(mapped)
            chosen.append((part, mapped))
        symmetries += _symmetries(chosen)
    return tuple(symmetries)


def _first_isomorphic(part: nx.DiGraph, free: list[nx.DiGraph]) -> Pairing | None:
    for place, other in enumerate(free):
        mapped = _vf2(part, other)
        if mapped is not None:
            del free[place]
            return mapped
    return None


def _symmetries(chosen: Sequence[tuple[nx.DiGraph, Pairing]]) -> list[Symmetry]:
    """Group parts that are interchangeable; list the nodes of each in the order of the group's first part."""
    groups: list[tuple[nx.DiGraph, list[tuple[int, ...]], list[tuple[int, ...]]]] = []
    for part, mapped in chosen:
        for first, ours, theirs in groups:
            own = _vf2(first, part)
            if own is not None:
                ours.append(tuple(own[node] for node in sorted(own)))
                theirs.append(tuple(mapped[node] for node in ours[-1]))
                break
        else:
            nodes = tuple(sorted(mapped))
            groups.append((part, [nodes], [tuple(mapped[node] for node in nodes)]))
    return [(tuple(ours), tuple(theirs)) for _, ours, theirs in groups if len(ours) > 1]


def _vf2(part: nx.DiGraph, other: nx.DiGraph) -> Pairing | None:
    if len(part) != len(other):
        return None
    direct = _by_colour(part, other)
    if direct is not None:
        return direct
    with _recursion_limit_kept():
        matcher = DiGraphMatcher(
            part,
            other,
            node_match=lambda a, b: a["colour"] == b["colour"],
            edge_match=lambda a, b: a["label"] == b["label"],
        )
        if not matcher.is_isomorphic():
            return None
        return {a: b for a, b in matcher.mapping.items() if isinstance(a, int)}


def _by_colour(part: nx.DiGraph, other: nx.DiGraph) -> Pairing | None:
    """Pair the nodes of two parts by colour where each colour occurs once in them: nothing to search for."""
    ours, theirs = (
        {data["colour"]: node for node, data in side.nodes(data=True) if isinstance(node, int)}
        for side in (part, other)
    )
    calls = sum(isinstance(node, int) for node in part)
    if len(ours) != calls or ours.keys() != theirs.keys():
        return None
    return {node: theirs[number] for number, node in ours.items()}


@contextmanager
def _recursion_limit_kept() -> Iterator[None]:
    """VF2 raises the interpreter's recursion limit; give it back."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
