"""A session's report as files in a folder: each is whole, and none is older than its session."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pytest_kerasequiv.reporting import html, markdown
from pytest_kerasequiv.reporting.session import SessionReport
from pytest_kerasequiv.verdict import Report

Session = TypeVar("Session", bound=SessionReport)

NAMES = ("report.html", "report.json", "summary.md")


def write_session(session: SessionReport, folder: Path) -> list[Path]:
    """Write ``report.html``, ``report.json`` and ``summary.md`` and return their paths.

    They are written under other names and put in place when all of them are whole.

    Raises:
        OSError: the folder cannot be made or written to; what was in place stays there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    session = _without_home(session)
    texts = (html.render_session(session), session.to_json(), markdown.render(session))
    return _replace({folder / name: text for name, text in zip(NAMES, texts, strict=True)})


def announce_session(session: SessionReport, folder: Path) -> None:
    """Write the report of a session that begins; where that fails, no report of an earlier one stays."""
    try:
        write_session(session, folder)
    except OSError:  # told at the end, if it is so still
        for name in NAMES:
            with contextlib.suppress(OSError):
                (folder / name).unlink()


def append_summary(session: SessionReport, path: Path) -> None:
    """Append the summary to a file, such as the one that GitHub shows on the page of a job."""
    with path.open("a", encoding="utf-8") as file:
        file.write(markdown.render(_without_home(session)) + "\n")


def _without_home(session: Session) -> Session:
    """Return a session with the user's home folder, which names the user, written as ``~``."""
    home = str(Path.home())
    if len(home) == 1:
        return session

    def told(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace(f"{home}/", "~/")
        if isinstance(value, Mapping):
            return {told(key): told(one) for key, one in value.items()}
        return [told(one) for one in value] if isinstance(value, list) else value

    whole: dict[str, Any] = {"command": told(session.command)}
    for name in ("pairs", "not_failed"):
        reports = getattr(session, name, None)
        if reports is not None:
            whole[name] = tuple(Report.from_dict(told(report.to_dict())) for report in reports)
    return replace(session, **whole)


def _replace(texts: Mapping[Path, str]) -> list[Path]:
    parts = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in texts}
    try:
        for path, text in texts.items():
            parts[path].write_text(text, encoding="utf-8")
        for path, part in parts.items():
            part.replace(path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return list(texts)
