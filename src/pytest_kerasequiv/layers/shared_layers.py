"""Layers and models that one side calls several times where the other side has several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pytest_kerasequiv.layers.layer_graph import LayerNode
from pytest_kerasequiv.layers.paired import Edit, Paired


def sharing_edits(paired: Paired) -> Iterator[Edit]:
    """Layers that one side calls several times where the other has several layers."""
    theirs_of: dict[int, dict[int, tuple[LayerNode, LayerNode]]] = defaultdict(dict)
    ours_of: dict[int, dict[int, tuple[LayerNode, LayerNode]]] = defaultdict(dict)
    for _, _, mine, its in paired.pairs():
        if mine.layer >= 0 and its.layer >= 0:
            theirs_of[mine.layer].setdefault(its.layer, (mine, its))
            ours_of[its.layer].setdefault(mine.layer, (mine, its))
    for sharing, groups in enumerate((theirs_of, ours_of)):
        shared = [list(found.values()) for found in groups.values() if len(found) > 1]
        told = {
            edit.message: edit for edit in (_sharing_edit(paired, one, shared, sharing) for one in shared)
        }
        yield from told.values()


Shared = list[tuple[LayerNode, LayerNode]]
"""One layer of a side with each of those that the other side has in its place."""


def _sharing_edit(paired: Paired, found: Shared, every: Sequence[Shared], sharing: int) -> Edit:
    """Tell that one layer, or one model, on the side ``sharing`` stands where the other has several."""
    mine, its = found[0]
    sides = [list(dict.fromkeys(pair[side].path for pair in found)) for side in (0, 1)]
    single, several = ("reference", "candidate") if sharing == 0 else ("candidate", "reference")
    shared, separate, what = sides[sharing][0], sides[1 - sharing], "layer"
    if _whole_model(paired, shared, separate, every, sharing):
        shared, *separate = (path.rpartition("/")[0] for path in (shared, *separate))
        what = "model"
    paths = [path.rpartition("/")[0] if what == "model" else path for path in (mine.path, its.path)]
    message = (
        f"the {single} calls one {what}, {shared}, where the {several} has {len(separate)}: "
        f"{', '.join(separate)}; shared against separate weights"
    )
    return Edit(paths[0], paths[1], "sharing", sides[0], sides[1], message, mine.home, its.home)


def _whole_model(
    paired: Paired, shared: str, separate: Sequence[str], every: Sequence[Shared], sharing: int
) -> bool:
    """Tell whether all weights of the model that a shared layer lies in are shared, each with one model."""
    parent = shared.rpartition("/")[0]
    others = {path.rpartition("/")[0] for path in separate}
    graph = (paired.reference, paired.candidate)[sharing]
    inside = {n.path for n in graph.nodes if n.variables and n.path.rpartition("/")[0] == parent}
    told = {found[0][sharing].path for found in every}
    return "/" in parent and len(others) == len(separate) and inside <= told
