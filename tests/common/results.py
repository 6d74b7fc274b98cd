"""Results of checks, made up."""

from __future__ import annotations

from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Verdict


def result(name: str, verdict: Verdict, evidence: Evidence | None = Evidence.MEASURED) -> CheckResult:
    """Return the result of a check; where the verdict is DIFFERENT, with one finding."""
    different = verdict is Verdict.DIFFERENT
    finding = Finding(name, "a/dense", "b/dense", "units", 3, 4, "units differ: 3 against 4")
    findings = (finding,) if different else ()
    return CheckResult(name, verdict, evidence, findings, kind=LADDER[name].kind)
