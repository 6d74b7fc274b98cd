"""Check ``summary``: the rows of ``model.summary()``, aligned, names and InputLayers ignored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.checks.tables.row_alignment import Pairing, align
from pytest_kerasequiv.checks.tables.side_by_side import shapes_text, side_by_side
from pytest_kerasequiv.layers.summary_rows import Row, Summary, summary_of
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

NAME = "summary"

_WORDS = {
    "kind": "layer type",
    "output_shapes": "output shape",
    "parameters": "number of parameters",
    "trainable": "trainable",
}


def observe(model: keras.Model) -> Summary:
    """Return the rows and totals of a built model's summary."""
    return summary_of(model)


def compare(reference: Summary, candidate: Summary) -> CheckResult:
    """Align the rows of two summaries and name those that differ; strict: any difference is DIFFERENT.

    A row that differs only because an earlier one hands it another shape is a note. Where no row is at fault
    itself, as for twins with inputs of other lengths, the first such row counts.
    """
    pairings = align(reference.rows, candidate.rows)
    findings = [f for p in pairings for f in _findings(p, reference.rows, candidate.rows)]
    findings = _with_one_culprit(findings) or _total_findings(reference, candidate)
    verdict = Verdict.DIFFERENT if findings else Verdict.EQUIVALENT
    findings += _unknown_shapes(reference, candidate, pairings)
    ordered = sorted(findings, key=lambda finding: finding.severity == "note")
    return CheckResult(
        NAME, verdict, Evidence.MEASURED, tuple(ordered), _figures(reference, candidate, pairings)
    )


def _findings(pairing: Pairing, reference: Sequence[Row], candidate: Sequence[Row]) -> list[Finding]:
    one = None if pairing.reference is None else reference[pairing.reference]
    other = None if pairing.candidate is None else candidate[pairing.candidate]
    if one is None or other is None:
        return [_one_sided(row, side) for row, side in ((one, "reference"), (other, "candidate")) if row]
    if "kind" in pairing.fields:
        return [_finding(one, other, "kind", "difference")]
    severity = "note" if pairing.consequence else "difference"
    return [_finding(one, other, name, severity) for name in pairing.fields]


def _one_sided(row: Row, side: str) -> Finding:
    in_reference = side == "reference"
    lacks = "candidate" if in_reference else "reference"
    layer, words = row.layer, _describe(row)
    return Finding.difference(
        NAME,
        "layer",
        f"only the {side} has {layer} ({words}); the {lacks} has no such row here",
        layers=(layer if in_reference else None, None if in_reference else layer),
        values=(words if in_reference else None, None if in_reference else words),
    )


def _finding(one: Row, other: Row, name: str, severity: Any) -> Finding:
    values = [_shown(name, getattr(row, name)) for row in (one, other)]
    why = " (it gets another shape from above)" if severity == "note" else ""
    where = one.layer if one.layer == other.layer else f"{one.layer} / {other.layer}"
    message = f"{where}: {_WORDS[name]} is {values[0]} in the reference, {values[1]} in the candidate{why}"
    made = Finding.note if severity == "note" else Finding.difference
    layers = one.layer, other.layer
    return made(NAME, _field(name), message, layers=layers, values=(values[0], values[1]))


def _field(name: str) -> str:
    return {"kind": "layer", "output_shapes": "output_shape"}.get(name, name)


def _shown(name: str, value: Any) -> Any:
    return shapes_text(value) if name == "output_shapes" else value


def _describe(row: Row) -> str:
    return f"{row.kind}, output {shapes_text(row.output_shapes)}, {row.parameters:,} parameters"


def _with_one_culprit(findings: list[Finding]) -> list[Finding]:
    """Let the first row count where all rows only follow from something above them."""
    if findings and all(finding.severity == "note" for finding in findings):
        return [replace(findings[0], severity="difference"), *findings[1:]]
    return findings


def _total_findings(reference: Summary, candidate: Summary) -> list[Finding]:
    """Compare totals of summaries with equal rows: they differ where weights are shared on one side only."""
    found = []
    for name in ("parameters", "trainable_parameters"):
        one, other = getattr(reference, name), getattr(candidate, name)
        if one != other:
            words = name.replace("_", " ")
            message = (
                f"the rows are equal, but the reference has {one:,} {words} in total, the "
                f"candidate {other:,}: one side shares weights between layers or freezes single ones, the "
                "other does not"
            )
            found.append(Finding.difference(NAME, name, message, values=(one, other)))
    return found


def _unknown_shapes(reference: Summary, candidate: Summary, pairings: Sequence[Pairing]) -> list[Finding]:
    """Tell how many rows were compared without an output shape: subclassed models do not tell all."""
    pairs = [
        (reference.rows[p.reference], candidate.rows[p.candidate])
        for p in pairings
        if p.reference is not None and p.candidate is not None
    ]
    unknown = [pair for pair in pairs if () in {row.output_shapes for row in pair}]
    if not unknown:
        return []
    one, other = unknown[0]
    message = (
        f"{len(unknown)} of {len(pairs)} rows tell no output shape on one side; the first is {other.layer}"
    )
    return [Finding.note(NAME, "output_shape", message, layers=(one.layer, other.layer))]


def _figures(reference: Summary, candidate: Summary, pairings: Sequence[Pairing]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "reference": _table(reference),
        "candidate": _table(candidate),
        "alignment": [
            {"reference": p.reference, "candidate": p.candidate, "state": _state(p), "fields": list(p.fields)}
            for p in pairings
        ],
    }
    return {**figures, "text": side_by_side(figures)}


def _table(summary: Summary) -> dict[str, Any]:
    return {**vars(summary), "rows": [dict(vars(row)) for row in summary.rows]}


def _state(pairing: Pairing) -> str:
    if pairing.candidate is None:
        return "missing"
    if pairing.reference is None:
        return "extra"
    if pairing.consequence:
        return "follows"
    return "differs" if pairing.fields else "same"


CHECK = Check(
    NAME,
    Kind.INFORMING,
    observe=lambda twin, _: observe(twin.model),
    compare=lambda reference, candidate, _: compare(reference, candidate),
    next_step="compare the rows named above in the builders; assert_same_graph names the changed setting.",
)
