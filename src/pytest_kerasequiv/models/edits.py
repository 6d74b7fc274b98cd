"""What must be changed in the reference's layer graph to get the candidate's: a short, readable list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.configs import shown
from pytest_kerasequiv.models.edit import Edit, Paired, both, field_edit, sources
from pytest_kerasequiv.models.one_sided import layer_edits

if TYPE_CHECKING:
    from pytest_kerasequiv.models.graph import LayerGraph, LayerNode


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
    ours, theirs = sources(paired.reference, mine), sources(paired.candidate, its)
    message = f"{both(mine, its)} ({paired.read(mine, 0).kind}) reads "
    if [path.partition("/")[2] for path in ours] == [path.partition("/")[2] for path in theirs]:
        # names that agree by chance
        message += f"{ours} on both sides, but these layers correspond to others than their names say"
    else:
        message += f"{ours} in the reference and {theirs} in the candidate"
    message += ": the same tensors in another order" if reordered else ""
    return Edit(mine.path, its.path, "inputs", ours, theirs, message, mine.home, its.home)


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
