"""What must be changed in the reference's layer graph to get the candidate's: a short, readable list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.colours import consumers_of
from pytest_kerasequiv.models.configs import shown

if TYPE_CHECKING:
    from pytest_kerasequiv.models.graph import Edge, LayerGraph, LayerNode


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


def edits(reference: LayerGraph, candidate: LayerGraph, pairing: Mapping[int, int]) -> tuple[Edit, ...]:
    """List the differences under a pairing: changed fields, rewired inputs, missing and extra layers."""
    writer = _Writer(reference, candidate, dict(pairing))
    return (
        *writer.model(),
        *writer.fields(),
        *writer.sharing(),
        *writer.inputs(),
        *writer.layers(),
        *writer.outputs(),
    )


class _Writer:
    """Writes the edits between two graphs."""

    def __init__(self, reference: LayerGraph, candidate: LayerGraph, pairing: dict[int, int]) -> None:
        self.reference = reference
        self.candidate = candidate
        self.pairing = pairing
        self._back = {other: index for index, other in pairing.items()}

    def model(self) -> Iterator[Edit]:
        """The model's own flag."""
        ours, theirs = self.reference.trainable, self.candidate.trainable
        if ours != theirs:
            message = (
                f"the model as a whole: trainable is {ours} in the reference and {theirs} in the candidate"
            )
            yield Edit(self.reference.name, self.candidate.name, "trainable", ours, theirs, message)

    def fields(self) -> Iterator[Edit]:
        """Changed classes and fields of paired layers; a shared layer is compared once."""
        seen = set()
        for index, other in sorted(self.pairing.items()):
            mine, its = self.reference.nodes[index], self.candidate.nodes[other]
            for name, ours, theirs in _changed(mine, its):
                key = (
                    (mine.layer, its.layer, name)
                    if mine.layer >= 0 and name in mine.config
                    else (index, other, name)
                )
                if key not in seen:
                    seen.add(key)
                    yield _field_edit(mine, its, name, ours, theirs)

    def sharing(self) -> Iterator[Edit]:
        """Layers that one side calls several times where the other has several layers."""
        partners: dict[int, dict[int, int]] = defaultdict(dict)
        owners: dict[int, dict[int, int]] = defaultdict(dict)
        for index, other in sorted(self.pairing.items()):
            mine, its = self.reference.nodes[index], self.candidate.nodes[other]
            if mine.layer >= 0 and its.layer >= 0:
                partners[mine.layer].setdefault(its.layer, other)
                owners[its.layer].setdefault(mine.layer, index)
        for layer, found in partners.items():
            if len(found) > 1:
                index = next(i for i, node in enumerate(self.reference.nodes) if node.layer == layer)
                paths = [self.candidate.nodes[other].path for other in found.values()]
                yield self._sharing_edit(
                    index, next(iter(found.values())), [self.reference.nodes[index].path], paths
                )
        for layer, found in owners.items():
            if len(found) > 1:
                other = next(i for i, node in enumerate(self.candidate.nodes) if node.layer == layer)
                paths = [self.reference.nodes[index].path for index in found.values()]
                yield self._sharing_edit(
                    next(iter(found.values())), other, paths, [self.candidate.nodes[other].path]
                )

    def _sharing_edit(self, index: int, other: int, ours: list[str], theirs: list[str]) -> Edit:
        mine, its = self.reference.nodes[index], self.candidate.nodes[other]
        single, several = ("reference", "candidate") if len(ours) == 1 else ("candidate", "reference")
        shared, separate = (ours[0], theirs) if len(ours) == 1 else (theirs[0], ours)
        message = (
            f"the {single} calls one layer {shared} where the {several} has {len(separate)} layers, "
            f"{', '.join(separate)}: shared against separate weights"
        )
        return Edit(mine.path, its.path, "sharing", ours, theirs, message, mine.home, its.home)

    def inputs(self) -> Iterator[Edit]:
        """Paired layers that read other tensors, unless a missing or extra layer in between explains it."""
        for index, other in sorted(self.pairing.items()):
            mine, its = self.reference.nodes[index], self.candidate.nodes[other]
            ours = self._read(self.reference, mine, self.pairing, translate=True)
            theirs = self._read(self.candidate, its, self._back, translate=False)
            if ours != theirs:
                named = [_names(self.reference, mine), _names(self.candidate, its)]
                message = (
                    f"{_both(mine, its)} reads {named[0]} in the reference and {named[1]} in the candidate"
                )
                if sorted(map(repr, ours)) != sorted(map(repr, theirs)) and sorted(
                    t[1:] for t in ours
                ) == sorted(t[1:] for t in theirs):
                    message += " (the same tensors in another order)"
                yield Edit(mine.path, its.path, "inputs", named[0], named[1], message, mine.home, its.home)

    def _read(
        self, graph: LayerGraph, node: LayerNode, partners: Mapping[int, int], *, translate: bool
    ) -> list[tuple[str, int, int]]:
        """Return (slot, candidate's source node, output) per input, looking through unpaired layers."""
        read = []
        for edge in node.inputs:
            source, output = self._resolve(graph, edge, partners)
            read.append(
                (node.comparable_slot(edge), partners.get(source, -1) if translate else source, output)
            )
        return sorted(read)

    def _resolve(self, graph: LayerGraph, edge: Edge, partners: Mapping[int, int]) -> tuple[int, int]:
        source, output = edge.source, edge.output
        while source not in partners and graph.nodes[source].inputs:
            first = graph.nodes[source].inputs[0]
            source, output = first.source, first.output
        return source, output

    def layers(self) -> Iterator[Edit]:
        """Layers that have no counterpart."""
        missing = [index for index in range(len(self.reference.nodes)) if index not in self.pairing]
        extra = [other for other in range(len(self.candidate.nodes)) if other not in self._back]
        for index in list(missing):
            mine = self.reference.nodes[index]
            twin = next((other for other in extra if self.candidate.nodes[other].label == mine.label), None)
            if twin is not None:
                missing.remove(index)
                extra.remove(twin)
                yield self._moved(index, twin)
        yield from (_one_sided(self.reference, index, "reference") for index in missing)
        yield from (_one_sided(self.candidate, other, "candidate") for other in extra)

    def _moved(self, index: int, other: int) -> Edit:
        mine, its = self.reference.nodes[index], self.candidate.nodes[other]
        ours, theirs = _names(self.reference, mine), _names(self.candidate, its)
        message = (
            f"{_both(mine, its)} ({mine.kind}) stands in another place: after {ours} in the reference, "
            f"after {theirs} in the candidate"
        )
        return Edit(mine.path, its.path, "inputs", ours, theirs, message, mine.home, its.home)

    def outputs(self) -> Iterator[Edit]:
        """The model's outputs: which tensors, in which order."""
        ours = [self._resolve(self.reference, edge, self.pairing) for edge in self.reference.outputs]
        theirs = [self._resolve(self.candidate, edge, self._back) for edge in self.candidate.outputs]
        if [(self.pairing.get(source, -1), output) for source, output in ours] != theirs:
            named = [
                [graph.nodes[edge.source].path for edge in graph.outputs]
                for graph in (self.reference, self.candidate)
            ]
            message = f"the model returns {named[0]} in the reference and {named[1]} in the candidate"
            yield Edit(self.reference.name, self.candidate.name, "outputs", named[0], named[1], message)


