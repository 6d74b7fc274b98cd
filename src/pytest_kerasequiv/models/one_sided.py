"""Layers that one graph has and the other has not, and layers that stand in another place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pytest_kerasequiv.models.colours import consumers_of
from pytest_kerasequiv.models.edit import Edit, Paired, both, field_edit, sources


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
