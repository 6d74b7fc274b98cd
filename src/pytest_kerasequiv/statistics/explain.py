"""Why a verdict is what it is, in sentences, and what would settle an INCONCLUSIVE one."""

from __future__ import annotations

from pytest_kerasequiv.statistics.planning import fewest_runs
from pytest_kerasequiv.statistics.result import EquivalenceTest
from pytest_kerasequiv.verdict import Verdict


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
