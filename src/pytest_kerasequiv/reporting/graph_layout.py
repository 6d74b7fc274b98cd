"""Where the layers of two graphs stand in their picture: rows, columns, and the rows that are folded away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

SIDES = ("reference", "candidate")
FOLD_FROM = 60
"""Rows from which on a picture folds away what lies far from every difference."""
AROUND = 4
"""Rows that stay around a difference, and at both ends."""


@dataclass(frozen=True)
class Rows:
    """The rows of a picture.

    Attributes:
        reference: shown row of each node of the reference.
        candidate: the same for the candidate.
        folded: shown rows that stand for several -> how many.
        count: number of shown rows.
    """

    reference: tuple[int, ...]
    candidate: tuple[int, ...]
    folded: Mapping[int, int]
    count: int

    def of(self, side: str) -> tuple[int, ...]:
        """Return the rows of one side."""
        return self.reference if side == "reference" else self.candidate


def rows_of(figures: Mapping[str, Any], *, fold: bool) -> Rows:
    """Lay out both graphs in rows, level with each other where they correspond.

    Args:
        figures: figures of the check ``graph``.
        fold: fold away rows without a difference where there are many.
    """
    ours, theirs = shared_rows(figures)
    count = 1 + max([*ours, *theirs], default=0)
    changed = {
        row
        for side, rows in zip(SIDES, (ours, theirs), strict=True)
        for row, node in zip(rows, figures[side]["nodes"], strict=True)
        if node["differs"]
    }
    if not fold or count < FOLD_FROM or not changed:
        return Rows(tuple(ours), tuple(theirs), {}, count)
    shown, folded = _folded(count, changed)
    return Rows(
        tuple(shown[row] for row in ours),
        tuple(shown[row] for row in theirs),
        folded,
        1 + max(shown.values()),
    )


def _folded(count: int, changed: set[int]) -> tuple[dict[int, int], dict[int, int]]:
    """Return row -> shown row, and the shown rows that stand for several."""
    marked = changed | {0, count - 1}
    kept = {row for mark in marked for row in range(mark - AROUND, mark + AROUND + 1)}
    shown: dict[int, int] = {}
    folded: dict[int, int] = {}
    place = -1
    for row in range(count):
        if row in kept or row - 1 in kept or row == 0:
            place += 1
        shown[row] = place
        if row not in kept:
            folded[place] = folded.get(place, 0) + 1
    return shown, folded


def shared_rows(figures: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """Return the row of each node of both graphs: below all it reads, level with its partner if possible.

    Rows are the longest paths in one graph of both sides in which partners are one node, as long as that
    graph has no cycle; else each side has rows of its own.
    """
    names = [[(side, index) for index in range(len(figures[side]["nodes"]))] for side in SIDES]
    partner = {("candidate", other): ("reference", index) for index, other in figures["pairs"]}
    for merged in (partner, {}):
        graph = _merged(figures, merged)
        if nx.is_directed_acyclic_graph(graph):
            break
    rows = {name: row for row, layer in enumerate(nx.topological_generations(graph)) for name in layer}
    ours, theirs = ([rows[merged.get(name, name)] for name in own] for own in names)
    return ours, theirs


def _merged(figures: Mapping[str, Any], merged: Mapping[tuple[str, int], tuple[str, int]]) -> Any:
    graph = nx.DiGraph()
    for side in SIDES:
        for index, node in enumerate(figures[side]["nodes"]):
            own = merged.get((side, index), (side, index))
            graph.add_node(own)
            graph.add_edges_from((merged.get((side, s), (side, s)), own) for s, _ in node["inputs"])
    return graph


def columns_of(nodes: Sequence[Mapping[str, Any]], rows: Sequence[int]) -> list[float]:
    """Place the nodes of a row side by side around the middle, ordered by where their inputs stand."""
    columns = [0.0] * len(nodes)
    by_row: dict[int, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_row[row].append(index)
    for row in sorted(by_row):
        wanted = {
            index: _mean([columns[source] for source, _ in nodes[index]["inputs"]]) for index in by_row[row]
        }
        ordered = sorted(by_row[row], key=lambda index: (wanted[index], index))
        for place, index in enumerate(ordered):
            columns[index] = place - (len(ordered) - 1) / 2
    return columns


def rewired(figures: Mapping[str, Any]) -> dict[str, set[tuple[int, int]]]:
    """Return, by side, the edges (source, node) that the partner of the node does not have."""
    found: dict[str, set[tuple[int, int]]] = {side: set() for side in SIDES}
    forth = dict(map(tuple, figures["pairs"]))
    for index, other in figures["pairs"]:
        mine, its = figures["reference"]["nodes"][index], figures["candidate"]["nodes"][other]
        if "inputs" not in mine["differs"]:
            continue
        ours = [source for source, _ in mine["inputs"]]
        theirs = [source for source, _ in its["inputs"]]
        same_set = sorted(forth.get(s, -1) for s in ours) == sorted(theirs)
        found["reference"] |= {(s, index) for s in ours if same_set or forth.get(s) not in theirs}
        back = {forth.get(s) for s in ours}
        found["candidate"] |= {(s, other) for s in theirs if same_set or s not in back}
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
