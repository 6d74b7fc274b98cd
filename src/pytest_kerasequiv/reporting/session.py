"""The written form of a session: its pairs, and what is needed to read and repeat them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_kerasequiv.verdict import Report, Verdict

SCHEMA = "pytest-kerasequiv/session"
VERSION = 1
"""Version of the JSON form; docs/report.md describes it."""


@dataclass(frozen=True)
class SessionReport:
    """All pairs of a session.

    Attributes:
        pairs: one report per pair.
        command: the command line that ran the session, ready to be run again; empty for a single report.
        outcome: what the session came to: ``"passed"``, ``"failed"`` or ``"interrupted"``; ``"running"``
            where it has only begun or was killed, ``""`` where that is not known.
        settings: the settings of the session, name -> value.
        against: what became of each builder against a git revision; empty where none was compared with one.
    """

    pairs: tuple[Report, ...]
    command: str = ""
    outcome: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    against: Mapping[str, Any] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return how many pairs have each verdict."""
        return {verdict.value: sum(p.verdict is verdict for p in self.pairs) for verdict in Verdict}

    def to_json(self) -> str:
        """Return the JSON text; `from_json` reads it back."""
        data = {
            "schema": SCHEMA,
            "version": VERSION,
            "outcome": self.outcome,
            "command": self.command,
            "settings": dict(self.settings),
            "counts": self.counts(),
            **({"against": dict(self.against)} if self.against else {}),
            "pairs": [pair.to_dict() for pair in self.pairs],
        }
        return json.dumps(data, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> SessionReport:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is something else, or of another version.
        """
        data = json.loads(text)
        found = (data.get("schema"), data.get("version")) if isinstance(data, dict) else (None, None)
        if found != (SCHEMA, VERSION):
            raise ValueError(
                f"schema {found[0]!r}, version {found[1]!r}: this version reads {SCHEMA!r} {VERSION}"
            )
        pairs = tuple(Report.from_dict(pair) for pair in data["pairs"])
        return cls(pairs, data["command"], data["outcome"], data["settings"], data.get("against", {}))


def of_reports(reports: Iterable[Report]) -> SessionReport:
    """Return the written form of reports that no session made."""
    return SessionReport(tuple(reports))
