"""The verdict over all checks of a pair: structure and numbers decide together, here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_kerasequiv.verdict import CONTRADICTED, CheckResult, Evidence, Finding, Kind, Verdict


def overall(checks: Iterable[CheckResult]) -> tuple[Verdict, Evidence | None, tuple[CheckResult, ...]]:
    """Decide over a pair from its checks, and return the checks as they stand in the report.

    Structure and numbers decide together:

    - Numbers that contradict a proof make it INCONCLUSIVE.
    - Else a check that decides (see `Kind`) and finds a difference makes it DIFFERENT. Where the programs
      have one skeleton, what the check ``program`` found, the constant over which they part, comes first.
    - Repeated training that was asked for and does not decide makes it INCONCLUSIVE, whatever was proved; and
      so does a check that broke, as nobody knows what it would have found.
    - Else one program with one start is EQUIVALENT, PROVED.
    - Else every check that runs the models must be EQUIVALENT; and programs of one skeleton must not part by
      more than rounding: then no input that was tried reaches what they part over, and the answer is
      INCONCLUSIVE. A tolerance that the caller gave, and numbers use, covers that.
    - What the informing checks found becomes notes. Where no check was asked for that runs the models, the
      others decide.
    """
    results = tuple(checks)
    if any(finding.field == CONTRADICTED for result in results for finding in result.differences):
        return Verdict.INCONCLUSIVE, None, results
    deciding = [result for result in results if result.kind.decides]
    different = [result for result in deciding if result.verdict is Verdict.DIFFERENT]
    if different:
        return Verdict.DIFFERENT, different[0].evidence, results
    if any(map(_undecided_training, results)) or any("traceback" in r.figures for r in results):
        return Verdict.INCONCLUSIVE, None, results
    if _alike(results, Kind.PROVING, Evidence.PROVED) and _alike(results, Kind.START):
        return Verdict.EQUIVALENT, Evidence.PROVED, _as_notes(results)
    numeric = [result for result in results if result.kind.runs]
    if numeric:
        if all(result.verdict is Verdict.EQUIVALENT for result in deciding):
            parted = any(result.differences for result in results if result.kind is Kind.PROVING)
            if parted and not any(_tolerated(result) for result in numeric):
                return Verdict.INCONCLUSIVE, None, tuple(_unreached(one, numeric) for one in results)
            return Verdict.EQUIVALENT, _evidence(numeric), _as_notes(results)
        return Verdict.INCONCLUSIVE, None, results
    return (*_without_numbers(results), results)


def _undecided_training(result: CheckResult) -> bool:
    return result.kind is Kind.STATISTICAL and result.verdict is Verdict.INCONCLUSIVE


def _evidence(results: Sequence[CheckResult]) -> Evidence:
    """Return what agreement of all these rests on: the weakest that each of them needs."""
    found = {result.evidence for result in results}
    weakest = (Evidence.STATISTICAL, Evidence.MEASURED, Evidence.PROVED)
    return next((evidence for evidence in weakest if evidence in found), Evidence.MEASURED)


def _alike(results: Sequence[CheckResult], kind: Kind, evidence: Evidence | None = None) -> bool:
    """Tell whether there are results of a kind, all EQUIVALENT, and all of one evidence if it is given."""
    found = [result for result in results if result.kind is kind]
    proved = evidence is None or all(result.evidence is evidence for result in found)
    return proved and {result.verdict for result in found} == {Verdict.EQUIVALENT}


def _tolerated(result: CheckResult) -> bool:
    """Tell whether numbers differ within a tolerance that the caller gave."""
    given = result.figures.get("tolerance", {}).get("origin") == "given"
    return given and result.figures.get("headroom") is not None


def _unreached(result: CheckResult, numeric: Sequence[CheckResult]) -> CheckResult:
    """Say of what programs part over that no number shows it."""
    if result.kind is not Kind.PROVING:
        return result
    tolerances = [one.figures.get("tolerance", {}) for one in numeric]
    coarse = next((f"{one['only']} alone ({one['why']})" for one in tolerances if one.get("only")), None)
    unseen = f"no number shows it in {coarse}" if coarse else "no input tried reaches it"
    return replace(result, findings=tuple(_with_remedy(finding, unseen) for finding in result.findings))


def _with_remedy(finding: Finding, unseen: str) -> Finding:
    if finding.severity == "note":
        return finding
    layer = (finding.candidate_layer or finding.reference_layer or "").rpartition("/")[2]
    pattern = f"{layer}.{finding.field}" if layer else finding.field
    remedy = f"; {unseen}. Pass inputs= that do, or accept=({pattern!r},) if it is meant"
    return replace(finding, message=finding.message + remedy)


def _without_numbers(results: Sequence[CheckResult]) -> tuple[Verdict, Evidence | None]:
    """Decide where no numeric check ran: any difference, else everything asked for must be EQUIVALENT."""
    for result in results:
        if result.verdict is Verdict.DIFFERENT:
            return Verdict.DIFFERENT, result.evidence
    if results and all(result.verdict is Verdict.EQUIVALENT for result in results):
        proved = any(result.evidence is Evidence.PROVED for result in results)
        return Verdict.EQUIVALENT, Evidence.PROVED if proved else Evidence.MEASURED
    return Verdict.INCONCLUSIVE, None


def _as_notes(results: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """Turn what the informing checks found into notes: the function was kept, the layers were not."""
    return tuple(
        replace(result, findings=tuple(replace(f, severity="note") for f in result.findings))
        if result.kind is Kind.INFORMING
        else result
        for result in results
    )
