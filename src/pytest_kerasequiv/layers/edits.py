"""The differences of two layer graphs under a pairing of their layers, each in one sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_kerasequiv.keras_access.added_settings import AS_EVER
from pytest_kerasequiv.layers.colours import consumers_of
from pytest_kerasequiv.layers.configs import value_in_words
from pytest_kerasequiv.layers.layer_graph import LayerGraph, LayerNode
from pytest_kerasequiv.layers.paired import Edit, Paired, both, is_mask, sources
from pytest_kerasequiv.layers.plain_values import shown
from pytest_kerasequiv.layers.shared_layers import sharing_edits


def field_edit(paired: Paired, mine: LayerNode, its: LayerNode, change: tuple[str, Any, Any]) -> Edit:
    """Tell that a field (or the class) of two layers that correspond differs."""
    name, ours, theirs = change
    called = mine.aliases.get(name, its.aliases.get(name, name))
    as_read = _values_as_read(paired, mine, its, change)
    if called != "class" and as_read[0] != as_read[1]:
        ours, theirs = as_read
    what = "is a" if called == "class" else f"({paired.read(mine, 0).kind}): {called} is"
    told = f"{ours} in the reference and {theirs} in the candidate"
    message = f"{both(mine, its)} {what} {told if called == 'class' else value_in_words(ours, theirs)}"
    return Edit(mine.path, its.path, called, ours, theirs, message, mine.home, its.home)


def _values_as_read(
    paired: Paired, mine: LayerNode, its: LayerNode, change: tuple[str, Any, Any]
) -> list[Any]:
    """Return both values as the layers state them; what one does not state, as a rewrite says it."""
    name, *rewritten = change
    found = []
    for side, node in enumerate((mine, its)):
        called = node.aliases.get(name, name)
        found.append(paired.read(node, side).config.get(called, AS_EVER.get(called, rewritten[side])))
    return found


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
    found = (
        *_model_edits(paired),
        *_field_edits(paired),
        *sharing_edits(paired),
        *_input_edits(paired),
        *layer_edits(paired),
        *_output_edits(paired),
    )
    makers = {graph.nodes[i].path for graph in (reference, candidate) for i in _makers_of_masks(graph)}
    return tuple(one for one in found if one.reference_layer not in makers) or found


def _makers_of_masks(graph: LayerGraph) -> set[int]:
    """Return the operations that make masks and nothing else: what differs is told of who has them made."""
    readers = consumers_of(graph)
    found: set[int] = set()
    for index in reversed(range(len(graph.nodes))):
        read = readers[index]
        masks = [reader in found or _reads_as_mask(graph, reader, index) for reader, _, _ in read]
        if masks and all(masks) and graph.nodes[index].kind.startswith("ops."):
            found.add(index)
    return found


def _reads_as_mask(graph: LayerGraph, reader: int, source: int) -> bool:
    return all(is_mask(edge.slot) for edge in graph.nodes[reader].inputs if edge.source == source)


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
        changes = list(changed_fields(mine, its))
        other = any(name == "activation" for name, _, _ in changes)  # each activation has settings of its own
        told = [
            one for one in changes if None not in one[1:] or not (other or _left_out(paired, mine, its, one))
        ]
        yield from told or changes
        return
    told = [] if mine.part or its.part or ours.kind != theirs.kind else list(changed_fields(ours, theirs))
    yield from told or [("class", _kind(mine, ours), _kind(its, theirs))]


def _left_out(paired: Paired, mine: LayerNode, its: LayerNode, change: tuple[str, Any, Any]) -> bool:
    """Tell whether both layers state one value, which a rewrite left out where it has no effect."""
    ours, theirs = _values_as_read(paired, mine, its, change)
    return bool(ours == theirs)


def _kind(node: LayerNode, read: LayerNode) -> str:
    """Return what a reader calls the class of a node."""
    return f"{read.kind} ({node.part} {shown(node.config.get(node.part))})" if node.part else read.kind


def _input_edits(paired: Paired) -> Iterator[Edit]:
    """Layers that read other tensors, unless a missing or extra layer in between explains it."""
    for _, _, mine, its in paired.pairs():
        ours = sorted(
            (mine.comparable_slot(edge), *_translated(paired, paired.resolve(edge, 0)))
            for edge in mine.inputs
        )
        theirs = sorted((its.comparable_slot(edge), *paired.resolve(edge, 1)) for edge in its.inputs)
        if ours != theirs and not (mine.kind != its.kind and _read_in_order(paired, mine, its)):
            yield _input_edit(paired, mine, its, sorted(t[1:] for t in ours) == sorted(t[1:] for t in theirs))


def _read_in_order(paired: Paired, mine: LayerNode, its: LayerNode) -> bool:
    """Tell whether two layers, whose arguments may be called otherwise, read the same tensors alike."""
    ours = [_translated(paired, paired.resolve(edge, 0)) for edge in mine.inputs]
    return ours == [paired.resolve(edge, 1) for edge in its.inputs]


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
    elif len(ours) != len(theirs):
        message += _unread(ours, theirs)
    return Edit(mine.path, its.path, "inputs", ours, theirs, message, mine.home, its.home)


def _unread(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Say which inputs one side alone reads, by their names within the models."""
    names = [[path.partition("/")[2] for path in paths] for paths in (ours, theirs)]
    told = []
    for side, mine, others in (("candidate", names[0], names[1]), ("reference", names[1], names[0])):
        gone = [name for name in mine if name not in others]
        told += [f"the {side} does not read {', '.join(map(repr, gone))}"] if gone else []
    return ": " + "; ".join(told) if told else ""


