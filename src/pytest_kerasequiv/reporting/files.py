"""A session's report as files in a folder."""

from __future__ import annotations

from pathlib import Path

from pytest_kerasequiv.reporting import html, markdown
from pytest_kerasequiv.reporting.session import SessionReport


def write_session(session: SessionReport, folder: Path) -> list[Path]:
    """Write ``report.html``, ``report.json`` and ``summary.md`` and return their paths.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.html": html.render_session(session),
        "report.json": session.to_json(),
        "summary.md": markdown.render(session),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def append_summary(session: SessionReport, path: Path) -> None:
    """Append the summary to a file, such as the one that GitHub shows on the page of a job."""
    with path.open("a", encoding="utf-8") as file:
        file.write(markdown.render(session) + "\n")
