"""How cells are shown: on the terminal, in the tables of docs/statistics.md, and in its picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from cells import Cell
from families import FAMILIES, UNPAIRED
from rules import NAIVE

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def table_line(cell: Cell) -> str:
    """Return one line for the terminal."""
    mark = "" if not cell.target else "  ok" if cell.met else "  MISSED"
    naive = "".join(f"  {name}: {rate:.3f}" for name, rate in cell.naive.items())
    return (
        f"{cell.group:34} {cell.family:10} {cell.design:14} {cell.setting:48} "
        f"{cell.rate:8.4f} ± {cell.se:.4f} {cell.target:>8}{mark}{naive}"
    )


def write_page(cells: list[Cell], folder: Path, *, seed: int) -> None:
    """Put the tables between the markers of statistics.md and draw statistics.svg."""
    page = folder / "statistics.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    text = "\n".join([BEGIN, "", *tables(cells, seed), "", END])
    page.write_text(before + text + after, encoding="utf-8")
    draw(cells, folder / "statistics.svg")


def tables(cells: list[Cell], seed: int) -> list[str]:
    """Return all tables as Markdown lines."""
    fewest = min(cell.experiments for cell in cells if cell.group != "seconds for one decision")
    missed = [cell for cell in cells if not cell.met]
    lines = [
        f"{len(cells)} cells, at least {fewest} simulated experiments for each rate, seed {seed}; n = 20 "
        "runs a twin and alpha = .05 unless told otherwise. ± is the standard error. "
        f"Targets missed: {len(missed)}{', in **bold**' * bool(missed)}.",
        "",
    ]
    for group in dict.fromkeys(cell.group for cell in cells):
        if group in CAPTIONS:
            of = [cell for cell in cells if cell.group == group]
            lines += [f"### {group[0].upper()}{group[1:]}", "", CAPTIONS[group], "", *_table(of, group), ""]
    return lines[:-1]


def _table(of: list[Cell], group: str) -> list[str]:
    if group == "false EQUIVALENT":
        mean = next(cell for cell in of if cell.family == "all")
        return [*_false_equivalent(of), "", f"Average over all {len(of) - 1} cells: {_rate(mean.rate)}."]
    if group in {"known limits: false EQUIVALENT", "seconds for one decision", "against naive rules"}:
        return _grid(
            of, ("case", lambda c: f"{c.family}, {c.design}: {c.setting}"), ("measured", lambda _: "measured")
        )
    if group in {"EQUIVALENT for hidden differences"}:
        return _grid(of, ("candidate", lambda c: c.setting), ("design", lambda c: c.design))
    if group == "early stopping":
        return _grid(of, ("metric, design", lambda c: f"{c.family}, {c.design}"), ("", lambda c: c.setting))
    return _grid(of, ("metric", lambda c: c.family), ("", lambda c: f"{c.design}, {c.setting}"))


def _false_equivalent(of: list[Cell]) -> list[str]:
    """Return the larger of both signs of the shift, and the naive rules on the unpaired data."""

    def column(cell: Cell) -> str:
        return f"{cell.design}, {cell.setting.split(',')[0]}"

    columns = list(dict.fromkeys(column(cell) for cell in of if cell.family != "all"))
    lines = _head(["metric", *columns, *(f"“{rule}”, unpaired" for rule in NAIVE)])
    for family in FAMILIES:
        mine = [cell for cell in of if cell.family == family]
        worst = [max((c for c in mine if column(c) == name), key=lambda c: c.rate) for name in columns]
        naive = [np.mean([c.naive[rule] for c in mine if c.design == UNPAIRED.label]) for rule in NAIVE]
        lines.append(_row([family, *map(_value, worst), *(_rate(float(rate)) for rate in naive)]))
    return lines


def _grid(
    of: list[Cell], row: tuple[str, Callable[[Cell], str]], column: tuple[str, Callable[[Cell], str]]
) -> list[str]:
    rows = list(dict.fromkeys(row[1](cell) for cell in of))
    columns = list(dict.fromkeys(column[1](cell) for cell in of))
    found = {(row[1](cell), column[1](cell)): cell for cell in of}
    targets = {name: _target(cell for cell in of if column[1](cell) == name) for name in columns}
    lines = _head([row[0], *(f"{name} ({target})" if target else name for name, target in targets.items())])
    for name in rows:
        entries = []
        for other in columns:
            cell = found.get((name, other))
            own = f" ({cell.target})" if cell and cell.target and not targets[other] else ""
            entries.append("" if cell is None else _value(cell) + own)
        lines.append(_row([name, *entries]))
    return lines


def _target(cells: Iterable[Cell]) -> str:
    targets = {cell.target for cell in cells}
    return targets.pop() if len(targets) == 1 else ""


def _value(cell: Cell) -> str:
    text = f"{_rate(cell.rate)} ± {_rate(cell.se)}" if cell.se else _rate(cell.rate)
    return text if cell.met else f"**{text}**"


def _rate(value: float) -> str:
    if abs(value) >= 1.0005:
        return f"{value:.1f}"
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else "1"


def _head(names: list[str]) -> list[str]:
    return [_row(names), _row(["---"] * len(names))]


def _row(entries: list[str]) -> str:
    return f"| {' | '.join(entries)} |"


CAPTIONS = {
    "false EQUIVALENT": (
        "The candidate's mean lies exactly at the margin, one standard deviation off; EQUIVALENT is then "
        "wrong. Target: at most .06 each and .05 on average. The larger of both directions; beside it, "
        "how often the naive rules pass the same unpaired twins."
    ),
    "false DIFFERENT": ("Identical twins. “accuracy” is the share of 50 test points, full of ties."),
    "EQUIVALENT for identical twins": ("How often identical twins pass."),
    "DIFFERENT for different twins": ("How often a difference is found, against the default margin."),
    "EQUIVALENT for hidden differences": (
        "The candidate's typical run is right, but some runs collapse (by so many standard deviations of "
        "the others), or it spreads three times as wide; default margin unless told. A collapse by 5 in "
        "10 % of the runs moves the mean by half a standard deviation, which is inside the margin: no "
        "target. In the last row, 30 % of the candidate's runs fail and none of the reference's."
    ),
    "early stopping": (
        "Looks at 10, 15 and 20 runs, default margin. “Lost” is the share of EQUIVALENT lost against one "
        "look at 20 on the same runs."
    ),
    "against naive rules": (
        "How many times fewer wrong passes than the naive rule at the margin, unpaired, both margins and "
        "directions together. Paired by seed, the t-test has so much power that it hardly ever passes "
        "twins at the margin; its error there is the opposite one, to fail twins that are well inside."
    ),
    "known limits: false EQUIVALENT": (
        "Where alpha does not hold; no target. A collapse is by 20 standard deviations."
    ),
    "seconds for one decision": ("The whole of `equivalence_test`, all figures included."),
}


def draw(cells: list[Cell], path: Path) -> None:
    """Draw the wrong passes of all rules side by side, and the verdicts over the true difference."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "kerasequiv", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        _draw_wrong_passes(left, cells)
        _draw_verdicts(right, cells)
        figure.savefig(path, metadata={"Date": None})


