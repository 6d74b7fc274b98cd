"""Which finding explains the others: the cause is read first, its consequences after it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_kerasequiv.verdict import CONTRADICTED, CheckResult, Finding, Kind, Report

TOLD_BY_RUNNING = frozenset({"mask", "training"})
"""Fields of findings that say themselves why the models compute other numbers."""


def of_kind(report: Report, *kinds: Kind) -> list[CheckResult]:
    """Return the results of some kinds of checks."""
    return [result for result in report.checks.values() if result.kind in kinds]


def culprit(report: Report) -> Finding | None:
    """Return the difference to read first.

    What a deciding check found may be a consequence: of a setting of the layer that it accuses, or, where it
    only says that shapes or variables differ or names no layer, of the first change of the layer graph. Rows
    of summaries explain nothing.
    """
    differences = [f for f in report.findings if f.severity == "difference"]
    contradicted = [f for f in differences if f.field == CONTRADICTED]
    accusing = [f for f in differences if report[f.check].kind.decides]
    if not contradicted and accusing and accusing[0].field in TOLD_BY_RUNNING:
        return accusing[0]
    changes = [f for f in differences if report[f.check].kind is Kind.INFORMING and f.check != "summary"]
    return next(iter([*contradicted, *_explaining(accusing, changes), *accusing, *differences]), None)


def _explaining(accusing: Sequence[Finding], changes: Sequence[Finding]) -> list[Finding]:
    """Return the changes of the layer graph that explain what the deciding checks found."""
    accused = {_layer(f) for f in accusing} - {None}
    there = [f for f in changes if _layer(f) in accused]
    if there and not (accusing and is_consequence(accusing[0])):
        return there
    return list(changes) if accusing and is_consequence(accusing[0]) else there


def is_consequence(finding: Finding) -> bool:
    """Tell whether a finding of a deciding check says only what followed: other shapes, other variables."""
    shape = finding.field == "shape" or finding.field.endswith(" shape")
    return shape or finding.field == "variables" or _layer(finding) is None


def _layer(finding: Finding) -> str | None:
    return finding.candidate_layer or finding.reference_layer
