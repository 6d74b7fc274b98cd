"""The text of a decision, like a short lab report, at most 100 columns wide."""

from __future__ import annotations

import textwrap

from pytest_kerasequiv.statistics.explain import bound_text, margin_text
from pytest_kerasequiv.statistics.result import ArmSummary, EquivalenceTest

WIDTH = 100


def lab_report(test: EquivalenceTest) -> str:
    """Return the whole decision on one metric as text."""
    low90, high90 = test.ci90
    low95, high95 = test.ci95
    lines = [
        f"{test.verdict}: candidate - reference = {test.difference:+.4g}, margin {margin_text(test)}",
        *(f"  {line}" for reason in test.reasons for line in textwrap.wrap(reason, WIDTH - 2)),
        "",
        f"{'':10}{'runs':>6}{'failed':>8}{'mean':>12}{'sd':>12}{'median':>12}{'min':>12}{'max':>12}",
        _row("reference", test.reference),
        _row("candidate", test.candidate),
        "",
        f"difference   {test.difference:+.4g}, 90 % CI [{low90:.4g}, {high90:.4g}], 95 % CI "
        f"[{low95:.4g}, {high95:.4g}]",
        f"equivalence  p {p_text(test.p_equivalence)} (not lower: p {p_text(test.p_lower)}, "
        f"not higher: p {p_text(test.p_upper)}), {_level(test)}",
        f"difference   p {p_text(test.p_difference)}, Holm p {p_text(test.p_difference_holm)} (exact "
        "permutation test)",
        f"effect       d = {test.effect_size:.3g}, P(candidate > reference) = {test.superiority:.2f}, "
        f"sd ratio {test.sd_ratio:.3g}",
        f"certified    {_certified(test)}",
        *_planning(test),
    ]
    lines += [f"note         {line}" for note in _notes(test) for line in textwrap.wrap(note, WIDTH - 13)]
    return "\n".join(lines)


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


def _planning(test: EquivalenceTest) -> list[str]:
    runs = (
        "more runs than feasible" if test.recommended_runs is None else f"{test.recommended_runs} runs a twin"
    )
    return [
        f"power        finds a mean difference of {test.detectable_difference:.4g} in 80 % of cases; "
        f"equal twins need {runs}",
        f"blind spot   a failure in up to {100 * test.undetected_failure_rate:.1f} % of runs can stay unseen "
        f"in {test.n} runs",
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
