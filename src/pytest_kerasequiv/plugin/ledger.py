"""What the session's equivalence checks found: written where a test runs, gathered where the session ends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kerasequiv.deciding import overall
from pytest_kerasequiv.plugin.records import ENTRIES, NEW, PREFIX, RECORD
from pytest_kerasequiv.reporting.printable import printable_line
from pytest_kerasequiv.reporting.text import metrics
from pytest_kerasequiv.verdict import CheckResult, Report, Verdict

if TYPE_CHECKING:
    from pytest_kerasequiv.comparison import Comparison


class Entry:
    """One pair of twins that a test looked at.

    Attributes:
        key: tells which results belong to one pair: those of one test, or of the items of one declared pair.
        number: the number of the comparison.
        ran: names of the checks that this test ran, in order.
        informs: those of them whose differences are left to the numeric checks of the pair.
    """

    def __init__(self, key: str, comparison: Comparison, ran: Iterable[str] = ()) -> None:
        self.key = key
        self.number = comparison.number
        self.ran = list(ran)
        self.informs: list[str] = []
        self._comparison: Comparison | None = comparison
        self._report: Report | None = None

    @property
    def comparison(self) -> Comparison:
        """The pair with all results so far, by other tests too; gone when its test is over."""
        if self._comparison is None:
            raise RuntimeError("the test that compared these twins is over; its report is what is left")
        return self._comparison

    def report(self) -> Report:
        """Return the report over the checks that this test ran."""
        return self._report if self._report is not None else self.comparison.report(self.ran)

    def close(self) -> None:
        """Keep the report and let go of the twins: what stays of a finished test is its report."""
        self._report = self.report()
        self._comparison = None


def enter(item: pytest.Item, comparisons: Iterable[Comparison]) -> None:
    """Keep what a test compared without a fixture."""
    entries = item.stash[ENTRIES]
    for comparison in comparisons:
        key = f"{item.nodeid}::{len(entries)}"
        entries.append(Entry(key, comparison, ran=[*comparison.results, *comparison.not_run]))


def could_not_run(result: CheckResult) -> bool:
    """Tell whether a check broke instead of comparing: never a pass, and not counted as run."""
    return "traceback" in result.figures


def publish(item: pytest.Item) -> None:
    """Write what a test found so far into its properties, as plain text and numbers."""
    found = [(entry, entry.report()) for entry in item.stash.get(ENTRIES, [])]
    told = [(entry, report) for entry, report in found if report.checks or report.not_run]
    if not told:
        return
    kept = [entry for entry in item.user_properties if not entry[0].startswith(PREFIX)]
    reports = [report for _, report in told]
    readable: list[tuple[str, str | float]] = []
    for report in reports:
        readable += properties(report, f"[{report.name}]" if len(reports) > 1 else "")
    from pytest_kerasequiv.checks.ladder import LADDER

    record = [
        {"key": entry.key, "informs": entry.informs, "ladder": LADDER.names, "report": report.to_dict()}
        for entry, report in told
    ]
    item.user_properties[:] = [*kept, *readable, (RECORD, json.dumps(record, allow_nan=False))]


def close(item: pytest.Item) -> None:
    """Let go of all twins of a test that is over."""
    for entry in item.stash.get(ENTRIES, []):
        entry.close()


def properties(report: Report, suffix: str = "") -> list[tuple[str, str | float]]:
    """Return what JUnit XML shows: verdicts, evidence, and per metric difference, interval and margin."""
    shown: list[tuple[str, str | float]] = [
        (f"{PREFIX}verdict{suffix}", report.verdict.value),
        (f"{PREFIX}evidence{suffix}", report.evidence.value if report.evidence else ""),
    ]
    for name, result in report.checks.items():
        shown.append((f"{PREFIX}{name}{suffix}", result.verdict.value))
    shown += [(f"{PREFIX}{name}{suffix}", f"not run: {why}") for name, why in report.not_run.items()]
    for metric, figures in metrics(report).items():
        for name in ("difference", "ci90", "margin"):
            shown.append((f"{PREFIX}{metric}_{name}{suffix}", _plain(figures.get(name))))
    return [(printable_line(name), value) for name, value in shown]  # pytest escapes values only


def _plain(value: Any) -> str | float:
    if isinstance(value, list | tuple):
        return f"[{', '.join(str(part) for part in value)}]"
    return value if isinstance(value, int | float | str) else str(value)


@dataclass(frozen=True)
class Record:
    """What one test found about one pair, as it travelled.

    Attributes:
        key: tells which records belong to one pair.
        informs: the checks whose differences are left to the numeric checks of the pair.
        ladder: the order of checks where the test ran.
        report: what it found.
    """

    key: str
    informs: tuple[str, ...]
    ladder: tuple[str, ...]
    report: Report


class Ledger:
    """All results of a session, by test; lives in the process that ends the session."""

    def __init__(self) -> None:
        self._by_test: dict[str, list[Record]] = {}
        self._failed: set[str] = set()
        self._new: dict[str, str] = {}

    def absorb(self, report: pytest.TestReport) -> None:
        """Take the record off a test's report and keep it; the last run of a test counts."""
        if report.when == "setup":
            self._by_test.pop(report.nodeid, None)
            self._failed.discard(report.nodeid)
        if report.failed:
            self._failed.add(report.nodeid)
        told = [json.loads(str(value)) for name, value in report.user_properties if name == NEW]
        self._new |= {one["name"]: one["why"] for one in told}
        texts = [value for name, value in report.user_properties if name == RECORD]
        if not texts:
            return
        report.user_properties = [entry for entry in report.user_properties if entry[0] != RECORD]
        self._by_test[report.nodeid] = [
            Record(r["key"], tuple(r["informs"]), tuple(r["ladder"]), Report.from_dict(r["report"]))
            for r in json.loads(str(texts[-1]))
        ]

    def pairs(self) -> list[Report]:
        """Return one report per pair, its checks gathered from all its tests, in a fixed order."""
        groups = self._groups()
        return [merged(groups[key]) for key in sorted(groups)]

    def not_failed(self) -> list[Report]:
        """Return the pairs that are not EQUIVALENT though no test failed over them."""
        failed = {record.key for test in self._failed for record in self._by_test.get(test, [])}
        groups = self._groups()
        reports = [merged(groups[key]) for key in sorted(groups) if key not in failed]
        return [report for report in reports if report.verdict is not Verdict.EQUIVALENT]

    @property
    def new(self) -> list[dict[str, str]]:
        """Name and reason of each builder that the revision compared with does not have."""
        return [{"name": name, "why": why} for name, why in self._new.items()]

    @property
    def executed(self) -> int:
        """How many equivalence checks ran to an answer."""
        return sum(not could_not_run(r) for pair in self.pairs() for r in pair.checks.values())

    def unsettled(self) -> list[Report]:
        """Return the pairs whose differences were left to numeric checks, none of which ran."""
        left = [records for records in self._groups().values() if any(record.informs for record in records)]
        reports = [merged(records) for records in left]
        return [
            report
            for report in reports
            if report.verdict is not Verdict.EQUIVALENT
            and not any(result.kind.runs for result in report.checks.values())
        ]

    def _groups(self) -> dict[str, list[Record]]:
        groups: dict[str, list[Record]] = {}
        for records in self._by_test.values():
            for record in records:
                groups.setdefault(record.key, []).append(record)
        return groups


def merged(records: Sequence[Record]) -> Report:
    """Return one report of a pair from the records of its tests."""
    results = {name: result for record in records for name, result in record.report.checks.items()}
    verdict, evidence, checks = overall(results[name] for name in records[0].ladder if name in results)
    first = records[0].report
    left = {name: why for record in records for name, why in record.report.not_run.items()}
    not_run = {name: left[name] for name in records[0].ladder if name in left and name not in results}
    return Report(
        first.name, verdict, evidence, {result.name: result for result in checks}, first.context, not_run
    )
