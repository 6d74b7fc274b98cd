"""The picture of one decision: both samples, and their difference against the margin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pytest_kerasequiv.reporting.printable import name_in
from pytest_kerasequiv.reporting.saving import save
from pytest_kerasequiv.statistics.luck import Luck
from pytest_kerasequiv.statistics.result import EquivalenceTest, p_text
from pytest_kerasequiv.statistics.samples import usable

_REFERENCE, _CANDIDATE, _BAND, _INK = "#3b6fb6", "#d1762b", "#cfe3cf", "#333333"
LONGEST_TITLE = 40
_VERDICTS = {"EQUIVALENT": "#2e7d32", "DIFFERENT": "#b3261e", "INCONCLUSIVE": "#8a6d00"}


def draw(test: EquivalenceTest | Mapping[str, Any], path: str | Path, *, title: str = "") -> Path:
    """Write the picture of a decision.

    Left, the runs of both twins with mean and standard deviation (paired runs joined by a line, failed ones
    as crosses); right, the mean difference with its 90 % and 95 % intervals against the band of the margin.

    Args:
        test: an `EquivalenceTest`, or what its ``to_dict`` returned, also after a round trip through JSON.
        path: where to write; the suffix, ``.svg`` or ``.png``, decides the format.
        title: name of the metric.

    Raises:
        ValueError: the suffix is neither.
    """
    data = test if isinstance(test, Mapping) else test.to_dict()
    with saved_figure(path, (7.6, 3.1)) as figure:
        runs, gap = figure.subplots(1, 2, width_ratios=(3, 4))
        _draw_runs(runs, data, title)
        _draw_difference(gap, data)
    return Path(path)


def draw_luck(luck: Luck | Mapping[str, Any], path: str | Path, *, title: str = "") -> Path:
    """Write the picture of how far apart two single runs of the reference are.

    Each pair of runs is a step of the curve, which tells how many pairs differ by so much or more; the half,
    the 1 in 20 and the difference that the user saw are marked.

    Args:
        luck: a `Luck`, or what its ``to_dict`` returned, also after a round trip through JSON.
        path: where to write; the suffix, ``.svg`` or ``.png``, decides the format.
        title: name of the metric.

    Raises:
        ValueError: the suffix is neither.
    """
    data = luck if isinstance(luck, Mapping) else luck.to_dict()
    with saved_figure(path, (7.6, 2.6)) as figure:
        _draw_pairs(figure.subplots(), data, title or "metric")
    return Path(path)


@contextmanager
def saved_figure(path: str | Path, size: tuple[float, float]) -> Iterator[Figure]:
    """Give a figure to draw into, in inches; it is written where nothing is raised.

    Raises:
        ValueError: the suffix of the path is neither ``.svg`` nor ``.png``.
    """
    # A fixed salt: the same decision gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "kerasequiv", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        save(figure, path, dpi=140)


def _draw_runs(axes: Axes, data: Mapping[str, Any], title: str) -> None:
    arms = (data["reference"], data["candidate"])
    colours = (_REFERENCE, _CANDIDATE)
    values = [[float(value) for value in arm["values"]] for arm in arms]
    shown = [[_placed(value, data["fail_value"]) for value in row] for row in values]
    offsets = [_offsets(len(row), paired=data["paired"]) for row in shown]
    if data["paired"]:
        for left, right, dx, dy in zip(*shown, *offsets, strict=True):
            axes.plot((dx, 1 + dy), (left, right), color="#bbbbbb", linewidth=0.7, zorder=1)
    for place, (arm, row, shift, colour) in enumerate(zip(arms, values, offsets, colours, strict=True)):
        _draw_arm(axes, row, [place + dx for dx in shift], data["fail_value"], colour)
        outside = -0.33 if place == 0 else 1.33
        axes.errorbar(outside, arm["mean"], yerr=arm["sd"], fmt="o", color=colour, capsize=3, markersize=5)
    axes.set_xticks((0, 1), ("reference", "candidate"))
    axes.set_xlim(-0.45, 1.45)
    axes.set_ylabel(name_in(title or "metric", LONGEST_TITLE), parse_math=False)
    axes.set_title(f"{data['n']} runs a twin", loc="left", fontsize=9, color=_INK)
    _tidy(axes)


def _draw_arm(
    axes: Axes, values: Sequence[float], places: Sequence[float], fail_value: float | None, colour: str
) -> None:
    points = [(place, value) for place, value in zip(places, values, strict=True) if usable(value)]
    failed = [place for place, value in zip(places, values, strict=True) if not usable(value)]
    if points:
        axes.scatter(
            [p[0] for p in points],
            [p[1] for p in points],
            s=18,
            color=colour,
            alpha=0.75,
            linewidths=0,
            zorder=2,
        )
    if failed:
        height = float(fail_value or 0.0)
        axes.scatter(failed, [height] * len(failed), s=26, marker="x", color=colour, zorder=3)
        axes.annotate(
            f"{len(failed)} failed",
            (failed[0], height),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=colour,
        )


def _draw_difference(axes: Axes, data: Mapping[str, Any]) -> None:
    margin, difference = float(data["margin"]), float(data["difference"])
    colour = _VERDICTS[data["verdict"]]
    axes.axvspan(-margin, margin, color=_BAND, zorder=0)
    for edge in (-margin, margin):
        axes.axvline(edge, color="#5a8f5a", linewidth=1, linestyle="--", zorder=1)
    axes.axvline(0, color="#999999", linewidth=0.8, zorder=1)
    axes.plot(data["ci95"], (0, 0), color=colour, linewidth=1.4, solid_capstyle="butt", zorder=2)
    axes.plot(data["ci90"], (0, 0), color=colour, linewidth=5, solid_capstyle="butt", zorder=3)
    axes.plot([difference], [0], marker="o", color="white", markeredgecolor=colour, markersize=6, zorder=4)
    reach = 1.25 * max(margin, *(abs(float(end)) for end in data["ci95"]))
    axes.set_xlim((-reach, reach) if reach > 0 else (-1, 1))
    axes.set_ylim(-1, 1)
    axes.set_yticks(())
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    axes.set_xlabel(f"candidate - reference, with 90 % (thick) and 95 % intervals\n{_p_line(data)}")
    axes.set_title(data["verdict"], loc="left", fontsize=9, color=colour, fontweight="bold")
    axes.set_title(f"margin {data['margin_label']}", loc="right", fontsize=9, color="#3f6f3f")
    _tidy(axes)
    axes.spines["left"].set_visible(False)


def _draw_pairs(axes: Axes, data: Mapping[str, Any], title: str) -> None:
    differences = [float(one) for one in data["differences"]]
    at_least = [1 - place / len(differences) for place in range(len(differences))]
    axes.step([0.0, *differences, differences[-1]], [1.0, *at_least, 0.0], where="pre", color=_REFERENCE)
    for size, text in ((data["half"], "half of all pairs"), (data["rare"], "1 in 20")):
        axes.axvline(float(size), color="#999999", linewidth=0.8, linestyle="--")
        axes.annotate(text, (float(size), 1.02), fontsize=8, color=_INK, ha="center", annotation_clip=False)
    if data["gap"] is not None:
        gap, share = float(data["gap"]), float(data["share"])
        axes.axvline(gap, color=_CANDIDATE, linewidth=1.6)
        axes.plot([gap], [share], marker="o", color=_CANDIDATE, markersize=6)
        axes.annotate(
            f"you saw {gap:.3g}",
            (gap, 0.9),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8,
            color=_CANDIDATE,
        )
    axes.set_xlim(left=0.0)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_ylabel("pairs that differ\nby so much or more")
    axes.set_xlabel(
        f"difference of two single runs of the reference in {name_in(title, LONGEST_TITLE)}", parse_math=False
    )
    _tidy(axes)


def _p_line(data: Mapping[str, Any]) -> str:
    equivalence, difference = float(data["p_equivalence"]), float(data["p_difference_holm"])
    return f"equivalence p {p_text(equivalence)}, difference p {p_text(difference)}"


def _placed(value: float, fail_value: float | None) -> float:
    return value if usable(value) or fail_value is None else float(fail_value)


def _offsets(count: int, *, paired: bool) -> list[float]:
    """Spread points sideways so that equal values stay visible; paired runs stay on their line."""
    if paired:
        return [0.0] * count
    return [0.22 * ((index * 0.618034) % 1 - 0.5) for index in range(count)]


def _tidy(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
