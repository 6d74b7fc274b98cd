"""The text of a decision, like a short lab report, at most 100 columns wide."""

from __future__ import annotations

import textwrap

from pytest_kerasequiv.statistics.explain import bound_text, margin_text
from pytest_kerasequiv.statistics.result import ArmSummary, EquivalenceTest

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
