"""The frozen result of one decision, with its JSON form and its text."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from pytest_kerasequiv.jsonable import to_jsonable
from pytest_kerasequiv.statistics.planning import fewest_runs
from pytest_kerasequiv.verdict import Verdict


@dataclass(frozen=True)
class ArmSummary:
    """The runs of one twin.

    Attributes:
        values: the metric, run by run, as it came.
        mean: mean of the values that the tests saw: failed runs count with ``fail_value``.
        sd: their standard deviation (ddof 1).
        median: their median.
        min: their smallest.
        max: their largest.
        failed: number of failed runs.
    """

    values: tuple[float, ...]
    mean: float
    sd: float
    median: float
    min: float
    max: float
    failed: int


@dataclass(frozen=True)
class EquivalenceTest:
    """The decision on one metric; differences are candidate minus reference, in units of the metric.

    Attributes:
        verdict: EQUIVALENT, DIFFERENT or INCONCLUSIVE.
        n: runs per twin (of the smaller arm, where they differ).
        paired: whether the runs are paired by seed.
        alpha: bound of both error rates, as asked for.
        level: level of each test in this decision: alpha, or this look's share of it.
        margin: the margin in units of the metric, where need be from the estimated mean or deviation.
        margin_kind: ``"absolute"``, ``"relative"`` or ``"sd"``.
        margin_label: the margin as asked for: ``"0.05"``, ``"10%"``, ``"1 sd"``.
        reference: the reference's runs.
        candidate: the candidate's runs.
        difference: mean difference.
        ci90: its 90 % confidence interval.
        ci95: its 95 % confidence interval.
        p_lower: p of "the candidate is lower by the margin or more".
        p_upper: p of "the candidate is higher by the margin or more".
        p_difference: exact permutation p of "both twins' runs have one distribution".
        p_difference_holm: the same, adjusted for the number of metrics decided together.
        p_means: permutation p of the difference of the means alone.
        p_spread: permutation p of the ratio of the variances.
        p_failure: p of "the failure rates differ by 30 percentage points or more".
        failure_level: level at which ``p_failure`` is judged.
        effect_size: Cohen's d, the difference in pooled standard deviations.
        superiority: share of run pairs in which the candidate's value is larger (ties count half).
        sd_ratio: the candidate's standard deviation over the reference's.
        certified_bound: smallest margin that would pass, in units of the metric; ``None`` where none would.
        certified_label: the same in the unit of the margin.
        detectable_difference: mean difference that so many runs find with 80 % power.
        recommended_runs: runs per twin with which equal twins of this spread pass with 80 % power; ``None``
            where no feasible number does.
        runs_at_difference: the same if the observed difference were the true one; ``None`` beyond the margin.
        undetected_failure_rate: largest failure rate that n runs without failure leave possible, 1 -
            alpha^(1/n).
        detectable: EQUIVALENT although a difference is detectable: it lies inside the margin.
        spread_differs: the spread veto stands against EQUIVALENT.
        failures_differ: the failure guard stands against EQUIVALENT.
        fail_value: what failed runs were counted as; ``None`` where none failed.
        looks: runs at which the plan allowed to decide.
        reasons: sentences: why this verdict, and what would settle an INCONCLUSIVE one.
        unusual: sentences on failed and outlying runs.
    """

    verdict: Verdict
    n: int
    paired: bool
    alpha: float
    level: float
    margin: float
    margin_kind: str
    margin_label: str
    reference: ArmSummary
    candidate: ArmSummary
    difference: float
    ci90: tuple[float, float]
    ci95: tuple[float, float]
    p_lower: float
    p_upper: float
    p_difference: float
    p_difference_holm: float
    p_means: float
    p_spread: float
    p_failure: float
    failure_level: float
    effect_size: float
    superiority: float
    sd_ratio: float
    certified_bound: float | None
    certified_label: str | None
    detectable_difference: float
    recommended_runs: int | None
    runs_at_difference: int | None
    undetected_failure_rate: float
    detectable: bool
    spread_differs: bool
    failures_differ: bool
    fail_value: float | None
    looks: tuple[int, ...]
    reasons: tuple[str, ...] = ()
    unusual: tuple[str, ...] = ()

    @property
    def p_equivalence(self) -> float:
        """The p of the equivalence test: the larger of both sides."""
        return max(self.p_lower, self.p_upper)

    @property
    def equivalent_means(self) -> bool:
        """Whether the means are shown to be within the margin; spread and failures may still object."""
        return self.p_equivalence <= self.level

    def __str__(self) -> str:
        return lab_report(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-able data; values that are not finite become text."""
        data = asdict(self) | {"p_equivalence": self.p_equivalence}
        return {name: to_jsonable(value) for name, value in data.items()}


