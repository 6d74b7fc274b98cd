"""What the session's equivalence checks found: written where a test runs, gathered where the session ends.

A test's results travel to the controller on ``item.user_properties`` as text, with and without xdist.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kerasequiv.verdict import CheckResult, Report, overall

if TYPE_CHECKING:
    from pytest_kerasequiv.comparison import Comparison

RECORD = "kerasequiv_record"
"""The property that carries a whole report; the controller takes it off before others read the properties."""

PREFIX = "kerasequiv_"


@dataclass
class Entry:
    """One pair of twins that a test looked at.

    Attributes:
        key: tells which results belong to one pair: those of one test, or of the items of one declared pair.
        comparison: the pair with all results so far, by other tests too.
        ran: names of the checks that this test ran, in order.
    """

    key: str
    comparison: Comparison
    ran: list[str] = field(default_factory=list)

    def report(self) -> Report:
        """Return the report over the checks that this test ran."""
        whole = self.comparison.report()
        results = [self.comparison.results[name] for name in self.ran if name in self.comparison.results]
        verdict, evidence, checks = overall(results)
        return Report(
            whole.name, verdict, evidence, {result.name: result for result in checks}, whole.context
        )


ENTRIES = pytest.StashKey[list[Entry]]()


def could_not_run(result: CheckResult) -> bool:
    """Tell whether a check broke instead of comparing: never a pass, and not counted as run."""
    return "traceback" in result.figures


def forget(item: pytest.Item) -> None:
    """Start a run of a test with a clean slate: plugins that repeat failed tests run it several times."""
    item.stash[ENTRIES] = []
    item.user_properties[:] = [entry for entry in item.user_properties if not entry[0].startswith(PREFIX)]


def publish(item: pytest.Item) -> None:
    """Write what a test found so far into its properties, as plain text and numbers."""
    entries = [entry for entry in item.stash.get(ENTRIES, []) if entry.ran]
    if not entries:
        return
    kept = [entry for entry in item.user_properties if not entry[0].startswith(PREFIX)]
    reports = [(entry.key, entry.report()) for entry in entries]
    record = [{"key": key, "report": report.to_dict()} for key, report in reports]
    readable: list[tuple[str, str | float]] = []
    for _, report in reports:
        readable += properties(report, f"[{report.name}]" if len(reports) > 1 else "")
    item.user_properties[:] = [*kept, *readable, (RECORD, json.dumps(record, allow_nan=False))]


def properties(report: Report, suffix: str = "") -> list[tuple[str, str | float]]:
    """Return what JUnit XML shows: verdicts, evidence, and per metric difference, interval and margin."""
    shown: list[tuple[str, str | float]] = [
        (f"{PREFIX}verdict{suffix}", report.verdict.value),
        (f"{PREFIX}evidence{suffix}", report.evidence.value if report.evidence else ""),
    ]
    for name, result in report.checks.items():
        shown.append((f"{PREFIX}{name}{suffix}", result.verdict.value))
    for metric, figures in metrics_of(report).items():
        for name in ("difference", "ci90", "margin"):
            shown.append((f"{PREFIX}{metric}_{name}{suffix}", _plain(figures.get(name))))
    return shown


def metrics_of(report: Report) -> Mapping[str, Any]:
    """Return the figures per metric of the repeated training; empty where there was none."""
    if "training" not in report.checks:
        return {}
    metrics: Mapping[str, Any] = report.checks["training"].to_dict()["figures"].get("metrics", {})
    return metrics


def _plain(value: Any) -> str | float:
    if isinstance(value, list | tuple):
        return f"[{', '.join(str(part) for part in value)}]"
    return value if isinstance(value, int | float | str) else str(value)


class Ledger:
    """All results of a session, by pair; lives in the process that ends the session."""

    def __init__(self) -> None:
        self._by_test: dict[str, list[tuple[str, Report]]] = {}

    def absorb(self, report: pytest.TestReport) -> None:
        """Take the record off a test's report and keep it; the last run of a test counts."""
        if report.when == "setup":
            self._by_test.pop(report.nodeid, None)
        texts = [value for name, value in report.user_properties if name == RECORD]
        if not texts:
            return
        report.user_properties = [entry for entry in report.user_properties if entry[0] != RECORD]
        records = json.loads(str(texts[-1]))
        self._by_test[report.nodeid] = [(r["key"], Report.from_dict(r["report"])) for r in records]

    def pairs(self) -> list[Report]:
        """Return one report per pair, its checks gathered from all tests that looked at it, in a fixed order."""
        groups: dict[str, list[Report]] = {}
        for entries in self._by_test.values():
            for key, report in entries:
                groups.setdefault(key, []).append(report)
        return [merged(groups[key]) for key in sorted(groups)]

    @property
    def executed(self) -> int:
        """How many equivalence checks ran to an answer."""
        return sum(not could_not_run(r) for pair in self.pairs() for r in pair.checks.values())


def merged(reports: Iterable[Report]) -> Report:
    """Return one report of a pair from those of its tests."""
    from pytest_kerasequiv.comparison import LADDER

    listed = list(reports)
    results = {name: result for report in listed for name, result in report.checks.items()}
    verdict, evidence, checks = overall(results[name] for name in LADDER if name in results)
    first = listed[0]
    return Report(first.name, verdict, evidence, {result.name: result for result in checks}, first.context)
