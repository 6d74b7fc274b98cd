"""The picture of two layer graphs side by side, with what differs marked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pytest_kerasequiv.reporting.graph_layout import SIDES, Rows, columns_of, rewired, rows_of
from pytest_kerasequiv.reporting.printable import name_in
from pytest_kerasequiv.reporting.saving import save

ROW_INCHES = 0.52
COLUMN_INCHES = 2.7
HEAD_INCHES = 0.75
BULGE_INCHES = 1.25
TALLEST_INCHES = 300.0
ROW_MARGIN = 0.6
"""Rows that are free above the first and below the last."""
PIXELS_PER_INCH = 100
LONGEST_TEXT = 34

PLAIN = "#f2f4f7", "#667085"
CHANGED = "#fff3cd", "#b54708"
ONE_SIDED = "#fde2e1", "#b42318"
"""Fill and edge of layers that agree, that differ from their partner, that have no partner."""
LINE, WRONG_LINE = "#98a2b3", "#b42318"


@dataclass(frozen=True)
class Box:
    """One layer in the picture: where it stands (column, row) and what is written in it."""

    column: float
    row: int
    text: str
    fill: str
    edge: str


def draw_from_figures(figures: Mapping[str, Any], path: str | Path, *, fold: bool = True) -> None:
    """Draw both graphs side by side into a file.

    Args:
        figures: figures of the check ``graph``, also after a round trip through JSON.
        path: where to, as ``.svg`` or ``.png``.
        fold: fold away what lies far from every difference in a large graph.

    Raises:
        ValueError: the suffix is neither.
    """
    save(_figure(figures, fold=fold), path)


@dataclass(frozen=True)
class Place:
    """Where a layer stands in the picture, in percent of its width and height.

    Attributes:
        side: ``"reference"`` or ``"candidate"``.
        path: Keras path of the layer.
        left: left edge; ``top`` the upper one, ``width`` and ``height`` the size.
    """

    side: str
    path: str
    left: float
    top: float
    width: float
    height: float


def places(figures: Mapping[str, Any], *, fold: bool = True) -> list[Place]:
    """Return where the layers stand in the picture that `draw_from_figures` draws of the same figures.

    Of several calls of a layer it is the first that is shown.
    """
    sheet = _Sheet.of(figures, fold=fold)
    found: dict[tuple[str, str], Place] = {}
    for side in SIDES:
        for index, box in sheet.sides[side].items():
            path = str(figures[side]["nodes"][index]["path"])
            found.setdefault((side, path), sheet.place(side, path, box))
    return list(found.values())


@dataclass(frozen=True)
class _Sheet:
    """The measures of a picture."""

    rows: Rows
    sides: Mapping[str, dict[int, Box]]
    widths: Mapping[str, float]
    height: float

    @classmethod
    def of(cls, figures: Mapping[str, Any], *, fold: bool) -> _Sheet:
        rows = rows_of(figures, fold=fold)
        sides = {side: _boxes(figures, side, rows) for side in SIDES}
        widths = {
            side: 1 + 2 * max((abs(box.column) for box in boxes.values()), default=0)
            for side, boxes in sides.items()
        }
        height = min(TALLEST_INCHES, HEAD_INCHES + ROW_INCHES * max(rows.count, 2))
        return cls(rows, sides, widths, height)

    def share(self, side: str) -> float:
        return self.widths[side] / sum(self.widths.values())

    def place(self, side: str, path: str, box: Box) -> Place:
        unit = 100 * self.share(side) / self.widths[side]
        begins = 0.0 if side == SIDES[0] else 100 * self.share(SIDES[0])
        head = 100 * HEAD_INCHES / self.height
        row = (100 - head) / (self.rows.count - 1 + 2 * ROW_MARGIN)
        left = begins + unit * (box.column + self.widths[side] / 2 - 0.5)
        top = head + row * (box.row + ROW_MARGIN - 0.5)
        return Place(side, path, *(round(number, 2) for number in (left, top, unit, row)))


def _figure(figures: Mapping[str, Any], *, fold: bool) -> Figure:
    sheet = _Sheet.of(figures, fold=fold)
    size = COLUMN_INCHES * sum(sheet.widths.values()) + 0.4, sheet.height
    figure = Figure(figsize=size, dpi=PIXELS_PER_INCH)
    FigureCanvasAgg(figure)
    wrong, left = rewired(figures), 0.0
    for side in SIDES:
        axes = figure.add_axes((left, 0.0, sheet.share(side), 1 - HEAD_INCHES / sheet.height))
        left += sheet.share(side)
        _frame(axes, sheet.widths[side], sheet.rows, f"{side}: {_short(str(figures[side]['name']))}")
        _draw(axes, figures[side]["nodes"], sheet.sides[side], sheet.rows, wrong[side])
    figure.text(
        0.5, 1 - 0.18 / sheet.height, _caption(figures), ha="center", va="top", fontsize=8, parse_math=False
    )
    return figure


def _caption(figures: Mapping[str, Any]) -> str:
    marked = any(node["differs"] for side in SIDES for node in figures[side]["nodes"])
    if marked:
        return "yellow: differs from its partner   red: on one side only, or connected otherwise"
    rules = sorted({use["rule"] for use in figures["rules"]})
    return f"equivalent up to: {', '.join(rules)}" if rules else "no layer differs"


def _boxes(figures: Mapping[str, Any], side: str, rows: Rows) -> dict[int, Box]:
    """Return the boxes of one side; folded nodes have none."""
    nodes, own = figures[side]["nodes"], rows.of(side)
    paired = {pair[SIDES.index(side)] for pair in figures["pairs"]}
    shown = [index for index, row in enumerate(own) if row not in rows.folded]
    columns = columns_of(nodes, own) if not rows.folded else _columns_of_shown(nodes, own, shown)
    boxes = {}
    for index in shown:
        fill, edge = PLAIN
        if nodes[index]["differs"]:
            fill, edge = CHANGED if index in paired else ONE_SIDED
        boxes[index] = Box(columns[index], own[index], _text(nodes[index]), fill, edge)
    return boxes


def _columns_of_shown(
    nodes: Sequence[Mapping[str, Any]], rows: Sequence[int], shown: Sequence[int]
) -> dict[int, float]:
    place = {index: number for number, index in enumerate(shown)}
    kept = [
        {"inputs": [[place[s], slot] for s, slot in nodes[index]["inputs"] if s in place]} for index in shown
    ]
    return dict(zip(shown, columns_of(kept, [rows[index] for index in shown]), strict=True))


def _text(node: Mapping[str, Any]) -> str:
    name = str(node["path"]).rsplit("/", 1)[-1]
    lines = [f"{_short(name)} ({_short(node['kind'])})" if name != node["kind"] else _short(name)]
    if node["differs"]:
        lines.append("≠ " + _short(", ".join(node["differs"])))
    return "\n".join(lines)


def _short(text: str) -> str:
    return name_in(text, LONGEST_TEXT)


def _frame(axes: Axes, width: float, rows: Rows, title: str) -> None:
    """Set the scales; layers' names are the user's text, so it is never read as mathematics."""
    axes.set_axis_off()
    axes.set_xlim(-width / 2, width / 2)
    axes.set_ylim(rows.count - 1 + ROW_MARGIN, -ROW_MARGIN)
    # Its place is said, or matplotlib makes ticks, which are not drawn, to see whether they are in its way.
    axes.set_title(title, y=1.0, fontsize=9, parse_math=False)
    for row, count in rows.folded.items():
        text = f"⋮   {count} rows without a difference   ⋮"
        axes.text(0, row, text, ha="center", va="center", fontsize=7, color=PLAIN[1])


def _draw(
    axes: Axes,
    nodes: Sequence[Mapping[str, Any]],
    boxes: Mapping[int, Box],
    rows: Rows,
    wrong: Collection[tuple[int, int]],
) -> None:
    for index, end in boxes.items():
        for source in dict.fromkeys(source for source, _ in nodes[index]["inputs"]):
            if source in boxes:
                _draw_edge(axes, boxes[source], end, wrong=(source, index) in wrong)
            elif end.row - 1 in rows.folded:
                above = Box(end.column, end.row - 1, "", *PLAIN)
                _draw_edge(axes, above, end, wrong=(source, index) in wrong)
    for box in boxes.values():
        axes.text(
            box.column,
            box.row,
            box.text,
            ha="center",
            va="center",
            fontsize=6.5,
            parse_math=False,
            bbox={
                "boxstyle": "round,pad=0.35",
                "facecolor": box.fill,
                "edgecolor": box.edge,
                "linewidth": 0.8,
            },
            zorder=2,
        )


def _draw_edge(axes: Axes, start: Box, end: Box, *, wrong: bool) -> None:
    """Draw an arrow; one that passes over rows in its own column bends around what stands there."""
    passed = end.row - start.row
    bend = 0.0 if passed == 1 or start.column != end.column else BULGE_INCHES * 2 / (passed * ROW_INCHES)
    axes.annotate(
        "",
        xy=(end.column, end.row - 0.24),
        xytext=(start.column, start.row + 0.24),
        arrowprops={
            "arrowstyle": "-|>",
            "linewidth": 1.4 if wrong else 0.7,
            "color": WRONG_LINE if wrong else LINE,
            "connectionstyle": f"arc3,rad={min(1.0, bend)}",
            "shrinkA": 0,
            "shrinkB": 0,
        },
        zorder=1,
    )