WIDTH = 100


def lab_report(test: EquivalenceTest) -> str:
    """Return the whole decision on one metric as text."""
    table = f"{'':10}{'runs':>6}{'failed':>8}{'mean':>12}{'sd':>12}{'median':>12}{'min':>12}{'max':>12}"
    lines = [
        f"{test.verdict}: candidate - reference = {test.difference:+.4g}, margin {margin_text(test)}",
        *(f"  {line}" for reason in test.reasons for line in textwrap.wrap(reason, WIDTH - 2)),
        "",
        table,
        _row("reference", test.reference),
        _row("candidate", test.candidate),
        "",
    ]
    for name, text in (*_tests(test), *_planning(test), *(("note", note) for note in _notes(test))):
        lines += textwrap.wrap(text, WIDTH, initial_indent=f"{name:13}", subsequent_indent=" " * 13)
    return "\n".join(lines)


def _tests(test: EquivalenceTest) -> list[tuple[str, str]]:
    intervals = "90 % CI [{:.4g}, {:.4g}], 95 % CI [{:.4g}, {:.4g}]".format(*test.ci90, *test.ci95)
    lower, upper, holm = (p_text(p) for p in (test.p_lower, test.p_upper, test.p_difference_holm))
    return [
        ("difference", f"{test.difference:+.4g}, {intervals}"),
        (
            "equivalence",
            f"p {p_text(test.p_equivalence)} (not lower: p {lower}, not higher: p {upper}), {_level(test)}",
        ),
        ("difference", f"p {p_text(test.p_difference)}, Holm p {holm} (exact permutation test)"),
        (
            "effect",
            f"d = {test.effect_size:.3g}, P(candidate > reference) = {test.superiority:.2f}, "
            f"sd ratio {test.sd_ratio:.3g}",
        ),
        ("certified", _certified(test)),
    ]


def p_text(p: float) -> str:
    """Return a p value with two significant digits, or its bound where it is tiny."""
    return f"= {p:.2g}" if p >= 1e-4 else "< 0.0001"


def _level(test: EquivalenceTest) -> str:
    if test.level == test.alpha:
        return f"alpha = {test.alpha:.3g}"
    return f"level {test.level:.3g} of alpha = {test.alpha:.3g}"


def _row(name: str, arm: ArmSummary) -> str:
    figures = "".join(f"{value:>12.5g}" for value in (arm.mean, arm.sd, arm.median, arm.min, arm.max))
    return f"{name:10}{len(arm.values):>6}{arm.failed:>8}{figures}"


def _certified(test: EquivalenceTest) -> str:
    if test.certified_bound is None:
        return "no margin would pass"
    return f"means within {bound_text(test)}: the smallest margin that would pass"


def _planning(test: EquivalenceTest) -> list[tuple[str, str]]:
    runs = (
        "more runs than feasible" if test.recommended_runs is None else f"{test.recommended_runs} runs a twin"
    )
    found, unseen = f"{test.detectable_difference:.4g}", 100 * test.undetected_failure_rate
    return [
        ("power", f"finds a mean difference of {found} in 80 % of cases; equal twins need {runs}"),
        ("blind spot", f"a failure in up to {unseen:.1f} % of runs can stay unseen in {test.n} runs"),
    ]


def _notes(test: EquivalenceTest) -> list[str]:
    notes = list(test.unusual)
    if test.fail_value is not None:
        notes.append(f"failed runs are counted as {test.fail_value:.5g}, the worst value seen or given")
    notes.append(
        f"{'paired by seed' if test.paired else 'unpaired'}, {test.n} runs"
        + (f", looks at {', '.join(map(str, test.looks))}" if len(test.looks) > 1 else "")
    )
    return notes


def reasons_for(test: EquivalenceTest) -> tuple[str, ...]:
    """Return the sentences for a test whose verdict is set; the deciding one first."""
    if test.verdict is Verdict.EQUIVALENT:
        return _equivalent(test)
    if test.verdict is Verdict.DIFFERENT:
        return (_difference(test), *_objections(test))
    return (*_objections(test), *_too_few(test))


