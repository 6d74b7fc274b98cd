"""The score of a run of the fuzzer: what was tried, what came out, and what of `keras.layers` it drew."""

from __future__ import annotations

import collections
import re
import resource
import time
from pathlib import Path
from typing import Any

import keras
from tests.common.random_layers import NOT_COVERED, PARTS
from tests.common.trials import CHANGED, Trial

from pytest_kerasequiv import Report, Verdict
from pytest_kerasequiv.reporting.causes import culprit

WRONG = ("false alarm", "miss", "wrong proof", "asymmetric", "unsteady", "crash")
"""The kinds of violation."""


class Score:
    """What was tried and what came out, told every minute and at the end."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.recipes = 0
        self.answers: collections.Counter[tuple[str, str]] = collections.Counter()
        self.wrong: collections.Counter[str] = collections.Counter()
        self.again: collections.Counter[str] = collections.Counter()
        self.causes: collections.Counter[str] = collections.Counter()
        self.open: collections.Counter[str] = collections.Counter()
        self.classes: collections.Counter[str] = collections.Counter()
        self.started = self.told = time.monotonic()

    def count(self, trial: Trial, report: Report) -> None:
        """Count an answer: by property, the cause that it names, or why it is open."""
        evidence = f" {report.evidence.value.lower()}" if report.evidence else ""
        self.answers[trial.property, report.verdict.value + evidence] += 1
        if report.verdict is Verdict.INCONCLUSIVE:
            side = CHANGED if trial.change else "equal"
            self.open[f"{side}: {reason(report)}"] += 1
        if trial.change and report.verdict is Verdict.DIFFERENT:
            self.causes[named(trial, report)] += 1

    def violated(self, kind: str, what: str) -> None:
        """Count and print a violation."""
        self.wrong[kind] += 1
        print(f"{kind.upper()}: {what}", flush=True)

    def tell(self, *, now: bool = False) -> None:
        """Print the score and write it to its file, at most once a minute unless it is due now."""
        if not now and time.monotonic() - self.told < 60:
            return
        self.told = time.monotonic()
        if self.path is not None:
            part = self.path.with_suffix(".part")
            part.write_text(f"{self}\n", encoding="utf-8")
            part.replace(self.path)
        print(f"\n{self}\n" if now else f"... {self.line()}", flush=True)

    def line(self) -> str:
        """Return the score in one line."""
        wrong = ", ".join(f"{kind} {self.wrong[kind]}" for kind in WRONG)
        pairs = sum(self.answers.values())
        return f"{self.minutes():.0f} min, {self.recipes} recipes, {pairs} pairs; {wrong}"

    def minutes(self) -> float:
        """Return how long the run has gone on."""
        return (time.monotonic() - self.started) / 60

    def __str__(self) -> str:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        again = ", ".join(f"{what} {n}" for what, n in self.again.items()) or "none"
        lines = [self.line(), f"compared once more: {again}", f"peak memory: {peak:.0f} MB", ""]
        lines += _table(self.answers)
        for title, counts in (("causes named", self.causes), ("INCONCLUSIVE, by reason", self.open)):
            lines += ["", f"{title} ({sum(counts.values())}):"]
            lines += [f"  {n:5} {what}" for what, n in counts.most_common()]
        return "\n".join([*lines, "", *_coverage(self.classes)])


def _table(answers: collections.Counter[tuple[str, str]]) -> list[str]:
    columns = sorted({answer for _, answer in answers})
    rows = [("property", "pairs", *columns)]
    for name in dict.fromkeys(name for name, _ in answers):
        counts = [answers[name, column] for column in columns]
        rows.append((name, str(sum(counts)), *map(str, counts)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]


def reason(report: Report) -> str:
    """Return why a report is open: the check and the field, and what was said without names and numbers."""
    first = culprit(report) or next(iter(report.findings), None)
    if first is None:
        return "nothing said"
    said = re.sub(r"'[^']*'|\S*\d\S*", "…", first.message.splitlines()[0])
    return f"{first.check}, {first.field}: {said[:90]}"


def named(trial: Trial, report: Report) -> str:
    """Tell whether what a report names first is the change: its setting, or only the layer, or neither."""
    assert trial.change is not None
    first = culprit(report)
    told = f"{first.field} {first.message} {first.reference_layer} {first.candidate_layer}" if first else ""
    if any(word in told for word in trial.change.words):
        return "the setting"
    if trial.change.layer and trial.change.layer in told:
        return "the layer, not the setting"
    return f"neither: {re.sub('=.*', '', trial.change.what)}"


def _coverage(drawn: collections.Counter[str]) -> list[str]:
    """Return which classes of `keras.layers` were drawn, which not yet, and which are not by any recipe."""
    known = {part.name for part in PARTS}
    lines = [f"classes of keras.layers drawn: {len(drawn)} of {len(known)} that recipes draw:"]
    lines += [f"  {', '.join(f'{name} {n}' for name, n in sorted(drawn.items()))}"]
    lines += [f"not drawn yet: {', '.join(sorted(known - set(drawn))) or 'none'}"]
    lines += [f"neither drawn nor listed: {', '.join(sorted(forgotten())) or 'none'}"]
    lines += ["not covered:", *(f"  {names}: {why}" for names, why in NOT_COVERED.items())]
    return lines


def forgotten() -> set[str]:
    """Return the classes of `keras.layers` that are neither drawn nor listed as not covered."""
    listed = {part.name for part in PARTS} | {name for names in NOT_COVERED for name in names.split(", ")}
    listed_classes = {getattr(keras.layers, name, None) for name in listed}
    every: dict[str, Any] = vars(keras.layers)
    return {name for name, value in every.items() if isinstance(value, type) and value not in listed_classes}
