"""The layer graph of a model as plain data: what each call does, which config it has, what it reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import networkx as nx

INPUT_KIND = "InputLayer"
"""Kind of the nodes that stand for the model's inputs."""

COMMUTING_KINDS = frozenset(
    {"Add", "Multiply", "Average", "Maximum", "Minimum"}
    | {"ops.Add", "ops.Multiply", "ops.Maximum", "ops.Minimum"}
)
"""Merges whose value does not depend on the order of their inputs (beyond rounding)."""

ANY_SLOT = "*"
"""The slot of every input of a commuting merge, for comparing."""


class NoLayerGraph(Exception):  # noqa: N818 - it is an answer, not a fault
    """The model has no layer graph; the message says why."""


@dataclass(frozen=True)
class Edge:
    """One tensor that a node reads.

    Attributes:
        source: index of the node that makes the tensor.
        output: which of that node's outputs it is.
        slot: the call argument that receives it: ``"inputs"``, ``"inputs.1"``, ``"query"``, ``"mask"`` …
    """

    source: int
    output: int = 0
    slot: str = "inputs"


@dataclass(frozen=True)
class LayerNode:
    """One call of a layer or an operation.

    Attributes:
        path: Keras path of the layer, ``"functional/block1/conv"``, for readers; it is not compared.
        kind: ``"Conv1D"`` for Keras's layers, ``"ops.Add"`` for operations, the class name for the user's.
        config: what decides its behaviour, canonical and JSON-able: field -> value. No names, no seeds.
        inputs: the tensors it reads.
        outputs: shape and dtype of each tensor it makes.
        layer: number of the layer; the calls of a shared layer have the same one.
        constants: call arguments that are no tensors and not the default: slot -> value.
        variables: role inside the layer -> index in `variables_of(model)`, in a fixed order per layer.
        seeds: explicit seeds of the layer and its initialisers: field -> seed.
        described: ``False`` where the layer's configuration could not be read in full.
        home: index, in the graph as it was read, of the node that this one is or was laid open from.
        inner: ``True`` where its tensors exist only inside the layer at ``home``.
        aliases: what the user calls a field of ``config`` that a rewrite has renamed.
        part: field of the layer at ``home`` that a rewrite laid open as this node, ``"activation"``.
        rewrites: the benign rewrites that were applied here: name of the rule, path of the layer, and
            what of it the rule changed, as it was before.
    """

    path: str
    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Edge, ...] = ()
    outputs: tuple[tuple[tuple[int | None, ...], str], ...] = ()
    layer: int = -1
    constants: Mapping[str, Any] = field(default_factory=dict)
    variables: tuple[tuple[str, int], ...] = ()
    seeds: Mapping[str, Any] = field(default_factory=dict)
    described: bool = True
    home: int = -1
    inner: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    part: str = ""
    rewrites: tuple[tuple[str, str, str], ...] = ()

    @property
    def label(self) -> str:
        """Kind, config and constants as one text: equal labels, equal behaviour of the call."""
        constants = dict(self.constants)
        if self.kind in COMMUTING_KINDS:
            constants = {ANY_SLOT: sorted(map(repr, constants.values()))} if constants else {}
        return json.dumps([self.kind, self.config, constants], sort_keys=True, default=str)

    def comparable_slot(self, edge: Edge) -> str:
        """Return the slot of an input as it counts for comparing: commuting merges have one slot for all."""
        return ANY_SLOT if self.kind in COMMUTING_KINDS and edge.slot != "mask" else edge.slot


@dataclass(frozen=True)
class LayerGraph:
    """A model as a graph of calls.

    Attributes:
        name: name of the model, for readers.
        nodes: the calls, in a topological order; nested models are inlined.
        inputs: indices of the input nodes, in the order of the model's inputs.
        outputs: the tensors that the model returns; slot ``"1"`` for the second, ``"mask of 1"`` for the mask
            that it carries, which losses and metrics read.
        trainable: the model's own flag.
    """

    name: str
    nodes: tuple[LayerNode, ...]
    inputs: tuple[int, ...]
    outputs: tuple[Edge, ...]
    trainable: bool = True

    def to_networkx(self) -> nx.MultiDiGraph:
        """Return the calls as nodes (attribute ``node``) and the tensors as edges (``output``, ``slot``)."""
        graph = nx.MultiDiGraph(name=self.name)
        graph.add_nodes_from((index, {"node": node}) for index, node in enumerate(self.nodes))
        graph.add_edges_from(
            (edge.source, index, {"output": edge.output, "slot": edge.slot})
            for index, node in enumerate(self.nodes)
            for edge in node.inputs
        )
        return graph

    def to_dict(self) -> dict[str, Any]:
        """Return the graph as JSON-able data; `from_dict` reads it back."""
        return {
            "name": self.name,
            "nodes": [asdict(node) for node in self.nodes],
            "inputs": list(self.inputs),
            "outputs": [asdict(edge) for edge in self.outputs],
            "trainable": self.trainable,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerGraph:
        """Read what `to_dict` wrote, also after a round trip through JSON."""
        return cls(
            name=data["name"],
            nodes=tuple(_node_from_dict(node) for node in data["nodes"]),
            inputs=tuple(data["inputs"]),
            outputs=tuple(Edge(**edge) for edge in data["outputs"]),
            trainable=data["trainable"],
        )


def _node_from_dict(data: Mapping[str, Any]) -> LayerNode:
    return LayerNode(
        **{
            **data,
            "inputs": tuple(Edge(**edge) for edge in data["inputs"]),
            "outputs": tuple((tuple(shape), dtype) for shape, dtype in data["outputs"]),
            "variables": tuple((role, index) for role, index in data["variables"]),
            "rewrites": tuple((rule, path, before) for rule, path, before in data["rewrites"]),
        }
    )


def depth_first_order(roots: Iterable[int], sources: Callable[[int], Sequence[int]]) -> list[int]:
    """Return what can be reached from ``roots``, sources first, each branch in one piece.

    Args:
        roots: where to begin.
        sources: what a node reads, in order.
    """
    order: list[int] = []
    done: set[int] = set()
    for root in roots:
        waiting = [(root, False)]
        while waiting:  # a stack of its own: chains of calls may be longer than Python's
            index, ready = waiting.pop()
            if ready:
                order.append(index)
            elif index not in done:
                done.add(index)
                waiting.append((index, True))
                waiting += [(source, False) for source in reversed(sources(index))]
    return order
