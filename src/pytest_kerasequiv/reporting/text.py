"""A report as text: the headline, the culprit, the checks, the metrics of the training, the next step."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_kerasequiv.reporting.causes import (
    Account,
    account,
    culprit,
    names_a_setting,
    of_kind,
    where_found,
    with_layer,
)
from pytest_kerasequiv.reporting.printable import name_in, printable, printable_line
from pytest_kerasequiv.reporting.single_runs import luck_sentences
from pytest_kerasequiv.verdict import MISMATCHED, CheckResult, Evidence, Finding, Kind, Report, Verdict

WIDTH = 100
SHOWN_FINDINGS = 5
SHOWN_LINES = 3
"""Of a finding that is not the culprit, more only where its first line takes more."""
LONGEST_LINE = 6
"""Lines that one line of a message takes at most."""
SHORTEST_NAME = 20
"""Columns that the name of a metric keeps in a table that is too wide."""

REMEDIES = {
    "dtype": "where the coarser dtype is meant, pass rtol and atol.",
    "error": "mend what fails, or compare on inputs= that both sides take.",
    "outputs": "let both sides return their outputs in one structure.",
    "shape": "compare the code of both sides.",
}
"""What to do about a difference that is no setting, by its field."""

MEANING = "INCONCLUSIVE is neither a pass nor a difference: what was observed does not settle the question."


def render(report: Report) -> str:
    """Return the text of a report, 100 columns at most, the causes first."""
    sorted_out = account(report)
    blocks = [
        [headline(report)],
        list(_cause_lines(sorted_out)),
        list(_check_lines(report)),
        list(_proof_lines(report)),
        list(_recorded_lines(report)),
        list(_side_by_side_lines(report)),
        list(_note_lines(report, sorted_out)),
        metric_table(metrics(report)),
        list(luck_lines(metrics(report))),
        list(_next_step_lines(report)),
    ]
    return printable("\n".join("\n".join(block) for block in blocks if block))


def headline(report: Report) -> str:
    """Return one line: the verdict and what it rests on, the pair and its sides.

    The verdict comes first, since pytest's summary of failures shows no more than the beginning.
    """
    evidence = f" ({report.evidence.value.lower()})" if report.evidence else ""
    labels = [str(report.context[side]) for side in ("reference", "candidate") if side in report.context]
    line = f"{report.verdict.value}{evidence}: {report.name}"
    for named in (labels, [label.rpartition("/")[2] for label in labels]):  # in full, or the names of files
        sides = f" [{' against '.join(named)}]" if len(set(named)) == 2 else ""
        if len(line + sides) <= WIDTH:
            return printable_line(line + sides)
    return printable_line(line)


def metrics(report: Report) -> Mapping[str, Any]:
    """Return the figures per metric of the repeated training; empty where there was none."""
    figures = [result.to_dict()["figures"] for result in of_kind(report, Kind.STATISTICAL)]
    return {name: metric for one in figures for name, metric in one.get("metrics", {}).items()}


def _cause_lines(sorted_out: Account) -> Iterator[str]:
    """Yield the causes, then in one line what follows from them."""
    for number, cause in enumerate(sorted_out.causes[:SHOWN_FINDINGS]):
        yield from _whole(cause) if number == 0 else _beginning(cause, "  ")
    if len(sorted_out.causes) > SHOWN_FINDINGS:
        yield f"  and {len(sorted_out.causes) - SHOWN_FINDINGS} more differences: see report.findings"
    if sorted_out.consequences:
        line = f"{followed(sorted_out)}: see report.findings"
        yield from textwrap.wrap(line, WIDTH, initial_indent="    ", subsequent_indent="    ")


def cause_lines(report: Report, width: int = WIDTH) -> list[str]:
    """Return the first cause of a pair that is not EQUIVALENT, in `SHOWN_LINES` lines at most."""
    causes = account(report).causes if report.verdict is not Verdict.EQUIVALENT else ()
    if not causes:
        return []
    more = f" (and {len(causes) - 1} more)" if len(causes) > 1 else ""
    told = f"{causes[0].check}: {with_layer(causes[0])}".partition("\n")[0]
    return textwrap.wrap(
        told + more, width, subsequent_indent="  ", max_lines=SHOWN_LINES, placeholder=" ..."
    )


def followed(sorted_out: Account) -> str:
    """Say which checks found what follows from the causes."""
    these = "these" if len(sorted_out.causes) > 1 else "it"
    return f"other findings of {where_found(sorted_out.consequences)} follow from {these}"


def _whole(finding: Finding) -> Iterator[str]:
    for part in _finding_parts(finding, "  ", WIDTH):
        yield from part


def _finding_parts(finding: Finding, mark: str, width: int) -> Iterator[list[str]]:
    """Yield each line of a finding's message, wrapped; the first behind a mark, the others indented."""
    for number, line in enumerate(f"{finding.check}: {with_layer(finding)}".splitlines()):
        indent = mark if number == 0 else "    "
        yield textwrap.wrap(line, width, initial_indent=indent, subsequent_indent="    ")


