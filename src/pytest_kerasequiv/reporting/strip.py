"""The ladder of checks as a strip: what each answered, and what followed from what."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_kerasequiv.reporting.text import follows, in_form_only
from pytest_kerasequiv.verdict import Report

CHECKS = ("summary", "graph", "program", "weights", "outputs", "gradients", "updates", "training")
"""The eight checks, cheap to dear."""


@dataclass(frozen=True)
class Step:
    """One check in the strip.

    Attributes:
        name: name of the check.
        verdict: its answer; empty where it was not run.
        told: why there is an answer, or none, in a few words.
    """

    name: str
    verdict: str
    told: str


def strip(report: Report) -> list[Step]:
    """Return a step for each of the eight checks, then for those that a user added."""
    names = [*CHECKS, *(name for name in {**report.checks, **report.not_run} if name not in CHECKS)]
    return [_step(report, name) for name in names]


def _step(report: Report, name: str) -> Step:
    if name in report.not_run:
        return Step(name, "", f"not run: {report.not_run[name]}")
    if name not in report.checks:
        return Step(name, "", "not asked for")
    result = report.checks[name]
    if follows(result):
        return Step(name, result.verdict.value, f"follows from {result.figures['follows']}")
    if in_form_only(report, result):
        return Step(name, "form", f"differs in form only, {result.seconds:.1f} s")
    told = result.evidence.value.lower() if result.evidence else "not decided"
    return Step(name, result.verdict.value, f"{told}, {result.seconds:.1f} s")
