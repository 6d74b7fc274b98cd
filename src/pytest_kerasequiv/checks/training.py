"""Repeated seeded training of both twins, and the statistical decision on their metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks.pair import Correspondence, Twin
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.program import Program
from pytest_kerasequiv.statistics.decision import Decision, decide
from pytest_kerasequiv.statistics.looks import default_looks
from pytest_kerasequiv.statistics.luck import luck_of_one_run
from pytest_kerasequiv.statistics.result import EquivalenceTest
from pytest_kerasequiv.statistics.samples import usable
from pytest_kerasequiv.training.arms import SIDES, Arm, Arms, metric_names
from pytest_kerasequiv.training.executors.lease import ending_tasks
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import ProgressCallback, Runs, listed
from pytest_kerasequiv.training.setup import make_arms
from pytest_kerasequiv.training.starts.coupling import Coupling, coupling
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

NAME = "training"


@dataclass(frozen=True)
class Portion:
    """The runs up to a look: how many, and what trains them (live, no part of what is kept)."""

    training: Training
    n: int
    arms: Arms
    coupled: bool = False


def plan(
    reference: Twin,
    between: Correspondence | None = None,
    *,
    training: Training,
    progress: ProgressCallback | None = None,
    executor: Any = None,
    cache: Any = None,
) -> Iterator[Portion]:
    """Yield the runs up to each look in turn.

    Args:
        reference: the reference.
        between: what corresponds; ``None`` where nothing is known of the candidate.
        training: how twins are trained.
        progress: told after every run.
        executor: a ``concurrent.futures.Executor`` or a Dask client; ``None`` trains in this process.
        cache: keeps finished runs, see `training.cache.RunCache`.

    Raises:
        InputError: the twins cannot be trained as planned.
    """
    twins = reference.pair.twins
    trained = (reference,) if between is None else (reference, between.candidate)
    may_couple = training.paired and between is not None
    coupled = coupling(twins, lambda: between.variables) if may_couple else None  # type: ignore[union-attr]
    programs: dict[str, Callable[[], Program]] = {
        twin.role: lambda twin=twin: twin.program  # type: ignore[misc]
        for twin in trained
    }
    services = {"progress": progress, "executor": executor, "cache": cache}
    arms = arms_of(twins, training, programs, services, coupled=coupled)
    yield from portions(training, arms, coupled=coupled is not None)


def arms_of(
    twins: Twins,
    training: Training,
    programs: Mapping[str, Callable[[], Program]],
    services: Mapping[str, Any],
    *,
    coupled: Coupling | None = None,
    known: Mapping[str, Arm] | None = None,
) -> Arms:
    """Return what trains both twins, or one alone.

    Args:
        twins: the pair.
        training: how they are trained.
        programs: side that is trained here -> returns its traced program.
        services: the options ``progress``, ``executor`` and ``cache`` of `plan`, as far as given.
        coupled: gives the candidate the reference's starts.
        known: side that is not trained here -> what gives its runs.

    Raises:
        InputError: the twins cannot be trained as planned.
    """
    progress = services.get("progress")
    made = make_arms(
        twins,
        training,
        programs=programs,
        coupled=coupled,
        executor=services.get("executor"),
        cache=services.get("cache"),
        say=None if progress is None else lambda text: arms.say(text),  # noqa: PLW0108 - made below
    )
    every = {**made, **(known or {})}
    arms = Arms({side: every[side] for side in SIDES if side in every}, training, progress)
    return arms


def portions(training: Training, arms: Arms, *, coupled: bool = False) -> Iterator[Portion]:
    """Yield the runs up to each look in turn."""
    for look in looks_of(training):
        arms.message = f"{arms.message}next look at {look.n} runs each"
        yield Portion(training, look.n, arms, coupled)
        arms.message = f"undecided after {look.n} runs each, "


def observe(twin: Twin, on: Portion) -> Runs:
    """Return the runs of one twin so far.

    Raises:
        InputError: the model is not compiled, or the plan's data do not fit it.
    """
    with ending_tasks():
        found = on.arms.runs(twin.role, on.n)
    return replace(found, coupled=on.coupled and twin.role == "candidate")


def compare(reference: Runs, candidate: Runs, _: Correspondence, *, training: Training) -> CheckResult:
    """Decide from the runs so far.

    Args:
        reference: those of the reference.
        candidate: those of the candidate.
        training: the plan.

    Raises:
        InputError: the plan names a metric that the runs do not have, or the twins' metrics differ.
    """
    result = compare_runs(reference, candidate, training)
    notes = (*([_COUPLED] if candidate.coupled else []), *_unused_findings(training))
    return replace(result, findings=(*result.findings, *notes))


def further(result: CheckResult, _: Correspondence) -> bool:
    """Whether more runs can decide: undecided so far, and none is missing."""
    return result.verdict is Verdict.INCONCLUSIVE and not any(result.figures["missing"].values())


def compare_runs(reference: Runs, candidate: Runs, plan: Training) -> CheckResult:
    """Decide from the runs so far; with fewer than planned, at the looks that they reach.

    Raises:
        InputError: the plan names a metric that the runs do not have, or the twins' metrics differ.
    """
    if reference.missing or candidate.missing:
        return _incomplete(reference, candidate, plan)
    names = metric_names(plan, reference, candidate)
    if not names:
        return _no_metrics(reference, candidate, plan)
    _refuse_unknown_metrics(plan.observed, names)
    decision = decide(
        {name: reference.values(name) for name in names},
        {name: candidate.values(name) for name in names},
        margins={name: plan.margin_of(name) for name in names},
        alpha=plan.error_rate,
        paired=plan.paired,
        looks=looks_of(plan),
    )
    findings = (
        *_metric_findings(decision),
        *_run_findings(reference, candidate),
        *_outlier_findings(decision),
    )
    evidence = None if decision.verdict is Verdict.INCONCLUSIVE else Evidence.STATISTICAL
    return CheckResult(
        NAME,
        decision.verdict,
        evidence,
        findings,
        _figures(reference, candidate, plan, decision),
    )


def _unused_findings(plan: Training) -> list[Finding]:
    names = ", ".join(f"{name}=" for name in plan.unused)
    if not names:
        return []
    by = f"train, {plan.train.kind}, decides that" if plan.fit is None else "your own fit= does the training"
    message = f"not used: {names} of the plan, since {by}"
    return [Finding.note(NAME, "fit", message)]


_COUPLED = Finding.note(
    NAME,
    "start",
    "one seed gives the twins other initial weights, since they make their layers in another order; the "
    "initialisers agree, so each candidate run starts from the weights of the reference under its seed",
)


def looks_of(plan: Training) -> Any:
    """Return when the plan decides: at 10, 15 and 20 of 20 runs; see `statistics.default_looks`."""
    return default_looks(len(plan.seed_values), plan.error_rate)


def _worst_first(decision: Decision) -> list[tuple[str, EquivalenceTest]]:
    order = {Verdict.DIFFERENT: 0, Verdict.INCONCLUSIVE: 1, Verdict.EQUIVALENT: 2}
    return sorted(decision.metrics.items(), key=lambda item: order[item[1].verdict])


def _metric_findings(decision: Decision) -> list[Finding]:
    return [_metric_finding(name, test) for name, test in _worst_first(decision)]


def _metric_finding(name: str, test: EquivalenceTest) -> Finding:
    reference, candidate = test.reference, test.candidate
    reasons = test.reasons if test.verdict is not Verdict.EQUIVALENT else ()
    message = (
        f"{name}: {'; '.join([test.verdict, *reasons])}\n"
        f"reference {_spread(reference)}, candidate {_spread(candidate)} over {test.n} runs each; "
        f"difference {test.difference:+.4g}, 90 % interval [{test.ci90[0]:+.4g}, {test.ci90[1]:+.4g}], "
        f"margin {_margin(test)}"
    )
    found = Finding.difference if test.verdict is Verdict.DIFFERENT else Finding.note
    return found(NAME, name, message, values=(reference.mean, candidate.mean))


def _spread(arm: Any) -> str:
    if arm.failed and arm.failed == len(arm.values):
        return "without a finished run"
    return f"{arm.mean:.4g} ± {arm.sd:.2g}"


def _margin(test: EquivalenceTest) -> str:
    return test.margin_label if test.margin_kind == "absolute" else f"{test.margin:.4g} ({test.margin_label})"


def _outlier_findings(decision: Decision) -> list[Finding]:
    """Notes on runs far from the others; failed ones are told by `_run_findings`, with their reasons."""
    return [
        Finding.note(NAME, name, f"{name}: {sentence}")
        for name, test in decision.metrics.items()
        for sentence in test.unusual
        if "far from the others" in sentence
    ]


def _run_findings(reference: Runs, candidate: Runs) -> list[Finding]:
    """Notes on runs that failed or collapsed: they are described, never dropped."""
    failed = [
        _side_note("failed", side, runs, _failures(runs)) for side, runs in _sides(reference, candidate)
    ]
    constant = [
        _side_note("constant", side, runs, _constants(runs)) for side, runs in _sides(reference, candidate)
    ]
    untrained = [
        _side_note("untrained", side, runs, _untrained(runs)) for side, runs in _sides(reference, candidate)
    ]
    return [note for note in (*untrained, *failed, *constant) if note is not None]


def _sides(reference: Runs, candidate: Runs) -> tuple[tuple[str, Runs], tuple[str, Runs]]:
    return ("reference", reference), ("candidate", candidate)


def _failures(runs: Runs) -> tuple[int, str]:
    reasons = runs.failures
    first = next(iter(reasons.values()), "")
    return len(reasons), f"failed (seed {listed(list(reasons))}): {first}; they count as the worst value seen"


def _constants(runs: Runs) -> tuple[int, str]:
    seeds = [run.seed for run in runs.runs if run.constant]
    return len(
        seeds
    ), f"predict a constant (seed {listed(seeds)}), as a model with a dead relu at its output does"


def _untrained(runs: Runs) -> tuple[int, str]:
    count = sum(run.untrained for run in runs.runs)
    return count, "left every weight as it was: fit did not train the model that it was given"


def _side_note(field: str, side: str, runs: Runs, counted: tuple[int, str]) -> Finding | None:
    count, what = counted
    if not count:
        return None
    message = f"{count} of {len(runs.runs)} {side} runs {what}"
    first, second = (count, None) if side == "reference" else (None, count)
    return Finding.note(NAME, field, message, values=(first, second))


def _figures(reference: Runs, candidate: Runs, plan: Training, decision: Decision | None) -> dict[str, Any]:
    tests = decision.metrics if decision is not None else {}
    return {
        "engine": _joined(reference.engine, candidate.engine),
        "reason": _joined(reference.reason, candidate.reason),
        "n": len(reference.runs),
        "planned": len(plan.seed_values),
        "looks": [look.n for look in looks_of(plan)],
        "seeds": list(reference.seeds),
        "failed": {
            side: {str(s): why for s, why in runs.failures.items()}
            for side, runs in _sides(reference, candidate)
        },
        "missing": {
            side: {str(s): why for s, why in runs.missing.items()}
            for side, runs in _sides(reference, candidate)
        },
        "constant": {
            side: [r.seed for r in runs.runs if r.constant] for side, runs in _sides(reference, candidate)
        },
        "origin": {side: _counted(runs) for side, runs in _sides(reference, candidate)},
        "seconds": {
            side: sum(run.seconds for run in runs.runs) for side, runs in _sides(reference, candidate)
        },
        "margin": dict(plan.margin) if isinstance(plan.margin, Mapping) else plan.margin,
        "alpha": plan.error_rate,
        "paired": plan.paired,
        "metrics": {
            name: test.to_dict() | _luck(test, (plan.observed or {}).get(name))
            for name, test in tests.items()
        },
    }


def _luck(test: EquivalenceTest, observed: tuple[float, float] | None) -> dict[str, Any]:
    """Return how far single runs of the reference differ; failed ones count as the worst value seen."""
    values = [value if usable(value) else float(test.fail_value or 0.0) for value in test.reference.values]
    return {"luck": luck_of_one_run(values, observed).to_dict()}


def _refuse_unknown_metrics(observed: Mapping[str, Any] | None, names: Sequence[str]) -> None:
    for metric in observed or ():
        if metric not in names:
            raise InputError(
                f"observed names {metric!r}, which is no metric here; choose from {', '.join(names)}"
            )


def _joined(reference: str, candidate: str) -> str:
    return reference if reference == candidate else f"reference: {reference}; candidate: {candidate}"


def _counted(runs: Runs) -> dict[str, int]:
    origins = [run.origin for run in runs.runs]
    return {origin: origins.count(origin) for origin in sorted(set(origins))}


def _incomplete(reference: Runs, candidate: Runs, plan: Training) -> CheckResult:
    """Runs are missing that the machines did not finish: that says nothing about the twins."""
    notes = [_side_note("missing", side, runs, _missing(runs)) for side, runs in _sides(reference, candidate)]
    findings = (*(note for note in notes if note is not None), *_run_findings(reference, candidate))
    return CheckResult(NAME, Verdict.INCONCLUSIVE, None, findings, _figures(reference, candidate, plan, None))


def _missing(runs: Runs) -> tuple[int, str]:
    missing = runs.missing
    first = next(iter(missing.values()), "")
    return len(missing), (
        f"are missing (seed {listed(list(missing))}), which says nothing about the model: {first}. Mend that "
        "and run again; finished runs that could be kept are not trained twice"
    )


def _no_metrics(reference: Runs, candidate: Runs, plan: Training) -> CheckResult:
    """Every run of both twins raised: there is nothing to decide on."""
    findings = tuple(_run_findings(reference, candidate))
    return CheckResult(NAME, Verdict.INCONCLUSIVE, None, findings, _figures(reference, candidate, plan, None))


CHECK = Check(
    NAME,
    Kind.STATISTICAL,
    plan=plan,
    observe=observe,
    compare=compare,
    further=further,
    next_step="see the metrics above; if the difference is acceptable for your subject, widen the margin.",
    picture="pytest_kerasequiv.reporting.pictures:draw_training",
)
