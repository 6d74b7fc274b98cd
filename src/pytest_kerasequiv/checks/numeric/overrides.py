"""Methods of a user's model class that the checks of numbers never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.layers.own_code import digest, is_opaque
from pytest_kerasequiv.surface.entries import LOOPS
from pytest_kerasequiv.verdict import Finding

STEPS_NOT_RUN = ("predict_step", "test_step", "compute_metrics", "get_metrics_result", "reset_metrics")

NOT_RUN = (*LOOPS, *STEPS_NOT_RUN)
"""Methods of Model that a class may override, and that outputs, gradients and updates do not depend on."""


def overridden(model: keras.Model) -> dict[str, str]:
    """Return, for each such method that a model's class overrides, a digest of its code and of its bases'."""
    return {name: code for name in NOT_RUN if (code := _code(type(model), name)) is not None}


def override_findings(
    check: str, reference: Mapping[str, str], candidate: Mapping[str, str]
) -> list[Finding]:
    """Return a finding for each such method that only one side overrides, or with other code.

    What other code returns is not known, so that none of these is an answer. Where both have the same code,
    or code that cannot be compared, a note says that it was not run.

    Args:
        check: name of the check on whose behalf.
        reference: what `overridden` returned for the reference.
        candidate: the same for the candidate.
    """
    names = [name for name in NOT_RUN if name in {*reference, *candidate}]
    return [_finding(check, name, reference.get(name), candidate.get(name)) for name in names]


def _finding(check: str, name: str, ours: str | None, theirs: str | None) -> Finding:
    if ours is None or theirs is None:
        side = "candidate" if ours is None else "reference"
        message = f"{name} differs: only the {side} overrides it; it was not run"
        return Finding(check, None, None, name, ours, theirs, message)
    if is_opaque((ours, theirs)):
        message = f"{name} is overridden on both sides, by code that cannot be compared; it was not run"
    elif ours == theirs:
        message = f"{name} is overridden by the same code on both sides; it was not run"
    else:
        message = f"{name} differs: both sides override it, with other code; it was not run"
        return Finding(check, None, None, name, ours, theirs, message)
    return Finding(check, None, None, name, ours, theirs, message, "note")


def _code(cls: type, name: str) -> str | None:
    """Return a digest of a method and of what it overrides of the user's; ``None`` where it is Keras's."""
    own: list[Any] = [vars(base)[name] for base in cls.__mro__ if name in vars(base) and not is_keras(base)]
    return digest(own) if own else None
