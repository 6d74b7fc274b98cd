"""Differences that the caller says are meant: ``accept=("clip.*",)`` turns them into notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.verdict import ACCEPTED, CheckResult, Evidence, Finding, Kind, Verdict


def accepted(results: Iterable[CheckResult], patterns: Sequence[str]) -> list[CheckResult]:
    """Return results in which the findings that a pattern meets are notes.

    A check all of whose differences are accepted found nothing else, so it is EQUIVALENT as far as it went.
    Only a proof does not come about by being wished for.

    Args:
        results: the results.
        patterns: see `meets`.
    """
    return [_accepted(result, patterns) for result in results] if patterns else list(results)


def _accepted(result: CheckResult, patterns: Sequence[str]) -> CheckResult:
    findings = tuple(_as_meant(one, patterns) for one in result.findings)
    if findings == result.findings:
        return result
    settled = result.differences and not any(one.severity == "difference" for one in findings)
    if not settled or result.kind is Kind.PROVING:
        return replace(result, findings=findings)
    evidence = result.evidence or Evidence.MEASURED
    return replace(result, findings=findings, verdict=Verdict.EQUIVALENT, evidence=evidence)


def _as_meant(finding: Finding, patterns: Sequence[str]) -> Finding:
    if finding.severity == "note" or not any(meets(pattern, finding) for pattern in patterns):
        return finding
    return replace(finding, severity="note", message=f"{ACCEPTED}{finding.message}")


def refuse_idle(results: Iterable[CheckResult], patterns: Sequence[str]) -> None:
    """Refuse a pattern that meets no finding: what it was written for is gone, or it is misspelt.

    Raises:
        InputError: a pattern meets no difference.
    """
    found = [one for result in results for one in result.differences]
    for pattern in patterns:
        if not any(meets(pattern, one) for one in found):
            named = list(dict.fromkeys(next(iter(_names(one)), "") for one in found))
            there = f"found were {', '.join(named[:5])}" if named else "no difference was found"
            raise InputError(
                f"accept holds {pattern!r}, which meets nothing: {there}; take it out or mend it"
            )


def meets(pattern: str, finding: Finding) -> bool:
    """Tell whether a pattern ``layer.field``, as `fnmatch` reads it, names a finding.

    The layer of either side counts, by its path or the end of it: ``clip.*`` and ``block/clip.*`` both name
    what is found at ``functional/block/clip``. What is found at no layer goes by its field alone.
    """
    return any(fnmatchcase(name, pattern) for name in _names(finding))


def _names(finding: Finding) -> Iterator[str]:
    layers = [layer for layer in (finding.reference_layer, finding.candidate_layer) if layer]
    if not layers:
        yield finding.field
    for layer in layers:
        parts = layer.split("/")
        yield from (f"{'/'.join(parts[start:])}.{finding.field}" for start in reversed(range(len(parts))))
