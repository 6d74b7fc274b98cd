"""Repeated seeded training of both twins, and the statistical decision on their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.statistics.decision import Decision, decide
from pytest_kerasequiv.statistics.looks import default_looks
from pytest_kerasequiv.statistics.luck import luck_of_one_run
from pytest_kerasequiv.statistics.result import EquivalenceTest
from pytest_kerasequiv.statistics.samples import usable
from pytest_kerasequiv.training.arms import Arms, metric_names
from pytest_kerasequiv.training.engines.choice import make_arm
from pytest_kerasequiv.training.executors.lease import ending_tasks
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import ProgressCallback, Runs, listed
from pytest_kerasequiv.training.setup import make_arms
from pytest_kerasequiv.training.starts.coupling import coupling
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

NAME = "training"


def observe(
    source: Source, plan: Training, *, seeds: Sequence[int] | None = None, side: str = "reference"
) -> Runs:
    """Train one twin under each seed.

    Args:
        source: makes fresh models of the twin.
        plan: how they are trained.
        seeds: the seeds, by default those of the plan.
        side: ``"reference"`` or ``"candidate"``, for messages.

    Raises:
        InputError: the model is not compiled, or the plan's data do not fit it.
    """
    arm = make_arm(source, plan, side)
    runs = tuple(arm.train(plan.seed_values if seeds is None else seeds))
    return Runs(runs, arm.reason)


def compare(reference: Runs, candidate: Runs, plan: Training) -> CheckResult:
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


def run(
    pair: Pair,
    *,
    training: Training,
    progress: ProgressCallback | None = None,
    executor: Any = None,
    cache: Any = None,
) -> CheckResult:
    """Train both twins, look after each portion of the runs, and stop as soon as the decision stands.

    Args:
        pair: the twins.
        training: the plan.
        progress: told after every run.
        executor: a ``concurrent.futures.Executor`` or a Dask client; ``None`` trains in this process.
        cache: keeps finished runs, see `training.cache.RunCache`.

    Raises:
        InputError: the twins cannot be trained as planned.
    """
    coupled = coupling(pair.twins, lambda: pair.variable_map) if training.paired else None
    programs = {
        "reference": lambda: pair.reference_program,
        "candidate": lambda: pair.candidate_program,
    }

    def say(text: str) -> None:
        arms.say(text)

    arms = Arms(
        *make_arms(
            pair.twins,
            training,
            programs=programs,
            coupled=coupled,
            executor=executor,
            cache=cache,
            say=None if progress is None else say,
        ),
        training,
        progress,
    )
    with ending_tasks():
        result = _decided(arms, training)
    notes = (*([_COUPLED] if coupled is not None else []), *_unused_findings(training))
    return replace(result, findings=(*result.findings, *notes))


def _decided(arms: Arms, training: Training) -> CheckResult:
    """Train up to each look in turn, until the decision stands or runs are missing."""
    for n in (look.n for look in looks_of(training)):
        arms.message = f"{arms.message}next look at {n} runs each"
        reference, candidate = arms.extend_to(n)
        result = compare(reference, candidate, training)
        if result.verdict is not Verdict.INCONCLUSIVE or reference.missing or candidate.missing:
            break
        arms.message = f"undecided after {n} runs each, "
    return result


def _unused_findings(plan: Training) -> list[Finding]:
    names = ", ".join(f"{name}=" for name in plan.unused)
    message = f"not used: {names} of the plan, since your own fit= does the training"
    return [Finding.note(NAME, "fit", message)] if names else []


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
    severity: Any = "difference" if test.verdict is Verdict.DIFFERENT else "note"
    return Finding(NAME, None, None, name, reference.mean, candidate.mean, message, severity)


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
    run=run,
    next_step="see the metrics above; if the difference is acceptable for your subject, widen the margin.",
    picture="pytest_kerasequiv.reporting.pictures:draw_training",
)
