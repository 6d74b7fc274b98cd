"""Reports as one HTML page that needs nothing else: no network, no script; for screen, phone and print."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from pytest_kerasequiv.reporting.causes import culprit
from pytest_kerasequiv.reporting.decision_plot import draw, draw_luck
from pytest_kerasequiv.reporting.divergence import divergence_rows
from pytest_kerasequiv.reporting.graph_picture import draw_from_figures
from pytest_kerasequiv.reporting.outcome import CONDONED, ended
from pytest_kerasequiv.reporting.printable import printable
from pytest_kerasequiv.reporting.session import SessionReport, of_reports
from pytest_kerasequiv.reporting.single_runs import luck_sentences
from pytest_kerasequiv.reporting.text import MEANING, metric_rows, metrics, next_step, number, proved_for
from pytest_kerasequiv.verdict import Report, Verdict

FOLDER = Path(__file__).parent
MOST_DRAWN = 40
"""Most pairs with pictures on a page: hundreds of them would take minutes and ten times the bytes."""
LEFT_OUT = {
    "error": f"a page has pictures of at most {MOST_DRAWN} pairs, those first that are not EQUIVALENT; "
    "the pair's own page, report.save('pair.html'), has them"
}


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
    drawn = _drawn(session.pairs)
    return template.render(
        session=session,
        counts=session.counts(),
        outcome=whole.ending,
        pairs=[
            _view(report, drawn=id(report) in drawn) | {"not_failed": report in whole.not_failed}
            for report in session.pairs
        ],
        not_failed=CONDONED,
        meaning=MEANING,
        style=(FOLDER / "report.css").read_text(encoding="utf-8"),
    )


def _drawn(pairs: Collection[Report]) -> set[int]:
    """Return the ids of the pairs with pictures: of many those first that are not EQUIVALENT."""
    ordered = sorted(pairs, key=lambda report: report.verdict is Verdict.EQUIVALENT)
    return {id(report) for report in ordered[:MOST_DRAWN]}


def _view(report: Report, *, drawn: bool) -> dict[str, Any]:
    """Return what the template shows of one pair, with pictures or without."""
    figures = {name: result.to_dict()["figures"] for name, result in report.checks.items()}
    return {
        "report": report,
        "seconds": sum(result.seconds for result in report.checks.values()),
        "culprit": culprit(report),
        "next_step": next_step(report),
        "proved_for": proved_for(report),
        "inconclusive": report.verdict is Verdict.INCONCLUSIVE,
        "graph": _graph(figures.get("graph", {}), drawn=drawn),
        "summary": _summary(figures.get("summary", {})),
        "divergence": {
            name: divergence_rows(figures[name]["layers"]) for name in figures if figures[name].get("layers")
        },
        "metric_rows": metric_rows(metrics(report)),
        "decisions": [_decision(name, metric, drawn=drawn) for name, metric in metrics(report).items()],
        "training": figures.get("training", {}),
    }


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
