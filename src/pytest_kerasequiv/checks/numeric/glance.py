"""Looking at less than everything first, where that may settle a check beyond doubt.

Twins of one skeleton that part over a constant are DIFFERENT as soon as numbers differ by what rounding
cannot explain. Where they differ by far more, one batch tells, and neither float64 nor a perturbed run is
needed to say so. Where everything agrees without what the perturbed run would allow, it need not be made: see
`checks.tolerance.CAUTION`. Where neither is so, everything is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.pair import Correspondence
from pytest_kerasequiv.checks.registry import Settles
from pytest_kerasequiv.checks.tolerance import EXPLAINED, TOLD
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF, least_precise_dtype
from pytest_kerasequiv.verdict import CheckResult, Verdict

PLAIN = 64.0
"""How often the default tolerance must be exceeded in the model's own dtype."""

ONE_BATCH = "the programs have one skeleton, and on the first batch the twins differ plainly without it"


def glances(plan: Plan, between: Correspondence) -> Iterator[tuple[Plan, Settles]]:
    """Yield plans that look at less, each with what tells whether its result is beyond doubt.

    One batch can only say DIFFERENT. Without the perturbed run S of `checks.tolerance` may be too small by
    what one roundoff can do to a result from which something is derived at all.

    Args:
        plan: what the twins would be run on.
        between: what corresponds.
    """
    if plan.why_no_oracle is not None or not plan.probes:
        return
    if type(plan) is Plan and between.alignment.sharp and between.alignment.partings:
        first = plan.first(1)
        roundoff = UNIT_ROUNDOFF[least_precise_dtype(between.reference.model)]
        yield replace(first, why_no_oracle=ONE_BATCH), partial(_plain, "stored", PLAIN)
        unknown = max(TOLD, EXPLAINED * roundoff) / roundoff
        yield replace(first, perturbed=False), partial(_plain, "float64", unknown)
    yield from unperturbed(plan, between)


def unperturbed(plan: Plan, between: Correspondence) -> Iterator[tuple[Plan, Settles]]:
    """Yield the plan without its perturbed run, which settles what agrees without it; see `glances`.

    What narrower dtypes than float32 let pass by default, this might not tell from less.
    """
    narrow = UNIT_ROUNDOFF[least_precise_dtype(between.reference.model)] > UNIT_ROUNDOFF["float32"]
    if plan.probes and plan.perturbed and plan.why_no_oracle is None and not narrow:
        yield replace(plan, perturbed=False), _agree


def _agree(result: CheckResult) -> bool:
    return result.verdict is Verdict.EQUIVALENT


def _plain(form: str, needed: float, result: CheckResult) -> bool:
    return result.verdict is Verdict.DIFFERENT and _most_used(result, form) > needed


def _most_used(result: CheckResult, form: str) -> float:
    tensors: list[dict[str, Any]] = result.figures.get("outputs") or result.figures.get("tensors") or []
    return max((one[form]["used"] for one in tensors if one[form] is not None), default=0.0)