def _check_lines(report: Report) -> Iterator[str]:
    for result in report.checks.values():
        evidence = result.evidence.value.lower() if result.evidence else ""
        evidence = "in form only" if in_form_only(report, result) else evidence
        line = f"  {result.name:<10} {result.verdict.value:<13} {evidence:<12} "
        yield line + (FOLLOWS if follows(result) else f"{result.seconds:>8.2f} s")
    for name, why in report.not_run.items():
        yield f"  {name:<10} not run: {why}"


def proved_for(report: Report) -> list[str]:
    """Return the entries of the surface, in words, in which the programs are proved to be the same."""
    proofs = [one for one in of_kind(report, Kind.PROVING) if one.evidence is Evidence.PROVED]
    return [str(entry) for proof in proofs for entry in proof.figures.get("entries", ())]


def _proof_lines(report: Report) -> Iterator[str]:
    """Yield one line with the entries that a proof covers, as many as there is room for."""
    entries = proved_for(report)
    for shown in range(len(entries), 0, -1):
        left = len(entries) - shown
        line = f"  proved for: {', '.join(entries[:shown])}{f' and {left} more' if left else ''}"
        if len(line) <= WIDTH or shown == 1:
            yield line
            return


def _recorded_lines(report: Report) -> Iterator[str]:
    """Yield under what the reference was recorded, if it was: a pass under other versions is no proof."""
    made = report.context.get("recorded")
    if made:
        named = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
        line = f"recorded under: {named} on {made['platform']}"
        yield from textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")


FOLLOWS = "follows from program"
"""What is said of a numeric check of proved twins, which cost nothing."""


def follows(result: CheckResult) -> bool:
    """Tell whether the answer of a check follows from the proof of another."""
    return "follows" in result.figures


def in_form_only(report: Report, result: CheckResult) -> bool:
    """Tell whether a check found layers or rows that differ in a pair that is EQUIVALENT all the same."""
    return report.verdict is Verdict.EQUIVALENT and result.verdict is Verdict.DIFFERENT


def _side_by_side_lines(report: Report) -> Iterator[str]:
    """Yield both summaries side by side where rows differ and nothing but structure was compared."""
    if of_kind(report, Kind.NUMERIC, Kind.STATISTICAL):
        return
    for result in of_kind(report, Kind.INFORMING):
        if result.differences:
            yield from str(result.figures.get("text", "")).splitlines()


def _note_lines(report: Report, sorted_out: Account) -> Iterator[str]:
    """Yield the beginnings of the notes, and in one line what was found and is expected.

    Where a difference is named, notes on how it was looked for are only counted. One that says where programs
    part is read where nothing but numbers are the difference.
    """
    if sorted_out.accepted:
        yield from _accepted_lines(sorted_out.accepted)
    notes = _untabled(report, sorted_out.notes)
    shown = [
        note
        for note in notes
        if report.verdict is not Verdict.DIFFERENT
        or _of_training(report, note)
        or (note.field == "operation" and any(MISMATCHED in one.message for one in sorted_out.causes[:1]))
    ]
    for note in shown[:SHOWN_FINDINGS]:
        yield from _beginning(note, "  - note, ")
    left = len(notes) - len(shown[:SHOWN_FINDINGS])
    if left:
        told = "more note" if shown else "note"
        yield f"  {left} {told}{'s' if left > 1 else ''}: see report.findings, or --kerasequiv-report DIR"


def _accepted_lines(found: Sequence[Finding]) -> list[str]:
    named = list(dict.fromkeys(f.field for f in found))
    more = f" and {len(named) - SHOWN_FINDINGS} more" if named[SHOWN_FINDINGS:] else ""
    count = f"{len(found)} difference{'s' if len(found) > 1 else ''}"
    line = f"accepted, {count} in {where_found(found)}: {', '.join(named[:SHOWN_FINDINGS])}{more}"
    return textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _of_training(report: Report, finding: Finding) -> bool:
    return report[finding.check].kind is Kind.STATISTICAL


def _untabled(report: Report, notes: Sequence[Finding]) -> list[Finding]:
    """Return the notes but what the table of metrics says."""
    tabled = {name for name, metric in metrics(report).items() if metric.get("verdict") == Verdict.EQUIVALENT}
    return [
        note
        for note in notes
        if not (_of_training(report, note) and note.field in tabled and note.reference is not None)
    ]


def _beginning(finding: Finding, mark: str) -> list[str]:
    """Return the first line of a finding's message, and as many whole further ones as there is room for."""
    first, *rest = _finding_parts(finding, mark, WIDTH - len(" ..."))
    lines = first[:LONGEST_LINE]
    for part in rest if len(first) <= LONGEST_LINE else ():
        if len(lines) + len(part) > SHOWN_LINES:
            break
        lines += part
    if len(lines) < len(first) + sum(map(len, rest)):
        lines[-1] += " ..."
    return lines


