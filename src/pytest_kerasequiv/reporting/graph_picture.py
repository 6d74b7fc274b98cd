"""The picture of two layer graphs side by side, with what differs marked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_INCHES = 0.34
COLUMN_INCHES = 2.6
LARGEST_INCHES = 60.0
PIXELS_PER_INCH = 100
LONGEST_TEXT = 34

PLAIN = "#f2f4f7", "#667085"
CHANGED = "#fff3cd", "#b54708"
ONE_SIDED = "#fde2e1", "#b42318"
"""Fill and edge of layers that agree, that differ from their partner, that have no partner."""


@dataclass(frozen=True)
class Box:
    """One layer in the picture: where it stands (column, row) and what is written in it."""

    column: float
    row: int
    text: str
    fill: str
    edge: str


def draw_from_figures(figures: Mapping[str, Any], path: str | Path) -> None:
    """Draw both graphs side by side into a file.

    Args:
        figures: figures of the check ``graph``, also after a round trip through JSON.
        path: where to, as ``.svg`` or ``.png``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = shared_rows(figures)
    sides = [_boxes(figures, side, own) for side, own in zip(("reference", "candidate"), rows, strict=True)]
    widths = [1 + max((box.column for box in boxes.values()), default=0) for boxes in sides]
    height = 1 + max((box.row for boxes in sides for box in boxes.values()), default=0)
    figure = Figure(figsize=_size(sum(widths), height), dpi=PIXELS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, squeeze=False, width_ratios=widths)[0]
    for side, boxes, own, width in zip(("reference", "candidate"), sides, axes, widths, strict=True):
        _draw_side(own, figures[side], boxes, size=(width, height), side=side)
    figure.savefig(path, metadata={"Date": None} if Path(path).suffix == ".svg" else None)


def _size(columns: float, rows: int) -> tuple[float, float]:
    return (
        min(LARGEST_INCHES, max(6.0, COLUMN_INCHES * columns)),
        min(LARGEST_INCHES, 0.8 + ROW_INCHES * max(rows, 3) * 1.6),
    )


def shared_rows(figures: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """Return the row of each node of both graphs: below all it reads, level with its partner if it can be.

    Rows are the longest paths in one graph of both sides in which partners are one node, as long as that
    graph has no cycle; else each side has rows of its own.
    """
    import networkx as nx

    names = [
        [(side, index) for index in range(len(figures[side]["nodes"]))] for side in ("reference", "candidate")
    ]
    partner = {("candidate", other): ("reference", index) for index, other in figures["pairs"]}
    for merged in (partner, {}):
        graph = nx.DiGraph()
        for side, own in zip(("reference", "candidate"), names, strict=True):
            for name, node in zip(own, figures[side]["nodes"], strict=True):
                graph.add_node(merged.get(name, name))
                graph.add_edges_from(
                    (merged.get((side, source), (side, source)), merged.get(name, name))
                    for source, _ in node["inputs"]
                )
        if nx.is_directed_acyclic_graph(graph):
            break
    rows = {name: row for row, layer in enumerate(nx.topological_generations(graph)) for name in layer}
    ours, theirs = ([rows[merged.get(name, name)] for name in own] for own in names)
    return ours, theirs


def _boxes(figures: Mapping[str, Any], side: str, rows: Sequence[int]) -> dict[int, Box]:
    nodes = figures[side]["nodes"]
    place = 0 if side == "reference" else 1
    paired = {pair[place] for pair in figures["pairs"]}
    columns = _columns(nodes, rows)
    boxes = {}
    for index, node in enumerate(nodes):
        fill, edge = PLAIN
        if node["differs"]:
            fill, edge = ONE_SIDED if index not in paired else CHANGED
        boxes[index] = Box(columns[index], rows[index], _text(node), fill, edge)
    return boxes


def _columns(nodes: Sequence[Mapping[str, Any]], rows: Sequence[int]) -> list[float]:
    """Place the nodes of a row side by side, ordered by where their inputs stand."""
    columns = [0.0] * len(nodes)
    by_row: dict[int, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_row[row].append(index)
    for row in sorted(by_row):
        wanted = {
            index: _mean([columns[source] for source, _ in nodes[index]["inputs"]]) for index in by_row[row]
        }
        for place, index in enumerate(sorted(by_row[row], key=lambda index: (wanted[index], index))):
            columns[index] = float(place)
    return columns


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _text(node: Mapping[str, Any]) -> str:
    """Return what is written in a box; layer names are the user's, so mathtext is switched off with them."""
    name = str(node["path"]).rsplit("/", 1)[-1]
    lines = [f"{_short(name)} ({node['kind']})" if name != node["kind"] else name]
    if node["differs"]:
        lines.append("≠ " + _short(", ".join(node["differs"])))
    return "\n".join(lines)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _draw_side(
    axes: Axes, graph: Mapping[str, Any], boxes: Mapping[int, Box], *, size: tuple[float, int], side: str
) -> None:
    width, height = size
    axes.set_axis_off()
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.4, -0.6)
    axes.set_title(f"{side}: {_short(str(graph['name']))}", fontsize=9, parse_math=False)
    for index, node in enumerate(graph["nodes"]):
        for source, _ in node["inputs"]:
            _draw_edge(axes, boxes[source], boxes[index])
    for box in boxes.values():
        axes.text(
            box.column,
            box.row,
            box.text,
            ha="center",
            va="center",
            fontsize=6,
            parse_math=False,
            bbox={
                "boxstyle": "round,pad=0.35",
                "facecolor": box.fill,
                "edgecolor": box.edge,
                "linewidth": 0.8,
            },
            zorder=2,
        )


def _draw_edge(axes: Axes, start: Box, end: Box) -> None:
    """Draw an arrow; one that passes over rows in its own column bends around what stands there."""
    straight = end.row - start.row == 1 or start.column != end.column
    axes.annotate(
        "",
        xy=(end.column, end.row - 0.22),
        xytext=(start.column, start.row + 0.22),
        arrowprops={
            "arrowstyle": "-|>",
            "linewidth": 0.7,
            "color": "#98a2b3",
            "connectionstyle": "arc3,rad=0" if straight else "arc3,rad=0.35",
            "shrinkA": 0,
            "shrinkB": 0,
        },
        zorder=1,
    )
