"""One difference of two layer graphs, and what the writers of differences share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pytest_kerasequiv.keras_access.added_settings import AS_EVER
from pytest_kerasequiv.layers.colours import consumers_of
from pytest_kerasequiv.layers.configs import value_in_words
from pytest_kerasequiv.layers.layer_graph import Edge, LayerGraph, LayerNode
from pytest_kerasequiv.layers.plain_values import shown


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


def field_edit(paired: Paired, mine: LayerNode, its: LayerNode, change: tuple[str, Any, Any]) -> Edit:
    """Tell that a field (or the class) of two layers that correspond differs."""
    name, ours, theirs = change
    called = mine.aliases.get(name, its.aliases.get(name, name))
    read = [paired.read(node, side).config for side, node in enumerate((mine, its))]
    as_read = [config.get(called, AS_EVER.get(called)) for config in read]
    if called != "class" and as_read[0] != as_read[1]:
        ours, theirs = as_read
    what = "is a" if called == "class" else f"({paired.read(mine, 0).kind}): {called} is"
    told = f"{ours} in the reference and {theirs} in the candidate"
    message = f"{both(mine, its)} {what} {told if called == 'class' else value_in_words(ours, theirs)}"
    return Edit(mine.path, its.path, called, ours, theirs, message, mine.home, its.home)


def sources(graph: LayerGraph, node: LayerNode, *, masks: bool = False) -> list[str]:
    """Return the paths of the layers that a node reads; what computes its masks only where ``masks``."""
    return [graph.nodes[edge.source].path for edge in node.inputs if masks or not _is_mask(edge.slot)]


def both(mine: LayerNode, its: LayerNode) -> str:
    """Name two layers that correspond."""
    return mine.path if mine.path == its.path else f"{mine.path} / {its.path}"


def edits(
    reference: LayerGraph,
    candidate: LayerGraph,
    pairing: Mapping[int, int],
    *,
    as_read: tuple[LayerGraph, LayerGraph] | None = None,
) -> tuple[Edit, ...]:
    """List the differences under a pairing: changed fields, rewired inputs, missing and extra layers.

    Args:
        reference: the reference's graph, perhaps rewritten.
        candidate: the candidate's.
        pairing: node of the reference -> node of the candidate.
        as_read: the graphs before rewriting, in whose words the edits are told.
    """
    paired = Paired(reference, candidate, pairing, as_read or (reference, candidate))
    return (
        *_model_edits(paired),
        *_field_edits(paired),
        *_sharing_edits(paired),
        *_input_edits(paired),
        *layer_edits(paired),
        *_output_edits(paired),
    )


def changed_fields(mine: LayerNode, its: LayerNode) -> Iterator[tuple[str, Any, Any]]:
    """Yield (field, the reference's value, the candidate's) for what differs in config and constants."""
    for ours, theirs in ((mine.config, its.config), (mine.constants, its.constants)):
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            if ours.get(name) != theirs.get(name) or (name in ours) != (name in theirs):
                yield name, ours.get(name), theirs.get(name)


def _model_edits(paired: Paired) -> Iterator[Edit]:
    ours, theirs = paired.reference.trainable, paired.candidate.trainable
    if ours != theirs:
        message = f"the model as a whole: trainable is {ours} in the reference and {theirs} in the candidate"
        yield Edit(paired.reference.name, paired.candidate.name, "trainable", ours, theirs, message)


def _field_edits(paired: Paired) -> Iterator[Edit]:
    """Changed classes and fields of layers that correspond; a shared layer is compared once."""
    seen = set()
    for index, other, mine, its in paired.pairs():
        for change in _changed(paired, mine, its):
            shared = mine.layer >= 0 and change[0] not in {*mine.constants, *its.constants}
            key = (mine.layer, its.layer, change[0]) if shared else (index, other, change[0])
            if key not in seen:
                seen.add(key)
                yield field_edit(paired, mine, its, change)


def _changed(paired: Paired, mine: LayerNode, its: LayerNode) -> Iterator[tuple[str, Any, Any]]:
    """Yield the changed fields; where a rewrite took one side only, those of the layers as they were read."""
    ours, theirs = paired.read(mine, 0), paired.read(its, 1)
    if ours.label == theirs.label:
        return  # what a rewrite made of them differs only by the shapes that they are given
    if mine.kind == its.kind:
        yield from changed_fields(mine, its)
        return
    told = [] if mine.part or its.part or ours.kind != theirs.kind else list(changed_fields(ours, theirs))
    yield from told or [("class", _kind(mine, ours), _kind(its, theirs))]


def _kind(node: LayerNode, read: LayerNode) -> str:
    """Return what a reader calls the class of a node."""
    return f"{read.kind} ({node.part} {shown(node.config.get(node.part))})" if node.part else read.kind


def _sharing_edits(paired: Paired) -> Iterator[Edit]:
    """Layers that one side calls several times where the other has several layers."""
    theirs_of: dict[int, dict[int, tuple[LayerNode, LayerNode]]] = defaultdict(dict)
    ours_of: dict[int, dict[int, tuple[LayerNode, LayerNode]]] = defaultdict(dict)
    for _, _, mine, its in paired.pairs():
        if mine.layer >= 0 and its.layer >= 0:
            theirs_of[mine.layer].setdefault(its.layer, (mine, its))
            ours_of[its.layer].setdefault(mine.layer, (mine, its))
    yield from (_sharing_edit(list(found.values()), 0) for found in theirs_of.values() if len(found) > 1)
    yield from (_sharing_edit(list(found.values()), 1) for found in ours_of.values() if len(found) > 1)


def _sharing_edit(found: list[tuple[LayerNode, LayerNode]], sharing: int) -> Edit:
    """Tell that one layer on the side ``sharing`` stands where the other side has several."""
    mine, its = found[0]
    ours = list(dict.fromkeys(pair[0].path for pair in found))
    theirs = list(dict.fromkeys(pair[1].path for pair in found))
    single, several = ("reference", "candidate") if sharing == 0 else ("candidate", "reference")
    shared, separate = (ours, theirs) if sharing == 0 else (theirs, ours)
    message = (
        f"the {single} calls one layer, {shared[0]}, where the {several} has {len(separate)}: "
        f"{', '.join(separate)}; shared against separate weights"
    )
    return Edit(mine.path, its.path, "sharing", ours, theirs, message, mine.home, its.home)


def _input_edits(paired: Paired) -> Iterator[Edit]:
    """Layers that read other tensors, unless a missing or extra layer in between explains it."""
    for _, _, mine, its in paired.pairs():
        ours = sorted(
            (mine.comparable_slot(edge), *_translated(paired, paired.resolve(edge, 0)))
            for edge in mine.inputs
        )
        theirs = sorted((its.comparable_slot(edge), *paired.resolve(edge, 1)) for edge in its.inputs)
        if ours != theirs:
            yield _input_edit(paired, mine, its, sorted(t[1:] for t in ours) == sorted(t[1:] for t in theirs))


def _translated(paired: Paired, tensor: tuple[int, int]) -> tuple[int, int]:
    return paired.pairing.get(tensor[0], -1), tensor[1]


def _input_edit(paired: Paired, mine: LayerNode, its: LayerNode, reordered: bool) -> Edit:
    masked = _reads_mask(mine), _reads_mask(its)
    if masked[0] != masked[1]:
        told = ["a mask" if one else "no mask" for one in masked]
        message = (
            f"{both(mine, its)} ({paired.read(mine, 0).kind}) reads {told[0]} in the reference and {told[1]}"
        )
        return Edit(mine.path, its.path, "mask", *masked, f"{message} in the candidate", mine.home, its.home)
    ours, theirs = sources(paired.reference, mine, masks=True), sources(paired.candidate, its, masks=True)
    message = f"{both(mine, its)} ({paired.read(mine, 0).kind}) reads "
    if [path.partition("/")[2] for path in ours] == [path.partition("/")[2] for path in theirs]:
        # names that agree by chance
        message += f"{ours} on both sides, but these layers correspond to others than their names say"
    else:
        message += f"{ours} in the reference and {theirs} in the candidate"
    if reordered:
        moved = [place for place, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other]
        message += (
            f": inputs {moved[0]} and {moved[1]} are swapped"
            if len(moved) == 2
            else ": the same tensors in another order"
        )
    return Edit(mine.path, its.path, "inputs", ours, theirs, message, mine.home, its.home)


def _reads_mask(node: LayerNode) -> bool:
    return any(_is_mask(edge.slot) for edge in node.inputs)


def _is_mask(slot: str) -> bool:
    return slot.startswith("mask of ") or slot.split(".", maxsplit=1)[0].endswith("mask")


def _output_edits(paired: Paired) -> Iterator[Edit]:
    """The model's outputs, in order, and the masks that they carry."""
    ours = {edge.slot: _translated(paired, paired.resolve(edge, 0)) for edge in paired.reference.outputs}
    theirs = {edge.slot: paired.resolve(edge, 1) for edge in paired.candidate.outputs}
    for slot in [*ours, *(slot for slot in theirs if slot not in ours)]:
        if ours.get(slot) != theirs.get(slot):
            yield _output_edit(paired, slot)