def metric_table(figures: Mapping[str, Any], width: int = WIDTH) -> list[str]:
    """Return the table of metrics; where it is too wide, with fewer digits, then with shorter names."""
    for digits in (4, 3, 2):
        rows = [(printable_line(name), *cells) for name, *cells in metric_rows(figures, digits)]
        lines = _aligned(rows)
        beyond = max(map(len, lines), default=0) - width
        if beyond <= 0:
            return lines
    room = max(max(len(name) for name, *_ in rows) - beyond, SHORTEST_NAME)
    return _aligned([(name_in(name, room), *cells) for name, *cells in rows])


def luck_lines(figures: Mapping[str, Any], width: int = WIDTH, *, seen_only: bool = False) -> Iterator[str]:
    """Yield how far apart two single runs of the reference are, metric by metric.

    Args:
        figures: the figures per metric.
        width: columns at most.
        seen_only: only what is said of the values that the user saw.
    """
    for name, metric in figures.items():
        if "luck" in metric:
            usual, *seen = luck_sentences(metric["luck"])
            for sentence in seen if seen_only else [usual, *seen]:
                yield from textwrap.wrap(
                    f"{name_in(name, width)}: {sentence}",
                    width,
                    initial_indent="  ",
                    subsequent_indent="    ",
                )


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)] for row in rows]
    return ["  ".join(cells).rstrip() for cells in padded]


def metric_rows(figures: Mapping[str, Any], digits: int = 4) -> list[tuple[str, ...]]:
    """Return the cells: mean ± sd of both, the difference with its interval, the margin; a header first."""
    if not figures:
        return []
    header = ("metric", "reference", "candidate", "difference [90 % interval]", "margin", "verdict")
    return [header, *(_metric_row(name, metric, digits) for name, metric in figures.items())]


def _metric_row(name: str, metric: Mapping[str, Any], digits: int) -> tuple[str, ...]:
    interval = metric.get("ci90")
    difference = number(metric.get("difference"), digits)
    if isinstance(interval, list | tuple):
        difference += f" [{', '.join(number(bound, digits) for bound in interval)}]"
    return (
        name,
        _mean_and_sd(metric.get("reference", {}), digits),
        _mean_and_sd(metric.get("candidate", {}), digits),
        difference,
        _margin(metric, digits),
        str(metric.get("verdict", "")),
    )


def _mean_and_sd(side: Mapping[str, Any], digits: int) -> str:
    if _all_failed(side):
        return "all runs failed"
    return f"{number(side.get('mean'), digits)} ± {number(side.get('sd'), digits)}"


def _all_failed(side: Mapping[str, Any]) -> bool:
    return bool(side.get("failed")) and side["failed"] == len(side.get("values", ()))


def _mostly_failed(metric: Mapping[str, Any]) -> bool:
    sides = [metric.get("reference", {}), metric.get("candidate", {})]
    return any(2 * side.get("failed", 0) > len(side.get("values", ())) for side in sides)


def _margin(metric: Mapping[str, Any], digits: int) -> str:
    label = str(metric.get("margin_label") or "")
    size = f"±{number(metric.get('margin'), digits)}"
    if label.startswith(f"{size[1:]} ("):
        return f"±{label}"
    return f"{size} ({label})" if label and label != str(metric.get("margin")) else size


def number(value: Any, digits: int = 4) -> str:
    """Return a number in so many significant digits; other things as they are."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.{digits}g}" if is_number else str(value)


def _next_step_lines(report: Report) -> Iterator[str]:
    step = next_step(report)
    if step:
        yield from textwrap.wrap(step, WIDTH, initial_indent="  Next: ", subsequent_indent="  ")


def next_step(report: Report) -> str:
    """Return what to do about a verdict; nothing about EQUIVALENT, nor where the cause says it all."""
    if report.verdict is Verdict.EQUIVALENT:
        return ""
    first = culprit(report)
    if report.verdict is Verdict.DIFFERENT:
        return _remedy(report, first) if first else ""
    return f"{MEANING} {_settle(report)}"


def _remedy(report: Report, finding: Finding) -> str:
    """Return what to do about a difference: what names a setting and both its values needs no more words."""
    if names_a_setting(finding) or finding.field in REMEDIES:
        return REMEDIES.get(finding.field, "")
    return report[finding.check].next_step


def _settle(report: Report) -> str:
    broken = [name for name, result in report.checks.items() if "traceback" in result.figures]
    if broken:
        return f"The check {broken[0]} could not run; its error is named above."
    statistical = of_kind(report, Kind.STATISTICAL)
    if any(result.verdict is Verdict.INCONCLUSIVE for result in statistical):
        if any(any(result.figures.get("missing", {}).values()) for result in statistical):
            return (
                "Runs are missing that the machines did not finish: mend what is named above and run again."
            )
        if any(_mostly_failed(m) for m in metrics(report).values()):
            return "Most runs of a twin failed, and more seeds will not change that; find out why they do."
        runs = [m.get("recommended_runs") for m in metrics(report).values()]
        known = [int(n) for n in runs if isinstance(n, int | float)]
        more = f" (about {max(known)} are recommended)" if known else ""
        return f"Train more seeds{more}, or widen the margin if your subject allows it."
    return "The findings above say what kept the checks from an answer."
