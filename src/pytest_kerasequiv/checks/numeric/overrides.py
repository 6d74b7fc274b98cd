"""Methods of a user's model class that were not run: those that loop in Python, and steps that failed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import keras

from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.layers.own_code import digest, is_opaque
from pytest_kerasequiv.surface.entries import FUNCTIONS, LOOPS, is_users
from pytest_kerasequiv.verdict import Finding

STEPS = {
    "predict_step": "predict_step",
    "test_step": "test_step",
    "compute_metrics": "test_step",
    "get_metrics_result": "test_step",
    "reset_metrics": "reset_metrics",
}
"""Method -> the entry of the surface that runs it."""

NOT_RUN = (*LOOPS, *FUNCTIONS, *STEPS)
"""Methods of Model that a class may override, and that inference, gradients and updates do not depend on."""


def overridden(model: keras.Model) -> dict[str, str]:
    """Return, for each such method that a model or its class overrides, a digest of what it does.

    That is its code and that of its bases, and the plain values that the model holds.
    """
    values = _values(model)
    return {name: f"{code} {values}" for name in NOT_RUN if (code := _code(model, name)) is not None}


def _values(model: keras.Model) -> str:
    plain = (bool, int, float, str, tuple)
    held = {k: v for k, v in vars(model).items() if not k.startswith("_") and isinstance(v, plain)}
    return digest({name: value for name, value in held.items() if name not in {"name", "built"}})


def override_findings(
    check: str, reference: Mapping[str, str], candidate: Mapping[str, str], ran: Collection[str] = ()
) -> list[Finding]:
    """Return a finding for each such method that only one side overrides, or with other code.

    What other code returns is not known, so that none of these is an answer. Where both have the same code,
    or code that cannot be compared, a note says that it was not run.

    Args:
        check: name of the check on whose behalf.
        reference: what `overridden` returned for the reference.
        candidate: the same for the candidate.
        ran: the entries of the surface that ran on both sides.
    """
    names = [n for n in NOT_RUN if n in {*reference, *candidate} and STEPS.get(n) not in ran]
    return [_finding(check, name, reference.get(name), candidate.get(name)) for name in names]


def _finding(check: str, name: str, ours: str | None, theirs: str | None) -> Finding:
    if ours is None or theirs is None:
        side = "candidate" if ours is None else "reference"
        message = f"{name} differs: only the {side} overrides it; it was not run"
        return Finding.difference(check, name, message, values=(ours, theirs))
    if is_opaque((ours, theirs)):
        message = f"{name} is overridden on both sides, by code that cannot be compared; it was not run"
    elif ours == theirs:
        message = f"{name} is overridden by the same code on both sides; it was not run"
    else:
        message = f"{name} differs: both sides override it, with other code or values; it was not run"
        return Finding.difference(check, name, message, values=(ours, theirs))
    return Finding.note(check, name, message, values=(ours, theirs))


def _code(model: keras.Model, name: str) -> str | None:
    """Return a digest of a method and of what it overrides of the user's; ``None`` where it is Keras's."""
    classes = [base for base in type(model).__mro__ if not is_keras(base)]
    own: list[Any] = [vars(holder)[name] for holder in (model, *classes) if name in vars(holder)]
    if name in FUNCTIONS:
        own = list(filter(is_users, own))
    return digest(own) if own else None
