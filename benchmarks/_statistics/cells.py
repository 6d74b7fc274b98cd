"""The cells of the target table: what is simulated, what it must reach, what was measured."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from families import DESIGNS, FAMILIES, GAP, PAIRED_5, PAIRED_95, UNPAIRED, Array, Design, accuracy, latent
from rules import NAIVE, Mask, agree, difference_p, different, equivalent, sequential

from pytest_kerasequiv import equivalence_test
from pytest_kerasequiv.statistics.decision import holm
from pytest_kerasequiv.statistics.failures import paired_failure_p, unpaired_failure_p

N = 20


@dataclass(frozen=True)
class Cell:
    """One simulated cell.

    Attributes:
        group: heading under which it is shown.
        family: distribution of the metric.
        design: how runs belong together.
        setting: what else describes the cell.
        rate: measured share of experiments, or a mean.
        se: its standard error.
        experiments: how many were simulated.
        at_most: the target, where it is an upper bound.
        at_least: the target, where it is a lower bound.
        naive: share of the same experiments that each naive rule passes.
    """

    group: str
    family: str
    design: str
    setting: str
    rate: float
    se: float
    experiments: int
    at_most: float | None = None
    at_least: float | None = None
    naive: dict[str, float] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The target as a reader would write it; empty where there is none."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return "" if self.at_least is None else f"≥ {self.at_least:g}"

    @property
    def met(self) -> bool:
        """Whether the rate reaches the target."""
        return (self.at_most is None or self.rate <= self.at_most) and (
            self.at_least is None or self.rate >= self.at_least
        )

    @property
    def missed_by(self) -> float:
        """By how many standard errors the target is missed."""
        gap = self.rate - self.at_most if self.at_most is not None else (self.at_least or 0.0) - self.rate
        return 0.0 if self.met else gap / max(self.se, 1e-9)


def cell(group: str, family: str, design: Design, setting: str, found: Array | Mask, **more: object) -> Cell:
    values = np.asarray(found, dtype=np.float64)
    se = float(values.std() / math.sqrt(len(values)))
    return Cell(group, family, design.label, setting, float(values.mean()), se, len(values), **more)  # type: ignore[arg-type]


def thinned(count: int) -> int:
    """Return fewer experiments for the dear cells of a quick run."""
    return count if count >= 2000 else max(count // 4, 10)


def draw(
    rng: np.random.Generator, count: int, family: str, design: Design, n: int = N
) -> tuple[Array, Array]:
    x, y = latent(rng, count, n, design)
    quantile = FAMILIES[family]
    return quantile(x), quantile(y)


def false_equivalent(rng: np.random.Generator, count: int) -> Iterator[Cell]:
    """Twins exactly at the margin, on either side; cheap, so ten times as many experiments."""
    for family in FAMILIES:
        for design in DESIGNS:
            x, y = draw(rng, 10 * count, family, design)
            agree(x[:4], y[:4] + 1.0, None, design)
            for sign in (1, -1):
                naive = {name: float(np.mean(rule(x, y + sign, design))) for name, rule in NAIVE.items()}
                for label, margin in (("known", 1.0), ("default", None)):
                    found = equivalent(x, y + sign, margin, design)
                    setting = f"{label} margin, {sign:+d} sd"
                    yield cell("false EQUIVALENT", family, design, setting, found, at_most=0.06, naive=naive)


def false_different(rng: np.random.Generator, count: int) -> Iterator[Cell]:
    """Identical distributions; accuracies on 50 test points are full of ties."""
    for family in (*FAMILIES, "accuracy"):
        for design in DESIGNS:
            x, y = latent(rng, count, N, design)
            quantile = accuracy if family == "accuracy" else FAMILIES[family]
            found = difference_p(quantile(x), quantile(y), design) <= 0.05
            yield cell("false DIFFERENT", family, design, "identical", found, at_most=0.06)
    for family in ("normal", "B20"):
        x, y = draw(rng, count, family, UNPAIRED)
        noise = rng.normal(0, 0.5, size=(2, 2, count, N))
        arms = [
            (x, y),
            (x + noise[0, 0], y + noise[0, 1]),
            (np.exp(x + noise[1, 0]), np.exp(y + noise[1, 1])),
        ]
        p = np.array([difference_p(a, b, UNPAIRED) for a, b in arms])
        found = np.array([min(holm(column)) <= 0.05 for column in p.T.tolist()])
        yield cell("false DIFFERENT", family, UNPAIRED, "any of three metrics, Holm", found, at_most=0.05)


def power_to_pass(rng: np.random.Generator, count: int) -> Iterator[Cell]:
    """Identical twins."""
    group = "EQUIVALENT for identical twins"
    for family in FAMILIES:
        for n, least in ((20, 0.75), (30, 0.85)):
            x, y = draw(rng, count, family, UNPAIRED, n)
            found = equivalent(x, y, 1.0, UNPAIRED)
            yield cell(group, family, UNPAIRED, f"known margin, n = {n}", found, at_least=least)
        x, y = draw(rng, count, family, UNPAIRED)
        least = 0.70 if family == "normal" else 0.45
        found = equivalent(x, y, None, UNPAIRED)
        yield cell(group, family, UNPAIRED, "default margin, n = 20", found, at_least=least)
        for label, margin in (("known", 1.0), ("default", None)):
            x, y = draw(rng, count, family, PAIRED_95)
            found = equivalent(x, y, margin, PAIRED_95)
            target = {"at_least": 0.97} if label == "known" else {}
            yield cell(group, family, PAIRED_95, f"{label} margin, n = 20", found, **target)
        x, _ = draw(rng, thinned(count), family, UNPAIRED)
        tests = [equivalence_test(row, row, paired=True) for row in x]
        found = np.array([test.verdict.value == "EQUIVALENT" and test.difference == 0 for test in tests])
        yield cell(group, family, Design("bitwise equal", 1.0), "default margin, n = 20", found, at_least=1.0)


def power_to_find(rng: np.random.Generator, count: int) -> Iterator[Cell]:
    """Twins that differ."""
    group = "DIFFERENT for different twins"
    for family in FAMILIES:
        for design in (UNPAIRED, PAIRED_5):
            for shift, least in ((1, 0.80), (2, 0.99)):
                x, y = draw(rng, count, family, design)
                found = different(x, y + shift, None, design)
                yield cell(group, family, design, f"+{shift} sd", found, at_least=least)
    for design in (UNPAIRED, PAIRED_5):
        x, y = collapse_in_candidate(rng, count, 0.3, design)
        found = different(x, y, None, design)
        yield cell(group, "normal", design, "collapse 0 → 30 %", found, at_least=0.75)


def collapse_in_candidate(
    rng: np.random.Generator, count: int, rate: float, design: Design, gap: float = GAP
) -> tuple[Array, Array]:
    x, y = draw(rng, count, "normal", design)
    return x, y + gap * (rng.random(y.shape) < rate)


def hidden_differences(rng: np.random.Generator, count: int) -> Iterator[Cell]:
    """Twins whose candidate collapses now and then, or spreads wider, while its typical run looks right."""
    group = "EQUIVALENT for hidden differences"
    for design in (UNPAIRED, PAIRED_5):
        for rate, most in ((0.1, 0.12), (0.2, 0.02), (0.3, 0.005)):
            for gap in (GAP / 2, GAP):
                x, y = collapse_in_candidate(rng, count, rate, design, gap)
                found = equivalent(x, y, None, design)
                setting = f"{rate:.0%} collapse by {gap:g} sd"
                # A smaller collapse moves the mean by less than the margin: shown, but no error.
                target = {"at_most": most} if gap == GAP else {}
                yield cell(group, "normal", design, setting, found, **target)
        for label, margin in (("known", 1.0), ("default", None)):
            x, y = draw(rng, count, "normal", design)
            found = equivalent(x, 3 * y, margin, design)
            yield cell(group, "normal", design, f"3 times the sd, {label} margin", found, at_most=0.02)
        failed = rng.random((count, N)) < 0.3
        p = paired_failure_p if design.paired else unpaired_failure_p
        found = np.array(
            [(p(0, int(k), N) if design.paired else p(0, int(k), N, N)) <= 0.05 for k in failed.sum(1)]
        )  # type: ignore[call-arg]
        yield cell(group, "any", design, "30 % NaN: failure guard passes", found, at_most=0.05)


def early_stopping(rng: np.random.Generator, count: int) -> Iterator[Cell]:
    """Looks at 10, 15 and 20 runs; on the same data as one look at 20."""
    for family in FAMILIES:
        for design in (UNPAIRED, PAIRED_5, PAIRED_95):
            x, y = draw(rng, count, family, design)
            agree(x[:3], y[:3], None, design, looks=True)
            same, other, spent = sequential(x, y, None, design)
            fixed = equivalent(x, y, None, design)
            lost = fixed.astype(float) - same
            yield cell("early stopping", family, design, "false DIFFERENT, identical", other, at_most=0.06)
            yield cell("early stopping", family, design, "EQUIVALENT lost, identical", lost, at_most=0.06)
            yield cell("early stopping", family, design, "mean n, identical", spent)
            same, _, _ = sequential(x, y + 1, None, design)
            yield cell("early stopping", family, design, "false EQUIVALENT, +1 sd", same, at_most=0.06)
            few = slice(0, thinned(count))
            _, _, spent = sequential(x[few], y[few] + 2, None, design)
            yield cell("early stopping", family, design, "mean n, +2 sd", spent, at_most=12)
            _, _, spent = sequential(x[few], x[few], None, PAIRED_5)
            if design is PAIRED_5:
                yield cell("early stopping", family, design, "mean n, bitwise equal", spent, at_most=10.5)


def verdict_curve(rng: np.random.Generator, count: int) -> Iterator[Cell]:
    """All three verdicts over the true difference, for the picture."""
    for shift in np.linspace(0, 2, 9).tolist():
        x, y = draw(rng, thinned(count), "normal", UNPAIRED)
        same = equivalent(x, y + shift, None, UNPAIRED)
        other = (difference_p(x, y + shift, UNPAIRED, ~same) <= 0.05) & ~same
        for verdict, found in (("EQUIVALENT", same), ("DIFFERENT", other)):
            yield cell("verdict curve", "normal", UNPAIRED, f"{verdict} at {shift:g} sd", found)


def known_limits(rng: np.random.Generator, count: int) -> Iterator[Cell]:
    """Where the bound of .05 does not hold: differences that sit in rare runs, exactly at a known margin."""
    group = "known limits: false EQUIVALENT"
    for rate in (0.05, 0.1, 0.2):
        x, y = collapse_in_candidate(rng, 5 * count, rate, UNPAIRED, 2 * GAP)
        found = equivalent(x, y, rate * 2 * GAP, UNPAIRED)
        yield cell(group, "normal", UNPAIRED, f"candidate collapses in {rate:.0%}, margin at its mean", found)
    z = rng.normal(size=(2, 5 * count, N))
    x, y = np.exp(z)
    mean, sd = math.exp(0.5), math.sqrt((math.e - 1) * math.e)
    y = y * (mean + sd) / mean  # scaled, not shifted: its mean is one sd of x higher
    found = equivalent(x, y, sd, UNPAIRED)
    yield cell(group, "lognormal", UNPAIRED, "candidate scaled to the known margin", found)


def speed(rng: np.random.Generator, _: int) -> Iterator[Cell]:
    """Seconds that one public decision takes, looks and all figures included."""
    for design in (UNPAIRED, PAIRED_5):
        x, y = draw(rng, 12, "lognormal", design)
        equivalence_test(x[0], y[0], paired=design.paired)
        seconds = []
        for a, b in zip(x, y, strict=True):
            started = time.perf_counter()
            equivalence_test(a, b, paired=design.paired)
            seconds.append(time.perf_counter() - started)
        yield cell("seconds for one decision", "lognormal", design, "n = 20", np.array(seconds), at_most=0.3)


GROUPS = (
    false_equivalent,
    false_different,
    power_to_pass,
    power_to_find,
    hidden_differences,
    early_stopping,
    verdict_curve,
    known_limits,
    speed,
)


def summaries(cells: list[Cell]) -> Iterator[Cell]:
    """Cells over cells: mean false EQUIVALENT, and how many fewer false passes than naive rules."""
    wrong = [c for c in cells if c.group == "false EQUIVALENT"]
    if not wrong:
        return
    rates = np.array([c.rate for c in wrong])
    count = sum(c.experiments for c in wrong)
    yield Cell("false EQUIVALENT", "all", "all", "mean", float(rates.mean()), 0.0, count, at_most=0.05)
    for family in FAMILIES:
        of = [c for c in wrong if c.family == family and c.design == UNPAIRED.label]
        for rule, least in (("p > .05", 2.0), ("within one sd", 5.0)):
            ours, theirs = (float(np.mean(v)) for v in ([c.rate for c in of], [c.naive[rule] for c in of]))
            total = sum(c.experiments for c in of)
            se = theirs / ours * math.sqrt((1 - ours) / (ours * total) + (1 - theirs) / (theirs * total))
            setting = f"times fewer false passes than “{rule}”"
            yield Cell(
                "against naive rules",
                family,
                UNPAIRED.label,
                setting,
                theirs / ours,
                se,
                total,
                at_least=least,
            )
