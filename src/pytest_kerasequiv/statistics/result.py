"""The frozen result of one decision, with its JSON form and its text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pytest_kerasequiv.jsonable import to_jsonable
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
        from pytest_kerasequiv.statistics.text import lab_report

        return lab_report(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-able data; values that are not finite become text."""
        data = asdict(self) | {"p_equivalence": self.p_equivalence}
        return {name: to_jsonable(value) for name, value in data.items()}
