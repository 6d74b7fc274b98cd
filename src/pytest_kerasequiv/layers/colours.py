"""Colours of the nodes of layer graphs: equal colours are a necessary sign that two nodes correspond."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_kerasequiv.layers.layer_graph import LayerGraph

Consumer = tuple[int, int, str]
"""Who reads a tensor: node, which output of the source, slot."""


class Palette:
    """Gives equal things equal numbers, over several graphs."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def __call__(self, thing: Any) -> int:
        """Return the number of ``thing``."""
        return self._numbers.setdefault(thing, len(self._numbers))


@dataclass(frozen=True)
class Colours:
    """Colours of one graph, by node.

    Attributes:
        label: kind, config and constants; of an input also its place.
        past: all that a node is computed from.
        future: all that is computed from it, and what of that the model returns.
        full: past and future and which calls share a layer, refined until stable.
    """

    label: tuple[int, ...]
    past: tuple[int, ...]
    future: tuple[int, ...]
    full: tuple[int, ...]


def colour(graphs: Sequence[LayerGraph]) -> list[Colours]:
    """Colour graphs with one palette, in time near linear in their size.

    One sweep along the calls and one against them carries a change to everything it can reach in a graph
    without cycles; then Weisfeiler-Lehman rounds over neighbours and shared layers until no class of equal
    colours splits any more.
    """
    palette = Palette()
    labels = [_labels(graph, palette) for graph in graphs]
    pasts = [_past(graph, own, palette) for graph, own in zip(graphs, labels, strict=True)]
    futures = [_future(graph, own, palette) for graph, own in zip(graphs, labels, strict=True)]
    full = [
        [palette(("both", *pair)) for pair in zip(past, future, strict=True)]
        for past, future in zip(pasts, futures, strict=True)
    ]
    full = _refine(graphs, full, palette)
    return [Colours(*map(tuple, columns)) for columns in zip(labels, pasts, futures, full, strict=True)]


def consumers_of(graph: LayerGraph) -> list[list[Consumer]]:
    """Return for each node who reads its outputs."""
    found: list[list[Consumer]] = [[] for _ in graph.nodes]
    for index, node in enumerate(graph.nodes):
        for edge in node.inputs:
            found[edge.source].append((index, edge.output, node.comparable_slot(edge)))
    return found


def calls_of(graph: LayerGraph) -> list[list[int]]:
    """Return the calls of each layer that is called more than once."""
    calls: dict[int, list[int]] = defaultdict(list)
    for index, node in enumerate(graph.nodes):
        if node.layer >= 0:
            calls[node.layer].append(index)
    return [group for group in calls.values() if len(group) > 1]


def _labels(graph: LayerGraph, palette: Palette) -> list[int]:
    """Colour the nodes by what they do; a model input also by which one it is."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, index in enumerate(graph.inputs):
        places[index].append(place)
    return [palette(("label", node.label, tuple(places[index]))) for index, node in enumerate(graph.nodes)]


def _past(graph: LayerGraph, labels: Sequence[int], palette: Palette) -> list[int]:
    past: list[int] = []
    for node, label in zip(graph.nodes, labels, strict=True):
        read = sorted((node.comparable_slot(edge), edge.output, past[edge.source]) for edge in node.inputs)
        past.append(palette(("past", label, tuple(read))))
    return past


def _future(graph: LayerGraph, labels: Sequence[int], palette: Palette) -> list[int]:
    consumers = consumers_of(graph)
    returned: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for edge in graph.outputs:
        returned[edge.source].append((edge.slot, edge.output))
    future = [0] * len(graph.nodes)
    for index in reversed(range(len(graph.nodes))):
        read = sorted((slot, output, future[reader]) for reader, output, slot in consumers[index])
        future[index] = palette(("future", labels[index], tuple(read), tuple(sorted(returned[index]))))
    return future


def _refine(graphs: Sequence[LayerGraph], colours: list[list[int]], palette: Palette) -> list[list[int]]:
    neighbours = [(consumers_of(graph), calls_of(graph)) for graph in graphs]
    while True:
        finer = [
            _round(graph, own, consumers, calls, palette)
            for graph, own, (consumers, calls) in zip(graphs, colours, neighbours, strict=True)
        ]
        if _classes(finer) == _classes(colours):
            return colours
        colours = finer


def _round(
    graph: LayerGraph,
    colours: Sequence[int],
    consumers: Sequence[Sequence[Consumer]],
    calls: Sequence[Sequence[int]],
    palette: Palette,
) -> list[int]:
    siblings: dict[int, tuple[int, ...]] = {}
    for group in calls:
        shared = tuple(sorted(colours[index] for index in group))
        siblings |= dict.fromkeys(group, shared)
    return [
        palette(
            (
                "round",
                colours[index],
                tuple(sorted((node.comparable_slot(e), e.output, colours[e.source]) for e in node.inputs)),
                tuple(sorted((slot, output, colours[reader]) for reader, output, slot in consumers[index])),
                siblings.get(index, ()),
            )
        )
        for index, node in enumerate(graph.nodes)
    ]


def _classes(colours: Sequence[Sequence[int]]) -> int:
    return len(Counter(number for own in colours for number in own))
