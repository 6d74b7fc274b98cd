"""What `compare_settings` finds between two models, in short."""

from __future__ import annotations

import keras

from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.compiled.settings_findings import compare_settings


def compared(reference: keras.Model, candidate: keras.Model) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the findings as pairs of field and severity, and their messages."""
    found = compare_settings("updates", settings_of(reference), settings_of(candidate))
    return [(f.field, f.severity) for f in found], [f.message for f in found]


def differences(reference: keras.Model, candidate: keras.Model) -> list[str]:
    """Return the fields that differ."""
    return [field for field, severity in compared(reference, candidate)[0] if severity == "difference"]
