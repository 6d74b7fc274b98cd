"""What ``model(x)`` returns where ``predict`` returns another: ``training`` fixed in a call or by default."""

from __future__ import annotations

from pytest_kerasequiv.checks.numeric.inference import InferenceObservation
from pytest_kerasequiv.checks.numeric.observing import alike
from pytest_kerasequiv.verdict import Finding


def plain_call_findings(
    check: str, reference: InferenceObservation, candidate: InferenceObservation, *, defaults: bool
) -> list[Finding]:
    """Compare ``model(x)``, without a ``training`` argument, where a side settles it itself.

    That is a call in a functional model that fixes ``training=True``, or a ``call`` of a user's class with
    ``True`` or ``False`` by default. Both sides draw under the same seeds, so twins that do it alike agree.

    Args:
        check: name of the check on whose behalf.
        reference: what the reference returned.
        candidate: what the candidate returned.
        defaults: whether defaults count; they explain nothing where the twins differ at inference already.
    """
    sides = reference, candidate
    fixed = [side.fixed for side in sides]
    chosen = [side.defaults if defaults else () for side in sides]
    ours, theirs = (side.called_plainly for side in sides)
    if not any((*fixed, *chosen)) or ours is None or theirs is None or alike(ours, theirs):
        return []
    told, shown = (fixed, _fixed_message(fixed)) if any(fixed) else (chosen, _default_message(chosen))
    layers = [paths[0] if paths and any(fixed) else None for paths in told]
    message = f"model(x) without a training argument differs: {shown}"
    return [Finding(check, layers[0], layers[1], "training", list(told[0]), list(told[1]), message)]


def _fixed_message(fixed: list[tuple[str, ...]]) -> str:
    shown = [", ".join(paths) or "no layer" for paths in fixed]
    return (
        f"training=True is fixed for {shown[0]} in the reference and for {shown[1]} in the candidate; "
        "predict and fit overrule it, a plain call does not"
    )


def _default_message(chosen: list[tuple[str, ...]]) -> str:
    shown = [", ".join(kinds) or "no default" for kinds in chosen]
    return (
        f"call() of the user's classes has by default {shown[0]} in the reference and {shown[1]} in the "
        "candidate; predict and fit overrule it, a plain call does not"
    )
