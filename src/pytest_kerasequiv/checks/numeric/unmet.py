"""Conditions that one side alone has: did some probe meet each, and some other not?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.views import TwinView
from pytest_kerasequiv.checks.pair import Correspondence
from pytest_kerasequiv.layers.fixed_training import phase
from pytest_kerasequiv.program.conditions import Condition, Conditions
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict


@dataclass(frozen=True, kw_only=True)
class ConditionsPlan(Plan):
    """The probes of inference, and what is asked of each side; the reference's are ``names``."""

    names: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def for_candidate(self, why_no_oracle: str | None, rate: float | None = None) -> ConditionsPlan:
        """Return the plan with the candidate's conditions."""
        return replace(self, names=self.others, why_no_oracle=why_no_oracle, rate=rate)


Met = Mapping[str, tuple[bool, bool]]
"""Name of a condition -> whether it held somewhere, and whether it did not somewhere."""


def conditions_plan(plan: Plan, between: Correspondence | None) -> Iterator[ConditionsPlan]:
    """Yield what tells which conditions the probes of a plan meet, where a side has some alone."""
    if between is None or not plan.probes or not any(between.conditions):
        return
    ours, theirs = (tuple(one.name for one in side) for side in between.conditions)
    same = {**vars(plan), "why_no_oracle": "conditions are looked at as built", "perturbed": False}
    yield ConditionsPlan(**same, names=ours, others=theirs)


def observe(view: TwinView, plan: ConditionsPlan) -> Met:
    """Return which conditions of one model its inference met on the probes."""
    met = dict.fromkeys(plan.names, (False, False))
    runner = view.runner()
    with runner.holding():
        for probe in plan.probes if plan.names else ():
            under = runner.under(view.values_for(probe))
            under.reset_all()
            for name, held, failed in _asked(under, probe.inputs, plan.names):
                met[name] = met[name][0] or held, met[name][1] or failed
    return met


def _asked(runner: Runner, inputs: Sequence[Any], names: Sequence[str]) -> Iterator[tuple[str, bool, bool]]:
    """Yield of each condition whether it held, and did not, somewhere; neither for one that is not found."""

    def body(packed: Any) -> list[Any]:
        runner.model(packed, **phase(runner.model, training=False))
        made = {op.name: op for op in tf.compat.v1.get_default_graph().get_operations()}
        found = [made[name].outputs[0] if name in made else None for name in names]
        return [tf.zeros((0,), bool) if one is None else one for one in found]

    packed = runner.pack(inputs)
    try:
        found = runner.concrete("conditions", body, packed)(packed)
    except Exception:  # what a model refuses meets nothing
        return
    for name, values in zip(names, map(np.asarray, found), strict=True):
        yield name, bool(values.any()), not values.all()


def with_conditions(
    result: CheckResult, reference: Met, candidate: Met, between: Correspondence
) -> CheckResult:
    """Make a result INCONCLUSIVE where a side alone has a condition that no probe met, or every probe.

    Args:
        result: the check's result, EQUIVALENT so far.
        reference: what `observe` returned for the reference.
        candidate: the same for the candidate.
        between: what corresponds.
    """
    ours, theirs = between.conditions
    findings = [
        *(_finding(result.name, one, reference[one.name][0], ours=True) for one in _unmet(ours, reference)),
        *(
            _finding(result.name, one, candidate[one.name][0], ours=False)
            for one in _unmet(theirs, candidate)
        ),
    ]
    figures = {**result.figures, "conditions": len(ours) + len(theirs)}
    if not findings:
        return replace(result, figures=figures)
    found = (*findings, *result.findings)
    return replace(result, verdict=Verdict.INCONCLUSIVE, evidence=None, findings=found, figures=figures)


def _unmet(conditions: Conditions, met: Met) -> Iterator[Condition]:
    """Yield what was the same for all that was tried, if it was looked at."""
    for one in conditions:
        held, failed = met.get(one.name, (False, False))
        if held != failed:
            yield one


def _finding(check: str, one: Condition, held: bool, *, ours: bool) -> Finding:
    side = "reference" if ours else "candidate"
    message = (
        f"only the {side} asks for {one}, and {'everything' if held else 'nothing'} that was tried is so; "
        "pass inputs= of both kinds, or accept= if that is meant"
    )
    layers = (one.layer, None) if ours else (None, one.layer)
    return Finding.difference(check, "condition", message, layers=layers)