def _reads_mask(node: LayerNode) -> bool:
    return any(is_mask(edge.slot) for edge in node.inputs)


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
        if node.kind.startswith("ops.") and slots and all(map(is_mask, slots)):
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
    passed = _passed_by(paired, node, 1 - side)
    if passed is not None:
        return _of_a_layer_without_effect(paired, node, passed, side)
    readers = [graph.nodes[reader].path for reader, _, _ in consumers_of(graph)[index]]
    before = f" before {_list(readers)}" if readers and readers != [node.path] else ""
    message = f"only the {whose} has {node.path} ({kind}), after {_list(sources(graph, node))}{before}"
    if side == 0:
        return Edit(node.path, None, "layer", kind, None, message, node.home, None)
    return Edit(None, node.path, "layer", None, kind, message, None, node.home)


def _passed_by(paired: Paired, node: LayerNode, side: int) -> LayerNode | None:
    """Return the one layer of a kind that a side has too, though a rewrite left it out as it does nothing."""
    graph, read = ((paired.reference, paired.candidate)[side], paired.as_read[side])
    kept = {other.home for other in graph.nodes}
    kind = paired.read(node, 1 - side).kind
    found = [other for i, other in enumerate(read.nodes) if i not in kept and other.kind == kind]
    return found[0] if len(found) == 1 else None


def _of_a_layer_without_effect(paired: Paired, node: LayerNode, passed: LayerNode, side: int) -> Edit:
    """Tell what differs between a layer and the one of the other side that does nothing there."""
    own = paired.read(node, side)
    mine, its = (own, passed) if side == 0 else (passed, own)
    change = next(changed_fields(mine, its), None)
    if change is not None:
        name, ours, theirs = change
        message = f"{both(mine, its)} ({mine.kind}): {name} is {value_in_words(ours, theirs)}"
    else:
        name, ours, theirs = "layer", mine.kind, its.kind
        idle, acts = ("candidate", "reference") if side == 0 else ("reference", "candidate")
        message = f"{both(mine, its)} ({mine.kind}) changes nothing in the {idle}, but does in the {acts}"
    return Edit(mine.path, its.path, name, ours, theirs, message, mine.home, its.home)


def _list(paths: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(paths)) or "nothing"
