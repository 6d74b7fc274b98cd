"""The equivalence section at the end of a session."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from pytest_kerasequiv.reporting.outcome import CONDONED
from pytest_kerasequiv.reporting.text import metric_table, metrics
from pytest_kerasequiv.verdict import Report, Verdict

WIDTH = 100


def section(pairs: Iterable[Report], condoned: Collection[Report] = ()) -> Iterator[str]:
    """Yield the section: per pair its verdict, evidence, checks and seconds, then its metrics.

    Args:
        pairs: the pairs.
        condoned: those of them that are not EQUIVALENT though no test failed over them.
    """
    for report in pairs:
        yield _headline(report)
        for verdict in Verdict:
            names = [name for name, result in report.checks.items() if result.verdict is verdict]
            if names:
                yield f"    {verdict.value + ':':<14}{' '.join(names)}"
        if report in condoned:
            yield f"    {CONDONED}"
        yield from (f"    {line}" for line in metric_table(metrics(report), WIDTH - 4))


def _headline(report: Report) -> str:
    seconds = sum(result.seconds for result in report.checks.values())
    evidence = f" ({report.evidence.value.lower()})" if report.evidence else ""
    checks = f"{len(report.checks)} check{'s' if len(report.checks) != 1 else ''}"
    right = f"{checks}, {seconds:.1f} s"
    left = f"{report.verdict.value}{evidence}"
    room = WIDTH - 26 - len(right) - 1
    name = report.name if len(report.name) <= room else report.name[: room - 1] + "…"
    return f"{left:<26}{name:<{room}} {right}"
