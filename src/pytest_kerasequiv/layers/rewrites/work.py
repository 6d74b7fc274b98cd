"""A layer graph that can be rewritten in place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.layers.layer_graph import Edge, LayerGraph, LayerNode, depth_first_order


class Work:
    """The nodes of a layer graph by number, who reads whom, and the changes that rules make.

    A rule that changes a node records its name there; what it records at a node that is taken out moves on
    to the node whose tensor takes its place.
    """

    def __init__(self, graph: LayerGraph) -> None:
        self._graph = graph
        self.nodes: dict[int, LayerNode] = dict(enumerate(graph.nodes))
        self.outputs: list[Edge] = list(graph.outputs)
        self._readers: dict[int, set[int]] = defaultdict(set)
        self._next = len(self.nodes)
        self.dead: list[LayerNode] = []
        self._calls: dict[int, list[int]] = defaultdict(list)
        for index, node in self.nodes.items():
            self._read(index, node)
            self._calls[node.layer].append(index)

    def readers(self, index: int) -> list[int]:
        """Return the nodes that read from a node."""
        return sorted(self._readers[index])

    def calls(self, layer: int) -> list[int]:
        """Return the nodes that are calls of a layer."""
        own = self._calls.get(layer, ())
        return [index for index in own if index in self.nodes and self.nodes[index].layer == layer]

    def is_returned(self, index: int) -> bool:
        """Tell whether the model returns an output of a node."""
        return any(edge.source == index for edge in self.outputs)

    def spec(self, edge: Edge) -> tuple[tuple[int | None, ...], str]:
        """Return shape and dtype of a tensor."""
        return self.nodes[edge.source].outputs[edge.output]

    def change(self, index: int, rule: str, **changes: Any) -> None:
        """Replace fields of a node and record the rule."""
        old = self.nodes[index]
        for edge in old.inputs:
            self._readers[edge.source].discard(index)
        used = (*old.rewrites, (rule, old.path, _before(old, changes)))
        self.nodes[index] = replace(old, **{"rewrites": used, **changes})
        self._read(index, self.nodes[index])

    def set(self, index: int, **changes: Any) -> None:
        """Replace fields of a node without recording a rule: only the way of writing it changes."""
        self.change(index, "", **{"rewrites": self.nodes[index].rewrites, **changes})

    def note(self, index: int, rule: str, beside: LayerNode) -> None:
        """Record at a node that a rule was applied to a node beside it."""
        node = self.nodes[index]
        used = (*node.rewrites, (rule, beside.path, beside.label))
        self.nodes[index] = replace(node, rewrites=used)

    def put_before(self, index: int, inner: LayerNode, slot: str = "inputs") -> int:
        """Put a new node in front of a node: it reads what that one read, which now reads the new node."""
        new = self._next
        self._next += 1
        self.nodes[new] = replace(inner, inputs=self.nodes[index].inputs)
        self._read(new, self.nodes[new])
        for edge in self.nodes[index].inputs:
            self._readers[edge.source].discard(index)
        self.nodes[index] = replace(self.nodes[index], inputs=(Edge(new, 0, slot),))
        self._read(index, self.nodes[index])
        return new

    def bypass(self, index: int, rule: str) -> None:
        """Take out a node that returns its first input as it is."""
        node = self.nodes.pop(index)
        edge = node.inputs[0]
        for other in node.inputs:
            self._readers[other.source].discard(index)
        for reader in self.readers(index):
            old = self.nodes[reader]
            moved = tuple(replace(edge, slot=own.slot) if own.source == index else own for own in old.inputs)
            self.nodes[reader] = replace(old, inputs=moved)
            self._read(reader, self.nodes[reader])
        del self._readers[index]
        self.outputs = [replace(edge, slot=own.slot) if own.source == index else own for own in self.outputs]
        source = self.nodes[edge.source]
        used = (*source.rewrites, *node.rewrites, (rule, node.path, node.label))
        self.nodes[edge.source] = replace(source, rewrites=used)

    def drop(self, indices: Iterable[int]) -> None:
        """Take out nodes that nothing else reads."""
        for index in indices:
            node = self.nodes.pop(index)
            for edge in node.inputs:
                self._readers[edge.source].discard(index)

    def finished(self) -> LayerGraph:
        """Return the graph as it is now, its nodes in a topological order."""
        order = depth_first_order(
            sorted(self.nodes), lambda index: [edge.source for edge in self.nodes[index].inputs]
        )
        place = {index: number for number, index in enumerate(order)}
        return replace(
            self._graph,
            nodes=tuple(
                replace(node, inputs=tuple(replace(e, source=place[e.source]) for e in node.inputs))
                for node in (self.nodes[index] for index in order)
            ),
            inputs=tuple(place[index] for index in self._graph.inputs),
            outputs=tuple(replace(edge, source=place[edge.source]) for edge in self.outputs),
        )

    def _read(self, index: int, node: LayerNode) -> None:
        for edge in node.inputs:
            self._readers[edge.source].add(index)


def _before(node: LayerNode, changes: dict[str, Any]) -> str:
    """Return what a rule changes of a node, as it was: all of it, or the fields of the config alone."""
    if set(changes) != {"config"}:
        return node.label
    changed = {name: value for name, value in node.config.items() if changes["config"].get(name) != value}
    return repr(sorted(changed.items()))


def is_call_of(node: LayerNode, *kinds: str) -> bool:
    """Tell whether a node is a call of one of these Keras classes, not of a user's class of that name."""
    return node.kind in kinds and not has_code(node)


def has_code(node: LayerNode) -> bool:
    """Tell whether a node computes with code of the user's."""
    return any(name == "code" or name.endswith(".code") for name in node.config)


def without(config: Any, *names: str) -> dict[str, Any]:
    """Return a config without some fields."""
    return {name: value for name, value in config.items() if name not in names}


def mask_edges(node: LayerNode) -> list[Edge]:
    """Return the masks that a call reads."""
    return [edge for edge in node.inputs if "mask" in edge.slot]
