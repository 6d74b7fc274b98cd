"""What became of each builder against a git revision: unchanged, equivalent, different, new."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_kerasequiv.reporting.causes import culprit
from pytest_kerasequiv.verdict import Evidence, Report, Verdict

NEW = "new"
WIDTH = 100
INDENT = " " * 26


def against_revision(
    pairs: Iterable[Report], new: Iterable[Mapping[str, str]], told: str = ""
) -> dict[str, Any]:
    """Return what is listed of a session that compared builders with a revision; empty for any other.

    Args:
        pairs: the reports of the session.
        new: of each builder that the revision does not have its ``name`` and ``why``.
        told: what was compared with what.
    """
    compared = [pair for pair in pairs if "against" in pair.context]
    fresh = ({"name": one["name"], "state": NEW, "cause": one["why"]} for one in new)
    builders = [*map(_row, compared), *fresh]
    if not builders:
        return {}
    read = sorted({file for pair in compared for file in pair.context["against"]["read"]})
    return {"compared": told, "builders": builders, "read": read}


def _row(pair: Report) -> dict[str, str]:
    first = culprit(pair)
    cause = "" if first is None or pair.verdict is Verdict.EQUIVALENT else f"{first.check}: {first.message}"
    return {"name": pair.name, "state": _state(pair), "cause": cause.partition("\n")[0]}


def _state(pair: Report) -> str:
    if pair.verdict is not Verdict.EQUIVALENT:
        return pair.verdict.value.lower()
    if pair.evidence is Evidence.PROVED:
        return "unchanged (proved)"
    return f"equivalent ({pair.evidence.value.lower()})" if pair.evidence else "equivalent"


def revision_lines(against: Mapping[str, Any]) -> Iterator[str]:
    """Yield the list as text; nothing where there is none."""
    if not against:
        return
    yield f"builders: {against['compared']}"
    for row in against["builders"]:
        yield f"    {row['state']:<22}{row['name']}"
        yield from textwrap.wrap(row["cause"], WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    if against["read"]:
        yield f"    the code of then read files of the working tree: {', '.join(against['read'][:5])}"
