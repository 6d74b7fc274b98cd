"""Why ``model(x)`` returns another than ``predict``: ``training`` fixed in a call or by default, in words."""

from __future__ import annotations

from dataclasses import replace

from pytest_kerasequiv.checks.numeric.inference import InferenceObservation
from pytest_kerasequiv.verdict import Finding


def with_cause(finding: Finding, reference: InferenceObservation, candidate: InferenceObservation) -> Finding:
    """Put what settles ``training`` before a difference of plain calls, where something does.

    That is a call in a functional model that fixes ``training=True``, or a ``call`` of a user's class with
    ``True`` or ``False`` by default.
    """
    fixed = reference.fixed, candidate.fixed
    told = fixed if any(fixed) else (reference.defaults, candidate.defaults)
    if not any(told):
        return finding
    shown = _fixed_message(*fixed) if any(fixed) else _default_message(*told)
    layers = [paths[0] if paths and any(fixed) else None for paths in told]
    return replace(
        finding,
        reference_layer=layers[0],
        candidate_layer=layers[1],
        field="training",
        reference=list(told[0]),
        candidate=list(told[1]),
        message=f"model(x) without a training argument differs: {shown}",
    )


def _fixed_message(*fixed: tuple[str, ...]) -> str:
    shown = [", ".join(paths) or "no layer" for paths in fixed]
    return (
        f"training=True is fixed for {shown[0]} in the reference and for {shown[1]} in the candidate; "
        "predict and fit overrule it, a plain call does not"
    )


def _default_message(*chosen: tuple[str, ...]) -> str:
    shown = [", ".join(kinds) or "no default" for kinds in chosen]
    return (
        f"call() of the user's classes has by default {shown[0]} in the reference and {shown[1]} in the "
        "candidate; predict and fit overrule it, a plain call does not"
    )
