"""The check ``program``: is what both models compute the very same program?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.layers.own_code import differences_in_words
from pytest_kerasequiv.program import Program, ProgramMatch, match_programs, trace
from pytest_kerasequiv.program.nodes import OwnCode
from pytest_kerasequiv.program.partings import Parting
from pytest_kerasequiv.program.skeleton import Alignment, align
from pytest_kerasequiv.program.unseen import unseen_apart
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict


def observe(model: keras.Model) -> Program:
    """Trace the model's program."""
    return trace(model)


def compare(reference: Program, candidate: Program) -> CheckResult:
    """Prove that two programs are the same, or say where they part.

    EQUIVALENT, with the evidence PROVED, holds for all weights and inputs in the entries of the surface that
    ``figures["entries"]`` names; see `pytest_kerasequiv.program` for what exactly it says. Otherwise
    INCONCLUSIVE, never DIFFERENT: other operations may compute the same.
    """
    return result(reference, candidate, match_programs(reference, candidate), align(reference, candidate))


def result(reference: Program, candidate: Program, match: ProgramMatch, alignment: Alignment) -> CheckResult:
    """Put into words whether two programs are one, have one skeleton, or neither.

    Where they have one skeleton, each constant or attribute over which they part is a finding: a difference,
    or a note where it is no more than rounding. Where they have not, distant limits that they do not share
    are differences.
    """
    figures: dict[str, Any] = {
        "operations": [len(reference.nodes), len(candidate.nodes)],
        "functions": [len(reference.bodies), len(candidate.bodies)],
        "fingerprints": [reference.fingerprint, candidate.fingerprint],
        "entries": list(reference.entries),
        "random": [list(reference.random), list(candidate.random)],
        "reason": match.reason,
    }
    if match.proved:
        figures["variables"] = [list(pair) for pair in match.variables]
        return CheckResult("program", Verdict.EQUIVALENT, Evidence.PROVED, (), figures)
    figures["skeleton"] = "the same" if alignment.same else "another"
    figures["partings"] = [parting.to_dict() for parting in alignment.partings]
    findings = [_parting(one, rewritten=not alignment.same) for one in alignment.partings]
    findings += [unseen_in_words(*pair) for pair in unseen_apart(reference, candidate)]
    if not findings or not alignment.same:
        findings += _findings(reference, candidate, match)
    return CheckResult("program", Verdict.INCONCLUSIVE, None, tuple(findings), figures)


def _parting(parting: Parting, *, rewritten: bool) -> Finding:
    rounding = f", {parting.units:g} units in the last place apart" if parting.rounds else ""
    what = "not the same, and part over" if rewritten else "the same but for"
    message = f"the programs are {what} {parting}{rounding}"
    layers = parting.reference_layer, parting.candidate_layer
    values = parting.reference, parting.candidate
    made = Finding.note if parting.rounds else Finding.difference
    return made("program", parting.field, message, layers=layers, values=values)


def unseen_in_words(ours: OwnCode | None, theirs: OwnCode | None) -> Finding:
    """Say in which code the twins differ that no operation shows."""
    layers, values = (
        (None if ours is None else getattr(ours, field), None if theirs is None else getattr(theirs, field))
        for field in ("layer", "name")
    )
    called = " and ".join(dict.fromkeys(one.name for one in (ours, theirs) if one is not None))
    message = f"{called} is code that cannot be traced, and "
    if ours is None or theirs is None:
        side = "candidate" if ours is None else "reference"
        message += f"only the {side} has it"
    else:
        message += f"differs: {'; '.join(differences_in_words(_flat(ours.code), _flat(theirs.code)))}"
    return Finding.difference("program", "code", message, layers=layers, values=values)


def _flat(code: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description with that of each function in it under dotted names."""
    flat: dict[str, Any] = {}
    for name, value in code.items():
        inner = value if isinstance(value, Mapping) else {"": value}
        flat |= {f"{name}.{key}".strip("."): one for key, one in inner.items() if key not in {"class", "of"}}
    return flat


def _findings(reference: Program, candidate: Program, match: ProgramMatch) -> list[Finding]:
    found = []
    difference = match.difference
    if difference is None or match.reason != difference.message:
        message = f"no proof that the programs are the same: {match.reason}"
        layers = reference.obstacle, candidate.obstacle
        values = reference.reason, candidate.reason
        found.append(Finding.note("program", "program", message, layers=layers, values=values))
    if difference is not None:
        found.append(
            Finding.note(
                "program",
                "operation",
                f"no proof that the programs are the same: {difference.message}",
                layers=(difference.reference_layer, difference.candidate_layer),
                values=(difference.reference_op, difference.candidate_op),
            )
        )
    return found


CHECK = Check(
    "program",
    Kind.PROVING,
    observe=lambda twin, _: twin.program,
    compare=lambda reference, candidate, correspondence: result(
        reference, candidate, correspondence.programs, correspondence.alignment
    ),
    next_step="compare the layer named above in the builders.",
)
