"""A session as a short Markdown summary, for a pull request's page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_kerasequiv.reporting.causes import account
from pytest_kerasequiv.reporting.outcome import CONDONED, Outcome, ended
from pytest_kerasequiv.reporting.printable import printable
from pytest_kerasequiv.reporting.session import SessionReport
from pytest_kerasequiv.reporting.text import SHOWN_FINDINGS, followed, metric_rows, metrics, next_step
from pytest_kerasequiv.verdict import Report, Verdict


def render(session: SessionReport) -> str:
    """Return the summary: a line per pair, then what differs, then the metrics of repeated training.

    Of a session that did not pass, the outcome comes first.
    """
    whole = ended(session)
    lines = ["## Equivalence of Keras models", "", *_outcome(whole.ending)]
    lines += _against(session.against)
    if not session.pairs:
        nothing = [] if whole.ending.how == "running" else ["No equivalence check ran.", ""]
        return printable("\n".join([*lines, *nothing]))
    lines += ["| pair | verdict | evidence | checks | seconds |", "|---|---|---|---|---|"]
    lines += [_pair_row(pair) for pair in session.pairs]
    for pair in session.pairs:
        lines += _explained(pair, not_failed=pair in whole.not_failed)
    for pair in session.pairs:
        lines += _metrics(pair)
    if session.command:
        lines += ["", f"Repeat with `{session.command.replace('`', '')}`"]
    return printable("\n".join([*lines, ""]))


def escaped(text: str) -> str:
    """Return text that Markdown and HTML show as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", " ".join(text.split()))


def _outcome(outcome: Outcome) -> Iterator[str]:
    if str(outcome):
        yield f"**{escaped(str(outcome))}**"
        yield ""
    for title, tests in outcome.named.items():
        yield f"{title}:"
        yield ""
        yield from (f"- {escaped(test)}" for test in tests)
        yield ""


def _against(against: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table of builders against a revision."""
    if not against:
        return
    yield f"Builders: {escaped(against['compared'])}"
    yield from ("", "| builder | against the revision | cause |", "|---|---|---|")
    for row in against["builders"]:
        yield f"| {escaped(row['name'])} | {escaped(row['state'])} | {escaped(row['cause'])} |"
    yield ""


def _pair_row(pair: Report) -> str:
    seconds = sum(result.seconds for result in pair.checks.values())
    evidence = pair.evidence.value.lower() if pair.evidence else ""
    verdict = pair.verdict.value if pair.verdict is Verdict.EQUIVALENT else f"**{pair.verdict.value}**"
    return f"| {escaped(pair.name)} | {verdict} | {evidence} | {len(pair.checks)} | {seconds:.1f} |"


def _explained(pair: Report, *, not_failed: bool) -> Iterator[str]:
    if pair.verdict is Verdict.EQUIVALENT:
        return
    yield ""
    yield f"**{escaped(pair.name)}**"
    sorted_out = account(pair)
    yield from (f"- {escaped(cause.message)}" for cause in sorted_out.causes[:SHOWN_FINDINGS])
    if sorted_out.consequences:
        yield f"- {escaped(followed(sorted_out))}"
    if pair.not_run:
        why = dict.fromkeys(pair.not_run.values())
        yield f"- Not run: {escaped(', '.join(pair.not_run))} ({escaped(', '.join(why))})"
    if not_failed:
        yield f"- {CONDONED}"
    step = next_step(pair)
    if step:
        yield f"- Next: {escaped(step)}"


def _metrics(pair: Report) -> Iterator[str]:
    rows = metric_rows(metrics(pair))
    if not rows:
        return
    yield ""
    yield f"Repeated training of {escaped(pair.name)}:"
    yield ""
    header, *body = rows
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in body:
        yield f"| {' | '.join(escaped(cell) for cell in row)} |"