def _draw_wrong_passes(axes, cells: list[Cell]) -> None:
    marks = {"this plugin": ("o", "#2e7d32"), "p > .05": ("^", "#3b6fb6"), "within one sd": ("s", "#d1762b")}
    marks["mean ± sd overlap"] = ("D", "#b3261e")
    places = range(len(FAMILIES))
    for rule, (marker, colour) in marks.items():
        rates = []
        for family in FAMILIES:
            of = [
                c
                for c in cells
                if c.group == "false EQUIVALENT" and c.family == family and c.design == UNPAIRED.label
            ]
            of = [c for c in of if c.setting.startswith("default")]
            rates.append(np.mean([c.rate if rule == "this plugin" else c.naive[rule] for c in of]))
        axes.plot(rates, places, marker, color=colour, label=rule, markersize=6, linestyle="none")
    axes.axvline(0.05, color="#666666", linestyle="--", linewidth=1)
    axes.set_yticks(places, FAMILIES)
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share of wrong passes, twins exactly at the margin")
    axes.legend(
        frameon=False,
        fontsize=8,
        loc="upper center",
        ncols=4,
        bbox_to_anchor=(0.5, 1.13),
        handletextpad=0.1,
        columnspacing=1,
    )
    _tidy(axes)


def _draw_verdicts(axes, cells: list[Cell]) -> None:
    curve = [c for c in cells if c.group == "verdict curve"]
    shifts = sorted({float(c.setting.split()[2]) for c in curve})
    same, other = (
        np.array(
            [next(c.rate for c in curve if c.setting == f"{verdict} at {shift:g} sd") for shift in shifts]
        )
        for verdict in ("EQUIVALENT", "DIFFERENT")
    )
    axes.stackplot(shifts, same, 1 - same - other, other, colors=("#a8cfa8", "#e9e2c8", "#e5b3ae"))
    axes.text(0.28, 0.3, "EQUIVALENT", ha="center", fontsize=8.5)
    axes.text(0.53, 0.49, "INCONCLUSIVE", ha="center", va="center", fontsize=7.5, rotation=-43)
    axes.text(1.5, 0.5, "DIFFERENT", ha="center", fontsize=8.5)
    axes.axvline(1, color="#2e7d32", linestyle="--", linewidth=1)
    axes.text(1.02, 0.97, "margin", color="#2e7d32", fontsize=8, va="top")
    axes.set_xlim(0, 2)
    axes.set_ylim(0, 1)
    axes.set_xlabel("true difference of the means, in standard deviations")
    axes.set_ylabel("share of experiments (20 runs a twin)")
    _tidy(axes)


def _tidy(axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
