"""Reports as one HTML page that needs nothing else: no network, no script; for screen, phone and print."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from pytest_kerasequiv.reporting.causes import account, with_layer
from pytest_kerasequiv.reporting.decision_plot import draw, draw_luck
from pytest_kerasequiv.reporting.divergence import divergence_rows
from pytest_kerasequiv.reporting.graph_picture import Place, draw_from_figures, places
from pytest_kerasequiv.reporting.outcome import CONDONED, EndedSession, ended
from pytest_kerasequiv.reporting.printable import printable
from pytest_kerasequiv.reporting.session import SessionReport, of_reports
from pytest_kerasequiv.reporting.single_runs import luck_sentences
from pytest_kerasequiv.reporting.strip import strip
from pytest_kerasequiv.reporting.text import (
    MEANING,
    followed,
    metric_rows,
    metrics,
    next_step,
    number,
    proved_for,
)
from pytest_kerasequiv.verdict import Evidence, Finding, Report, Verdict

FOLDER = Path(__file__).parent
MOST_DRAWN = 40
"""Most pairs with pictures on a page: hundreds of them would take minutes and ten times the bytes."""
LEFT_OUT = {
    "error": f"a page has pictures of at most {MOST_DRAWN} pairs, those first that are not EQUIVALENT; "
    "the pair's own page, report.save('pair.html'), has them"
}

OPEN = 5
"""Most pairs of a session that are shown unfolded: the first that no test expected to differ."""

GROUPS = ("Not expected", "Expected: no test failed over these", "EQUIVALENT")
"""Titles of the index."""

RESTS_ON = {
    Evidence.PROVED: "both sides trace to the same program and begin alike",
    Evidence.MEASURED: "all numbers agree within what rounding explains, on everything that was tried",
    Evidence.STATISTICAL: "all that was compared agrees, and repeated training ends within the margin",
}
"""What EQUIVALENT rests on, in words."""


def render(report: Report) -> str:
    """Return the page of one report."""
    return render_session(of_reports([report]))


def render_session(session: SessionReport) -> str:
    """Return the page of a session: its outcome where it did not pass, its verdicts, then a section per pair.

    All names and messages are escaped; pictures are embedded as images, so that text in them stays text.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters |= {"number": number, "shapes": _shapes}
    template = environment.get_template("report.html.jinja")
    whole = ended(session)
    pairs = _views(whole)
    return template.render(
        session=session,
        counts=session.counts(),
        outcome=whole.ending,
        pairs=pairs,
        groups=_groups(pairs),
        not_failed=CONDONED,
        meaning=MEANING,
        style=(FOLDER / "report.css").read_text(encoding="utf-8"),
    )


def _views(session: EndedSession) -> list[dict[str, Any]]:
    """Return what the template shows of each pair: what no test expected first, what is the same last."""

    def rank(report: Report) -> int:
        return 2 if report.verdict is Verdict.EQUIVALENT else 1 if report in session.not_failed else 0

    ordered = sorted(session.pairs, key=rank)
    unread = sum(rank(report) == 0 for report in ordered)
    shown = OPEN if len(ordered) > 1 else 1
    return [
        _view(report, f"pair-{number + 1}", drawn=number < MOST_DRAWN)
        | {"group": rank(report), "open": number < min(shown, max(unread, len(ordered) == 1))}
        for number, report in enumerate(ordered)
    ]


