"""Comparing two training plans: a twin that was trained elsewhere came with a plan of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_kerasequiv.training.data import leaves
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.verdict import Finding

FIELDS = ("batch_size", "epochs", "shuffle", "metrics")
"""Fields of a plan that decide what a run computes."""


def plan_settings(plan: Training) -> dict[str, Any]:
    """Return what decides the runs of a plan, as plain data: settings, and sizes and digests of its data.

    Keys are the names of `Training`'s arguments, dotted for the data: ``"train.samples"``, ``"train.x"``,
    ``"train.y"``, ``"train.sample_weight"`` and the same for ``test``.
    """
    found: dict[str, Any] = {name: getattr(plan, name) for name in FIELDS}
    found["metrics"] = None if plan.metrics is None else list(plan.metrics)
    found["fit"] = None if plan.fit is None else getattr(plan.fit, "__qualname__", repr(plan.fit))
    for name in ("train", "test"):
        data = getattr(plan, name)
        if data is not None:
            found[f"{name}.samples"] = data.samples
            found |= {f"{name}.{part}": _digest(getattr(data, part)) for part in ("x", "y", "sample_weight")}
    return found


def _digest(values: Any) -> str | None:
    if values is None:
        return None
    digest = hashlib.sha256()
    for label, array in leaves(values):
        digest.update(f"{label} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]


def compare_plans(reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[Finding]:
    """Return a finding for every field in which two plans differ.

    Where the numbers of samples differ (a validation split was held back), the contents of that data are not
    compared as well.

    Args:
        reference: what `plan_settings` returned for the reference's plan.
        candidate: the same for the candidate's.
    """
    differing = [n for n in sorted({*reference, *candidate}) if reference.get(n) != candidate.get(n)]
    sized = [name.split(".")[0] for name in differing if name.endswith(".samples")]
    told = [n for n in differing if n.endswith(".samples") or n.split(".")[0] not in sized]
    return [_finding(name, reference.get(name), candidate.get(name)) for name in told]


def _finding(name: str, ours: Any, theirs: Any) -> Finding:
    message = f"trained with another {name}: {ours!r} in the reference, {theirs!r} in the candidate"
    return Finding("training", None, None, name, ours, theirs, message)