def _equivalent(test: EquivalenceTest) -> tuple[str, ...]:
    shown = f"the means are shown to differ by less than the margin of {margin_text(test)}"
    if not test.detectable:
        return (shown,)
    return (
        shown,
        f"a difference is detectable (p = {test.p_difference_holm:.2g}) but lies inside the margin",
    )


def _difference(test: EquivalenceTest) -> str:
    if test.reference.failed != test.candidate.failed and test.failures_differ:
        what = f"{test.reference.failed} reference runs failed and {test.candidate.failed} candidate runs"
    elif test.p_means <= 2 * test.level:
        side = "higher" if test.difference > 0 else "lower"
        what = f"the candidate's mean is {side} by {abs(test.difference):.4g}"
    elif test.p_spread <= 2 * test.level:
        what = f"the candidate's standard deviation is {test.sd_ratio:.3g} times the reference's"
    else:
        what = "the two distributions have different shapes"
    return f"the runs do not have one distribution (p = {test.p_difference_holm:.2g}): {what}"


def _objections(test: EquivalenceTest) -> tuple[str, ...]:
    reasons = []
    if test.spread_differs:
        reasons.append(
            f"the spread differs: the candidate's standard deviation is {test.sd_ratio:.3g} times the "
            f"reference's (p = {test.p_spread:.2g}), so equal means would not make the twins equivalent"
        )
    if test.failures_differ:
        reasons.append(_failures(test))
    return tuple(reasons)


def _failures(test: EquivalenceTest) -> str:
    x, y, n = test.reference, test.candidate, test.n
    if max(x.failed / len(x.values), y.failed / len(y.values)) > 0.5:
        return f"more than half of the runs failed (reference {x.failed}, candidate {y.failed}, of {n})"
    if x.failed == y.failed == 0:
        return (
            f"{n} runs without a failure cannot exclude that one twin fails 30 % more often than the other; "
            f"EQUIVALENT needs at least {fewest_runs(test.failure_level)} runs"
        )
    p = f"p = {test.p_failure:.2g}, level {test.failure_level:.2g}"
    return (
        f"failures: {x.failed} reference and {y.failed} candidate runs of {n} failed, so that failure rates "
        f"30 percentage points apart are not excluded ({p})"
    )


def _too_few(test: EquivalenceTest) -> tuple[str, ...]:
    """Say what the means lack and how many runs would settle it."""
    if test.equivalent_means:
        return ()
    return (_margin_not_shown(test), _runs_needed(test))


def _runs_needed(test: EquivalenceTest) -> str:
    if test.recommended_runs is None:
        return "no feasible number of runs shows equivalence within this margin; choose a larger one"
    equal = f"twins with equal means and this spread pass with {test.recommended_runs} runs in 80 % of cases"
    if test.runs_at_difference is None:
        return f"{equal}, but the difference observed lies beyond the margin; more runs may show DIFFERENT"
    if test.runs_at_difference <= test.recommended_runs:
        return equal
    return f"{equal}; were the observed difference the true one, with {test.runs_at_difference}"


def _margin_not_shown(test: EquivalenceTest) -> str:
    text = (
        f"{test.n} runs do not show the means to be within {margin_text(test)} (p = {test.p_equivalence:.2g})"
    )
    if test.certified_bound is not None:
        return f"{text}; they do show them to be within {bound_text(test)}"
    if test.margin_kind == "relative" and not (test.spread_differs or test.failures_differ):
        return (
            f"{text}; the reference mean is too near 0, or the twins too far apart, for any relative margin"
        )
    return text


def margin_text(test: EquivalenceTest) -> str:
    """Return the margin in units of the metric, with the form it was asked in: ``0.42 (1 sd)``."""
    return _both(test.margin_kind, test.margin, test.margin_label)


def bound_text(test: EquivalenceTest) -> str:
    """Return the certified bound, where there is one, in units of the metric, with the form of the margin."""
    return _both(test.margin_kind, test.certified_bound or 0.0, str(test.certified_label))


def _both(kind: str, size: float, label: str) -> str:
    if kind == "absolute":
        return label
    of = {"sd": "reference sd", "relative": "of the reference mean"}[kind]
    return f"{size:.4g} ({label.removesuffix(' sd')} {of})"
