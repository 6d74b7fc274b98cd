"""One difference of two layer graphs, and two graphs with which of their nodes correspond."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pytest_kerasequiv.layers.layer_graph import Edge, LayerGraph, LayerNode


@dataclass(frozen=True)
class Edit:
    """One difference of two layer graphs.

    Attributes:
        reference_layer: path of the layer in the reference, ``None`` where it has none.
        candidate_layer: the same for the candidate.
        field: the changed field of the config, or ``"class"``, ``"inputs"``, ``"layer"``, ``"sharing"``,
            ``"outputs"``.
        reference: the reference's value, canonical.
        candidate: the candidate's value.
        message: the difference as one sentence.
        reference_node: index of the node in the reference's graph as it was read.
        candidate_node: the same for the candidate.
    """

    reference_layer: str | None
    candidate_layer: str | None
    field: str
    reference: Any
    candidate: Any
    message: str
    reference_node: int | None = None
    candidate_node: int | None = None


@dataclass(frozen=True)
class Paired:
    """Two graphs, perhaps rewritten, and which of their nodes correspond.

    Attributes:
        reference: the reference's graph.
        candidate: the candidate's.
        pairing: node of the reference -> node of the candidate.
        as_read: the graphs before rewriting, in whose words the edits are told.
    """

    reference: LayerGraph
    candidate: LayerGraph
    pairing: Mapping[int, int]
    as_read: tuple[LayerGraph, LayerGraph]

    @cached_property
    def back(self) -> dict[int, int]:
        """Node of the candidate -> node of the reference."""
        return {other: index for index, other in self.pairing.items()}

    def pairs(self) -> Iterator[tuple[int, int, LayerNode, LayerNode]]:
        """Yield the pairs with their nodes, in the order of the reference."""
        for index, other in sorted(self.pairing.items()):
            yield index, other, self.reference.nodes[index], self.candidate.nodes[other]

    def read(self, node: LayerNode, side: int) -> LayerNode:
        """Return a node as it was before rewriting."""
        nodes = self.as_read[side].nodes
        return nodes[node.home] if 0 <= node.home < len(nodes) else node

    def resolve(self, edge: Edge, side: int) -> tuple[int, int]:
        """Return the nearest paired node (or input) that a tensor comes from, and which output."""
        graph, partners = ((self.reference, self.pairing), (self.candidate, self.back))[side]
        source, output = edge.source, edge.output
        while source not in partners and graph.nodes[source].inputs:
            first = graph.nodes[source].inputs[0]
            source, output = first.source, first.output
        return source, output


def sources(graph: LayerGraph, node: LayerNode, *, masks: bool = False) -> list[str]:
    """Return the paths of the layers that a node reads; what computes its masks only where ``masks``.

    Of a layer that makes several tensors, it is said which.
    """
    edges = [edge for edge in node.inputs if masks or not is_mask(edge.slot)]
    return [_source(graph.nodes[edge.source], edge.output) for edge in edges]


def _source(node: LayerNode, output: int) -> str:
    return f"{node.path} (output {output})" if len(node.outputs) > 1 else node.path


def both(mine: LayerNode, its: LayerNode) -> str:
    """Name two layers that correspond."""
    return mine.path if mine.path == its.path else f"{mine.path} / {its.path}"


def is_mask(slot: str) -> bool:
    """Tell whether a slot of a layer takes a mask."""
    return slot.startswith("mask of ") or slot.split(".", maxsplit=1)[0].endswith("mask")