def _changed(mine: LayerNode, its: LayerNode) -> Iterator[tuple[str, Any, Any]]:
    if mine.kind != its.kind:
        yield "class", mine.kind, its.kind
        return
    for ours, theirs in ((mine.config, its.config), (mine.constants, its.constants)):
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            if ours.get(name) != theirs.get(name) or (name in ours) != (name in theirs):
                yield name, ours.get(name), theirs.get(name)


def _field_edit(mine: LayerNode, its: LayerNode, name: str, ours: Any, theirs: Any) -> Edit:
    called = mine.aliases.get(name, its.aliases.get(name, name))
    what = "is a" if called == "class" else f"({mine.kind}): {called} is"
    values = (ours, theirs) if called == "class" else (shown(ours), shown(theirs))
    message = f"{_both(mine, its)} {what} {values[0]} in the reference and {values[1]} in the candidate"
    return Edit(mine.path, its.path, called, ours, theirs, message, mine.home, its.home)


def _one_sided(graph: LayerGraph, index: int, side: str) -> Edit:
    node = graph.nodes[index]
    readers = [graph.nodes[reader].path for reader, _, _ in consumers_of(graph)[index]]
    before = f" before {', '.join(readers)}" if readers else ""
    message = f"only the {side} has {node.path} ({node.kind}), after {_names(graph, node)}{before}"
    if side == "reference":
        return Edit(node.path, None, "layer", node.kind, None, message, node.home, None)
    return Edit(None, node.path, "layer", None, node.kind, message, None, node.home)


def _names(graph: LayerGraph, node: LayerNode) -> list[str]:
    return [graph.nodes[edge.source].path for edge in node.inputs]


def _both(mine: LayerNode, its: LayerNode) -> str:
    return mine.path if mine.path == its.path else f"{mine.path} / {its.path}"
