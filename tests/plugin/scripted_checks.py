"""Checks that answer what a test's script says; the registry has them instead of the real ones.

This file is copied into the folders of tests of the plugin, whose tests import it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from pytest_kerasequiv import CheckResult, Evidence, Finding, Training, Twins, Verdict, compare
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.verdict import Kind

__all__ = ["CALLS", "Training", "Twins", "compare", "plan", "script"]

CALLS: list[tuple[str, dict[str, Any], Pair]] = []
"""Each check that was run, with its options and its pair."""

ARRAYS = (np.zeros((4, 2), "float32"), np.zeros((4, 2), "float32"))
SIDE = {"values": [1.0, 2.0], "mean": 1.5, "sd": 0.7071, "median": 1.5, "min": 1.0, "max": 2.0, "failed": 0}
FIGURES = {
    "engine": "fit",
    "reason": "asked for",
    "n": 2,
    "seeds": [0, 1],
    "failed": {"reference": 0, "candidate": 0},
    "metrics": {
        "mae": {
            "verdict": "EQUIVALENT",
            "n": 2,
            "reference": SIDE,
            "candidate": SIDE,
            "difference": 0.125,
            "ci90": [-0.25, 0.5],
            "ci95": [-0.5, 0.75],
            "margin": 0.7071,
            "margin_label": "1 sd",
            "p_equivalence": 0.01,
            "p_difference": 0.9,
        }
    },
}


def script(answers: Mapping[str, Any]) -> Callable[[], keras.Model]:
    """Return a builder of a small model; its checks answer what is said by name, else EQUIVALENT."""

    def build() -> keras.Model:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])
        model.answers = lambda: answers
        return model

    return build


def plan(**settings: Any) -> Training:
    """Return a plan of repeated training on stand-in data."""
    return Training(ARRAYS, ARRAYS, **settings)


class Scripted(Check):
    """Answers what the reference's script says, and takes any option."""

    def __call__(self, pair: Pair, **options: Any) -> CheckResult:
        CALLS.append((self.name, options, pair))
        usual = "INCONCLUSIVE" if self.kind is Kind.PROVING else "EQUIVALENT"
        answer = pair.reference.answers().get(self.name, usual)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, CheckResult):
            return answer
        if self.kind is Kind.STATISTICAL:
            for done in (1, 2):
                if options.get("progress"):
                    progress = {"side": "reference", "done": done, "total": 2, "seconds": 1.5, "message": ""}
                    options["progress"](types.SimpleNamespace(**progress))
        return result_of(self.name, self.kind, answer)

    def refuse_unknown(self, options: Iterable[str]) -> None:
        """Take all."""


def result_of(name: str, kind: Kind, answer: str) -> CheckResult:
    findings: tuple[Finding, ...] = ()
    if answer == "DIFFERENT":
        message = f"layer reference/dropout: rate is 0.2 in the reference, 0.3 in the candidate ({name})"
        findings = (Finding(name, "reference/dropout", "candidate/dropout", "rate", 0.2, 0.3, message),)
    evidence = Evidence.STATISTICAL if kind is Kind.STATISTICAL else Evidence.MEASURED
    return CheckResult(
        name,
        Verdict(answer),
        None if answer == "INCONCLUSIVE" else evidence,
        findings,
        FIGURES if kind is Kind.STATISTICAL else {},
    )


LADDER.replace(
    Scripted(
        one.name,
        one.kind,
        observe=one.observe,
        compare=one.compare,
        beyond_proof=one.beyond_proof,
        next_step="look there.",
    )
    for one in LADDER
)