def _groups(pairs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the index: the pairs by whether they were expected to differ, each with a title."""
    named = ((number, [pair for pair in pairs if pair["group"] == number]) for number in range(len(GROUPS)))
    return [{"title": GROUPS[number], "pairs": some, "open": number == 0} for number, some in named if some]


def _view(report: Report, place: str, *, drawn: bool) -> dict[str, Any]:
    """Return what the template shows of one pair, with pictures or without."""
    figures = {name: result.to_dict()["figures"] for name, result in report.checks.items()}
    sorted_out = account(report)
    graph = _graph(figures.get("graph", {}), drawn=drawn)
    marks = _Marks.of(figures.get("graph", {}), place) if graph and "uri" in graph else _Marks({}, place)
    return {
        "place": place,
        "report": report,
        "seconds": sum(result.seconds for result in report.checks.values()),
        "causes": [marks.told(finding) for finding in sorted_out.causes],
        "consequences": [marks.told(finding) for finding in sorted_out.consequences],
        "followed": followed(sorted_out) if sorted_out.consequences else "",
        "accepted": [marks.told(finding) for finding in sorted_out.accepted],
        "notes": [marks.told(finding) for finding in sorted_out.notes],
        "strip": strip(report),
        "next_step": next_step(report),
        "proved_for": proved_for(report),
        "rests_on": RESTS_ON[report.evidence] if report.evidence else "",
        "graph": graph,
        "marks": marks.used,
        "summary": _summary(figures.get("summary", {})),
        "divergence": {
            name: divergence_rows(figures[name]["layers"]) for name in figures if figures[name].get("layers")
        },
        "metric_rows": metric_rows(metrics(report)),
        "decisions": [_decision(name, metric, drawn=drawn) for name, metric in metrics(report).items()],
        "training": figures.get("training", {}),
    }


class _Marks:
    """The layers in the picture of a pair that findings link to."""

    def __init__(self, places: Mapping[tuple[str, str], Place], pair: str) -> None:
        self._places = places
        self._pair = pair
        self.used: dict[str, Place] = {}

    @classmethod
    def of(cls, figures: Mapping[str, Any], pair: str) -> _Marks:
        return cls({(place.side, place.path): place for place in places(figures)}, pair)

    def told(self, finding: Finding) -> dict[str, str]:
        """Return what is shown of a finding: its check, first line, other lines, and its layer's mark."""
        first, _, rest = with_layer(finding).partition("\n")
        return {"check": finding.check, "first": first, "rest": rest, "mark": self._mark(finding)}

    def _mark(self, finding: Finding) -> str:
        sides = ("candidate", finding.candidate_layer), ("reference", finding.reference_layer)
        for side, path in sides:
            parts = (path or "").split("/")
            for length in range(len(parts), 1, -1):  # a layer within a layer: the one that is drawn
                place = self._places.get((side, "/".join(parts[:length])))
                if place is not None:
                    name = f"{self._pair}-{side}-{list(self._places).index((side, place.path))}"
                    self.used[name] = place
                    return name
        return ""


def _graph(figures: Mapping[str, Any], *, drawn: bool) -> dict[str, str] | None:
    """Return the picture of both graphs, or why there is none."""
    if "reference" not in figures or "candidate" not in figures:
        return None
    return _picture(lambda path: draw_from_figures(figures, path)) if drawn else LEFT_OUT


def _decision(name: str, metric: Mapping[str, Any], *, drawn: bool) -> dict[str, Any]:
    luck = metric.get("luck")
    return {
        "name": name,
        "metric": {key: value for key, value in metric.items() if key != "luck"},
        "picture": _picture(lambda path: draw(metric, path, title=name)) if drawn else LEFT_OUT,
        "luck": luck_sentences(luck) if luck else [],
        "luck_picture": _picture(lambda path: draw_luck(luck, path, title=name)) if luck and drawn else {},
    }


def _picture(draw: Callable[[Path], object]) -> dict[str, str]:
    """Return a picture as a data URI; one that cannot be drawn says why, and the rest of the page stands."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.svg"
        try:
            draw(path)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    return {"uri": f"data:image/svg+xml;base64,{data}"}


def _summary(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of both summaries side by side, each with what became of it."""
    rows = []
    for pairing in figures.get("alignment", []):
        sides = {side: _row(figures, side, pairing[side]) for side in ("reference", "candidate")}
        rows.append({"state": pairing["state"], "fields": ", ".join(pairing["fields"]), **sides})
    return rows


def _shapes(shapes: Any) -> str:
    """Return output shapes as a reader writes them; ``None`` stands for any length."""
    return " ".join(
        f"({', '.join(map(str, shape))})" if isinstance(shape, list) else str(shape) for shape in shapes
    )


def _row(figures: Mapping[str, Any], side: str, index: int | None) -> Mapping[str, Any] | None:
    rows: list[Mapping[str, Any]] = figures[side]["rows"]
    return None if index is None else rows[index]
