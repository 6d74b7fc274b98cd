"""The words of an answer: verdict, evidence, finding, check result, report. Plain data, no dependency."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal

from pytest_kerasequiv.jsonable import to_jsonable
from pytest_kerasequiv.weight_map import WeightMap

FORMAT = 2
"""Version of the JSON form of a report."""


class Verdict(StrEnum):
    """The answer to "are these two models the same?". INCONCLUSIVE is never success."""

    EQUIVALENT = "EQUIVALENT"
    DIFFERENT = "DIFFERENT"
    INCONCLUSIVE = "INCONCLUSIVE"


class Evidence(StrEnum):
    """What a verdict rests on: the same program, numbers within tolerance, or a statistical test."""

    PROVED = "PROVED"
    MEASURED = "MEASURED"
    STATISTICAL = "STATISTICAL"


class Kind(StrEnum):
    """What the answer of a check counts for; in the order of the ladder, cheap to dear.

    Attributes:
        INFORMING: what it finds is a note where the function is shown to be kept; strict where it is alone.
        PROVING: EQUIVALENT proves that the programs are the same; it never finds a difference.
        START: compares what the models start from, which no program tells.
        NUMERIC: compares numbers that the models return.
        STATISTICAL: compares metrics of repeated training; needs a plan.
    """

    INFORMING = "informing"
    PROVING = "proving"
    START = "start"
    NUMERIC = "numeric"
    STATISTICAL = "statistical"

    @property
    def decides(self) -> bool:
        """Whether a difference that such a check finds makes the twins DIFFERENT."""
        return self in {Kind.START, Kind.NUMERIC, Kind.STATISTICAL}

    @property
    def runs(self) -> bool:
        """Whether such a check runs the models and compares what they return."""
        return self in {Kind.NUMERIC, Kind.STATISTICAL}


Layers = tuple[str | None, str | None]
"""Paths of a layer in the reference and in the candidate, ``None`` where a side has none."""

CONTRADICTED = "contradicted"
"""The field of the finding that numbers contradict a proof; such a pair is INCONCLUSIVE, whatever else."""

ACCEPTED = "accepted: "
"""Begins the message of a note that is a difference which the caller said is meant."""

MISMATCHED = "mismatched elements: "
"""Stands in the message of a finding that tells how far two arrays are apart."""

OTHER_VALUES = " of the values differ"
"""Stands in the message of a finding that tells that two weights hold other values."""


@dataclass(frozen=True)
class Finding:
    """One located difference, or a note.

    Attributes:
        check: name of the check that found it.
        reference_layer: Keras path of the layer in the reference, ``None`` where that side has none.
        candidate_layer: the same for the candidate.
        field: what differs: a configuration field (``"rate"``), ``"layer"``, ``"inputs"``, ``"value"`` …
        reference: the reference's value of that field.
        candidate: the candidate's value.
        message: one or a few lines for a reader: what differs and what it means.
        severity: ``"difference"`` decides, ``"note"`` informs.

    """

    check: str
    reference_layer: str | None
    candidate_layer: str | None
    field: str
    reference: Any
    candidate: Any
    message: str
    severity: Literal["difference", "note"] = "difference"

    @classmethod
    def difference(
        cls,
        check: str,
        field: str,
        message: str,
        *,
        layers: Layers = (None, None),
        values: tuple[Any, Any] = (None, None),
    ) -> Finding:
        """Return a finding that decides.

        Args:
            check: name of the check that found it.
            field: what differs.
            message: what a reader is told.
            layers: paths of the layer in the reference and in the candidate.
            values: the values of the reference and of the candidate.
        """
        return cls(check, *layers, field, *values, message)

    @classmethod
    def note(
        cls,
        check: str,
        field: str,
        message: str,
        *,
        layers: Layers = (None, None),
        values: tuple[Any, Any] = (None, None),
    ) -> Finding:
        """Return a finding that informs; the arguments are those of `difference`."""
        return cls(check, *layers, field, *values, message, "note")

    def __str__(self) -> str:
        return self.message

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-able data."""
        return {
            "check": self.check,
            "reference_layer": self.reference_layer,
            "candidate_layer": self.candidate_layer,
            "field": self.field,
            "reference": to_jsonable(self.reference),
            "candidate": to_jsonable(self.candidate),
            "message": self.message,
            "severity": self.severity,
        }


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check.

    Attributes:
        name: name of the check in the ladder.
        verdict: its answer.
        evidence: what the answer rests on; ``None`` for INCONCLUSIVE.
        findings: the differences and notes, the culprit first.
        figures: the numbers behind the verdict, JSON-able (``training`` has ``figures["metrics"][name]``).
        seconds: wall time of observing and comparing.
        kind: what the answer counts for.
        next_step: what a reader does about a difference.

    """

    name: str
    verdict: Verdict
    evidence: Evidence | None
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    kind: Kind = Kind.NUMERIC
    next_step: str = ""

    @property
    def differences(self) -> tuple[Finding, ...]:
        """The findings that decide."""
        return tuple(f for f in self.findings if f.severity == "difference")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """The findings that inform."""
        return tuple(f for f in self.findings if f.severity == "note")

    def plot(self, path: str | Path) -> Path:
        """Write a picture of this result to ``path`` (``.svg`` or ``.png``) and return the path.

        Raises:
            ValueError: the check has no picture, or the suffix is neither.

        """
        target = Path(path)
        draw = resolve_name(PICTURE_OF)(self.name)
        if target.suffix not in {".svg", ".png"}:
            raise ValueError(f"path {str(target)!r}: pictures are written as .svg or .png")
        resolve_name(draw)(self.figures, target)
        return target

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-able data."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "evidence": self.evidence.value if self.evidence else None,
            "findings": [f.to_dict() for f in self.findings],
            "figures": to_jsonable(self.figures),
            "seconds": float(self.seconds),
            "kind": self.kind.value,
            "next_step": self.next_step,
        }


@dataclass(frozen=True)
class Report:
    """The answer for one pair of twins.

    Attributes:
        name: name of the pair.
        verdict: the overall verdict, see `overall`.
        evidence: the strongest evidence that the verdict rests on.
        checks: check name -> result, in the order of the ladder.
        context: what is needed to read and repeat it: seed, versions, how the twins were named.
        not_run: check name -> why it was not run, such as ``"outputs already differ"``.

    """

    name: str
    verdict: Verdict
    evidence: Evidence | None
    checks: Mapping[str, CheckResult]
    context: Mapping[str, Any] = field(default_factory=dict)
    not_run: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, check: str) -> CheckResult:
        try:
            return self.checks[check]
        except KeyError:
            if check in self.not_run:
                raise KeyError(f"check {check!r} was not run: {self.not_run[check]}") from None
            ran = ", ".join(self.checks) or "none"
            raise KeyError(f"check {check!r} is not in this report; it has: {ran}") from None

    @property
    def weight_map(self) -> WeightMap:
        """Which weight of the reference is which of the candidate; needs the check ``weights``.

        Raises:
            KeyError: that check was not run, or could not be.
        """
        figures = self["weights"].figures
        if "table" not in figures:
            raise KeyError("the check 'weights' found no map of the weights; read its findings")
        return WeightMap.of_figures(figures)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, differences before notes, in the order of the ladder."""
        found = [f for result in self.checks.values() for f in result.findings]
        return tuple(sorted(found, key=lambda f: f.severity != "difference"))

    def __str__(self) -> str:
        return _render("text", self)

    def _repr_html_(self) -> str:
        return _render("html", self)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-able data; `Report.from_dict` reads it back."""
        return {
            "format": FORMAT,
            "name": self.name,
            "verdict": self.verdict.value,
            "evidence": self.evidence.value if self.evidence else None,
            "checks": {name: result.to_dict() for name, result in self.checks.items()},
            "not_run": dict(self.not_run),
            "context": to_jsonable(self.context),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """Read what `to_dict` wrote.

        Raises:
            ValueError: the data has another format number.

        """
        if data.get("format") != FORMAT:
            raise ValueError(
                f"format {data.get('format')!r} of a report cannot be read; this version reads {FORMAT}"
            )
        checks = {
            name: CheckResult(
                name=result["name"],
                verdict=Verdict(result["verdict"]),
                evidence=Evidence(result["evidence"]) if result["evidence"] else None,
                findings=tuple(Finding(**finding) for finding in result["findings"]),
                figures=result["figures"],
                seconds=result["seconds"],
                kind=Kind(result["kind"]),
                next_step=result["next_step"],
            )
            for name, result in data["checks"].items()
        }
        evidence = Evidence(data["evidence"]) if data["evidence"] else None
        return cls(data["name"], Verdict(data["verdict"]), evidence, checks, data["context"], data["not_run"])

    def save(self, path: str | Path) -> Path:
        """Write the report to ``path`` as ``.json`` or ``.html``, by suffix, and return the path.

        Raises:
            ValueError: the suffix is neither.

        """
        target = Path(path)
        if target.suffix == ".json":
            text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        elif target.suffix == ".html":
            text = self._repr_html_()
        else:
            raise ValueError(f"path {str(target)!r}: a report is saved as .json or .html, by suffix")
        target.write_text(text, encoding="utf-8")
        return target


RENDERERS = {
    "text": "pytest_kerasequiv.reporting.text:render",
    "html": "pytest_kerasequiv.reporting.html:render",
}
"""How a report is shown. What shows it lives upstairs, so it is named here and imported when it is used."""

PICTURE_OF = "pytest_kerasequiv.checks.ladder:picture_of"
"""Name of a check -> what draws its figures; named for the same reason."""


def _render(form: str, report: Report) -> str:
    return str(resolve_name(RENDERERS[form])(report))
