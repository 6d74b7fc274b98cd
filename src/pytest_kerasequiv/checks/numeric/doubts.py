"""What numbers say where it is not certain which variable, or which draw, is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict

FOLLOWED = ("followed", "worst")
"""Figures that name the probe on which the layers at fault are looked for."""


def doubted(result: CheckResult, variables: VariableMap, certain: Sequence[Finding]) -> CheckResult:
    """Take from a result what rests on a map of variables that is not certain.

    Numbers that differ under the wrong weights say nothing, and whatever layer is blamed is healthy. What
    does not hang on the map (other shapes, settings) stays and decides; else the answer is INCONCLUSIVE.

    Args:
        result: what was decided under the map.
        variables: the map.
        certain: those of the findings that hold under every map.
    """
    if result.verdict is not Verdict.DIFFERENT or variables.certain:
        return result
    if certain:
        return replace(result, findings=(*certain, *result.notes), figures=_unfollowed(result))
    tried = f"{variables.tried} maps were tried and none makes the outputs agree" if variables.tried else ""
    message = (
        "the numbers differ, but which variable of the candidate is which of the reference is not certain"
        + (f": {tried}" if tried else "")
        + "; the weights check lists the map that was used. Give both builders the layers in one structure, "
        "or compare the parts that were rewritten on their own"
    )
    return undecided(result, "map", message)


def undecided(result: CheckResult, field: str, message: str) -> CheckResult:
    """Return a result as INCONCLUSIVE for the reason given, with its notes."""
    findings = (Finding.difference(result.name, field, message), *result.notes)
    figures = _unfollowed(result)
    return replace(result, verdict=Verdict.INCONCLUSIVE, evidence=None, findings=findings, figures=figures)


def _unfollowed(result: CheckResult) -> dict[str, object]:
    return {name: value for name, value in result.figures.items() if name not in FOLLOWED}