def _output_edit(paired: Paired, slot: str) -> Edit:
    ours, theirs = (
        next((graph.nodes[edge.source].path for edge in graph.outputs if edge.slot == slot), None)
        for graph in (paired.reference, paired.candidate)
    )
    what = f"output {slot}" if slot.isdigit() else f"the {slot.replace('of ', 'of output ')}"
    message = f"{what} comes from {ours} in the reference and from {theirs} in the candidate"
    field = "outputs" if slot.isdigit() else "output mask"
    return Edit(paired.reference.name, paired.candidate.name, field, ours, theirs, message)


def layer_edits(paired: Paired) -> Iterator[Edit]:
    """Tell the moved layers, then the missing and extra ones, and activations that one side has alone."""
    missing = [index for index in range(len(paired.reference.nodes)) if index not in paired.pairing]
    extra = [other for other in range(len(paired.candidate.nodes)) if other not in paired.back]
    moved = list(_moved(paired, missing, extra))
    yield from (_moved_edit(paired, index, other) for index, other in moved)
    gone, come = {index for index, _ in moved}, {other for _, other in moved}
    yield from _without_partner(paired, [index for index in missing if index not in gone], 0)
    yield from _without_partner(paired, [other for other in extra if other not in come], 1)


def _moved(paired: Paired, missing: Sequence[int], extra: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield equal layers that were left over on both sides."""
    free: dict[str, list[int]] = defaultdict(list)
    for other in extra:
        if not paired.candidate.nodes[other].part:
            free[paired.candidate.nodes[other].label].append(other)
    for index in missing:
        node = paired.reference.nodes[index]
        if not node.part and free[node.label]:
            yield index, free[node.label].pop(0)


def _moved_edit(paired: Paired, index: int, other: int) -> Edit:
    mine, its = paired.reference.nodes[index], paired.candidate.nodes[other]
    ours, theirs = sources(paired.reference, mine), sources(paired.candidate, its)
    message = (
        f"{both(mine, its)} ({paired.read(mine, 0).kind}) stands in another place: after {_list(ours)} in "
        "the "
        f"reference, after {_list(theirs)} in the candidate"
    )
    return Edit(mine.path, its.path, "inputs", ours, theirs, message, mine.home, its.home)


def _without_partner(paired: Paired, indices: Sequence[int], side: int) -> Iterator[Edit]:
    graph = (paired.reference, paired.candidate)[side]
    partners = (paired.pairing, paired.back)[side]
    wholes = {node.home: partners.get(i) for i, node in enumerate(graph.nodes) if node.inner}
    told: set[int] = set()
    for index in indices:
        node = graph.nodes[index]
        readers = [graph.nodes[reader] for reader, _, _ in consumers_of(graph)[index]]
        slots = [edge.slot for reader in readers for edge in reader.inputs if edge.source == index]
        if node.kind.startswith("ops.") and slots and all(map(_is_mask, slots)):
            continue  # what computes a mask is told where the mask is read
        partner = wholes.get(node.home)
        if node.part and partner is not None:
            yield _part_edit(paired, index, partner, side)
        elif node.home < 0 or node.home not in told:
            told.add(node.home)
            yield _one_sided_edit(paired, index, side)


def _part_edit(paired: Paired, index: int, partner: int, side: int) -> Edit:
    """One side of a pair of layers has an activation of its own, the other has none."""
    if side == 0:
        node, other = paired.reference.nodes[index], paired.candidate.nodes[partner]
        return field_edit(paired, node, other, (node.part, node.config.get(node.part), "linear"))
    node, other = paired.candidate.nodes[index], paired.reference.nodes[partner]
    return field_edit(paired, other, node, (node.part, "linear", node.config.get(node.part)))


def _one_sided_edit(paired: Paired, index: int, side: int) -> Edit:
    graph = (paired.reference, paired.candidate)[side]
    node, whose = graph.nodes[index], ("reference", "candidate")[side]
    kind = paired.read(node, side).kind
    readers = [graph.nodes[reader].path for reader, _, _ in consumers_of(graph)[index]]
    before = f" before {_list(readers)}" if readers and readers != [node.path] else ""
    message = f"only the {whose} has {node.path} ({kind}), after {_list(sources(graph, node))}{before}"
    if side == 0:
        return Edit(node.path, None, "layer", kind, None, message, node.home, None)
    return Edit(None, node.path, "layer", None, kind, message, None, node.home)


def _list(paths: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(paths)) or "nothing"
