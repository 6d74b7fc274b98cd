"""What explains other results of a step: losses and metrics that were compiled otherwise, and own code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from pytest_kerasequiv.checks.compiled.built import METRICS
from pytest_kerasequiv.checks.compiled.in_force import Settings
from pytest_kerasequiv.checks.compiled.settings_findings import compare_settings
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.layers.own_code import CODE, class_code, differences_in_words
from pytest_kerasequiv.verdict import CheckResult, Finding

STEPS = ("train_step", "test_step", "predict_step")

INHERITED = "inherited "
"""Begins the names of members of a class that a class built on it overrides."""


def effective_settings(
    result: CheckResult, reference: Settings | None, candidate: Settings | None
) -> list[Finding]:
    """Return the losses and metrics that differ where what they compute differs.

    Args:
        result: what a check decided.
        reference: what `settings_of` returned for the reference.
        candidate: the same for the candidate.
    """
    entries = {finding.field for finding in result.differences}
    kinds = ("loss", *METRICS) if entries & {"loss and metrics", *STEPS} else ("loss",)
    found = compare_settings(result.name, reference, candidate)
    return [one for one in found if one.severity == "difference" and one.field.startswith(kinds)]


def step_findings(result: CheckResult, reference: keras.Model, candidate: keras.Model) -> Iterator[Finding]:
    """Yield for each step that differs in what the user's classes say of it, in lines and values.

    Args:
        result: what a check decided.
        reference: the reference.
        candidate: the candidate.
    """
    entries = {finding.field for finding in result.differences}
    for step in STEPS:
        if step in entries:
            words = differences_in_words(*_said(step, type(reference), type(candidate)))
            if words:
                names = type(reference).__name__, type(candidate).__name__
                message = f"{step}() of {names[0]} / {names[1]}: {'; '.join(words)}"
                yield Finding.difference(result.name, f"{step}.code", message, values=names)


def _said(step: str, *classes: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the code of a step, of what both override of the user's, and the plain values of the classes."""
    ours, theirs = ({} if is_keras(cls) else class_code(cls) for cls in classes)
    names = [
        name
        for name in {**ours, **theirs}
        if _of(step, name) and ((name in ours and name in theirs) or not name.startswith(INHERITED))
    ]
    return {n: ours[n] for n in names if n in ours}, {n: theirs[n] for n in names if n in theirs}


def _of(step: str, name: str) -> bool:
    own = name.removeprefix(INHERITED)
    return own.partition(".")[0] == step or (CODE not in own.split(".") and name != "built on")
