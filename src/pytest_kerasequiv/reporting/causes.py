"""Which findings are causes, which say only what followed or the same again, and which were expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_kerasequiv.verdict import (
    ACCEPTED,
    CONTRADICTED,
    MISMATCHED,
    OTHER_VALUES,
    CheckResult,
    Finding,
    Kind,
    Report,
    Verdict,
)

TOLD_BY_RUNNING = frozenset({"mask", "training", "sparse_gradient"})
"""Fields of findings that say themselves why the models compute other numbers."""

NO_SETTING = frozenset({"mask", "inputs", "layer", "class", "sharing"})
"""Fields of what is found in a layer graph that are no setting of a layer."""


COMPILED = frozenset(
    {"compile", "optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "training"}
)
"""First parts of the fields of what ``compile`` was given, and of how a model is called."""


DRAWING = ("Dropout", "Noise", "Random")
"""Parts of the names of layers that draw."""


@dataclass(frozen=True)
class Account:
    """The findings of a report, sorted for a reader.

    Attributes:
        causes: the differences to read, the first of them the culprit.
        consequences: the differences that follow from these, or tell them again.
        accepted: what was found and is expected.
        notes: the other notes, each message once.
    """

    causes: tuple[Finding, ...]
    consequences: tuple[Finding, ...]
    accepted: tuple[Finding, ...]
    notes: tuple[Finding, ...]


def account(report: Report) -> Account:
    """Sort the findings of a report: each is in one of the four groups, but for notes that are said twice."""
    first = culprit(report)
    differences = [f for f in report.findings if f.severity == "difference"]
    ordered = sorted(differences, key=lambda f: (f is not first, report[f.check].kind is not Kind.INFORMING))
    causes: list[Finding] = []
    for finding in ordered:
        if not causes or not _follows(finding, causes, report):
            causes.append(finding)
    notes = {f.message: f for f in reversed(report.findings) if f.severity == "note"}
    expected = {message: f for message, f in notes.items() if message.startswith(ACCEPTED)}
    return Account(
        causes=tuple(causes),
        consequences=tuple(f for f in differences if not any(f is cause for cause in causes)),
        accepted=tuple(reversed(expected.values())),
        notes=tuple(f for message, f in reversed(notes.items()) if message not in expected),
    )


def of_kind(report: Report, *kinds: Kind) -> list[CheckResult]:
    """Return the results of some kinds of checks."""
    return [result for result in report.checks.values() if result.kind in kinds]


def culprit(report: Report) -> Finding | None:
    """Return the difference to read first.

    What a deciding check found may be a consequence: of a setting of the layer that it accuses, or, where it
    only says that shapes or variables differ or names no layer, of the first change of the layer graph; or,
    where no layer is to blame, of a constant in code that calls them. Where no deciding check found any, what
    keeps the programs from being the same is what is left open. Rows of summaries explain nothing.
    """
    differences = [f for f in report.findings if f.severity == "difference"]
    contradicted = [f for f in differences if f.field == CONTRADICTED]
    accusing = [f for f in differences if report[f.check].kind.decides]
    changes = [f for f in differences if report[f.check].kind is Kind.INFORMING and f.check != "summary"]
    if not contradicted and accusing and accusing[0].field in TOLD_BY_RUNNING:
        settings = [f for f in changes if f.field not in NO_SETTING and _around(f, accusing[0])]
        return next(iter([*settings, *accusing]))
    inside = _inside(report, accusing, changes)
    constants = [f for f in differences if report[f.check].kind is Kind.PROVING]
    if accusing and not is_consequence(accusing[0]):
        constants = [f for f in constants if accusing[0].field == "inputs" and _there(f, accusing[0])]
    ordered = [*contradicted, *inside, *_explaining(accusing, changes), *constants, *accusing, *differences]
    return next(iter(ordered), None)


def _inside(report: Report, accusing: Sequence[Finding], changes: Sequence[Finding]) -> list[Finding]:
    """Return what was found of layers where one side has a layer alone, and the other those that it calls.

    Such a layer and what stands in its place are changes of form.
    """
    if _apart(report, changes):
        return [f for f in accusing if any(_paths(f)) and f.field != "value" and not is_consequence(f)]
    alone = [change for change in changes if change.field in {"layer", "class"}]
    settings = [f for f in accusing if names_a_setting(f) and f.field not in {*NO_SETTING, *TOLD_BY_RUNNING}]
    return [f for f in settings if any(_within(f, one) for one in alone)]


def _apart(report: Report, changes: Sequence[Finding]) -> set[str]:
    """Return the paths of layers that were followed together, if one was within a layer of one side alone."""
    rows = [row for result in report.checks.values() for row in result.figures.get("layers", ())]
    followed = {row[side] for row in rows for side in ("reference", "candidate")}
    outer = {p for change in changes if change.field in {"layer", "class"} for p in _paths(change) if p}
    opened = any(path.startswith(f"{whole}/") for path in followed for whole in outer)
    return followed if opened else set()


def _taken_apart(finding: Finding, causes: Sequence[Finding], report: Report) -> bool:
    """Tell whether a layer of one side alone stands for others that the cause was found among.

    What draws acts in training alone, and may be a cause of its own where it has no partner.
    """
    changes = [one for one in report.findings if one.check == finding.check]
    if finding.field not in {"layer", "class", "inputs"} or not _inside(report, causes[:1], changes):
        return False
    paths = [path for path in _paths(finding) if path]
    if any(f"{one}/".startswith(f"{path}/") for one in _apart(report, changes) for path in paths):
        return True
    return not any(word in str(kind) for word in DRAWING for kind in (finding.reference, finding.candidate))


def _within(finding: Finding, outer: Finding) -> bool:
    both = zip(_paths(finding), _paths(outer), strict=True)
    return any(path and whole and path.startswith(f"{whole}/") for path, whole in both)


def _explaining(accusing: Sequence[Finding], changes: Sequence[Finding]) -> list[Finding]:
    """Return the changes of the layer graph that explain what the deciding checks found."""
    if accusing and is_consequence(accusing[0]):
        return sorted(changes, key=lambda f: f.field == "mask")
    told = [change for change in changes if any(_there(change, f) or _handed_on(change, f) for f in accusing)]
    before = bool(accusing) and accusing[0].field == "inputs"  # the cause lies before that layer
    return told or (list(changes) if before else [])


def is_consequence(finding: Finding) -> bool:
    """Tell whether a difference says only what followed from a cause: other numbers, shapes or variables."""
    shape = finding.field == "shape" or finding.field.endswith(" shape")
    whole = finding.field in {"dtype", "value"} and not any(_paths(finding))
    returned = f"in {finding.field!r}" in finding.message  # what an entry of the surface returned
    return shape or whole or returned or finding.field == "variables" or MISMATCHED in finding.message


def names_a_setting(finding: Finding) -> bool:
    """Tell whether a difference names what the user wrote: a setting of a layer or of ``compile``."""
    if finding.field.partition(".")[0] in COMPILED or finding.field.endswith((".code", "sharing")):
        return True
    told = any(words in finding.message for words in (MISMATCHED, OTHER_VALUES))
    told |= finding.field == "value" or finding.check == "summary"
    return any(_paths(finding)) and not told


def _follows(finding: Finding, causes: Sequence[Finding], report: Report) -> bool:
    """Tell whether a difference follows from the causes found so far, or tells one of them again."""
    if is_consequence(finding) or finding.check == "summary":
        return True
    kind = report[finding.check].kind
    if kind is Kind.INFORMING and (finding.field == "mask" or _taken_apart(finding, causes, report)):
        return True
    if OTHER_VALUES in finding.message and any(OTHER_VALUES in cause.message for cause in causes):
        return True  # one weight stands for all
    if report.verdict is Verdict.DIFFERENT and _not_compared(report[finding.check], finding):
        return True
    if kind is Kind.PROVING:
        return any(_there(cause, finding) or not any(_paths(finding)) for cause in causes)
    return any(_told_again(finding, cause) for cause in causes)


def _not_compared(result: CheckResult, finding: Finding) -> bool:
    """Tell whether a check only says that it could not compare, as where weights have no partner."""
    undecided = result.kind.runs and result.verdict is Verdict.INCONCLUSIVE
    return undecided and finding.field not in {"error", "timeout"}


def _told_again(finding: Finding, cause: Finding) -> bool:
    """Tell whether a difference is what a cause says of the same layer, or of one that it lies within."""
    if not _there(cause, finding):
        return cause.check != finding.check and _handed_on(cause, finding)
    if finding.field in {*NO_SETTING, "value"} and cause.check != finding.check:
        return finding.field not in TOLD_BY_RUNNING
    if cause.check == finding.check:
        return "." in finding.field and _values(finding) == _values(cause)
    return cause.field.endswith(f"_{finding.field}") or _values(finding) == _values(cause)


def _handed_on(cause: Finding, finding: Finding) -> bool:
    """Tell whether an operation is called with the numbers of a setting: a mask made of ``mask_value``."""
    ours = (cause.reference, cause.candidate)
    telling = all(isinstance(one, int | float | str) and not isinstance(one, bool) for one in ours)
    return telling and finding.field != "value" and ours == (finding.reference, finding.candidate)


def _values(finding: Finding) -> tuple[str, str]:
    return repr(finding.reference), repr(finding.candidate)


def _there(cause: Finding, finding: Finding) -> bool:
    """Tell whether two findings are about one layer, or one about a layer within the other's."""
    both = zip(_paths(cause), _paths(finding), strict=True)
    return any(a and b and f"{a}/".startswith(f"{b}/") | f"{b}/".startswith(f"{a}/") for a, b in both)


def _around(setting: Finding, finding: Finding) -> bool:
    """Tell whether a setting of an outer layer is handed on to the layer of a finding."""
    inner = _there(setting, finding) and _paths(setting) != _paths(finding)
    return inner and _values(setting) == _values(finding)


def _paths(finding: Finding) -> tuple[str | None, str | None]:
    return finding.reference_layer, finding.candidate_layer


def where_found(findings: Sequence[Finding]) -> str:
    """Return the names of the checks that found these, in words: ``"summary, weights and outputs"``."""
    names = list(dict.fromkeys(finding.check for finding in findings))
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def with_layer(finding: Finding) -> str:
    """Return the message of a finding, after its layers where it does not name them."""
    layers = [layer for layer in _paths(finding) if layer]
    if not layers or any(layer in finding.message for layer in layers):
        return finding.message
    return f"{' / '.join(dict.fromkeys(layers))}: {finding.message}"
