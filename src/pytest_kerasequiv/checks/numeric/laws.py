"""Twins whose random draws do not correspond: are their training passes equal in law?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pytest_kerasequiv.building.workbench import compiled_for_now
from pytest_kerasequiv.checks.numeric.observing import alike
from pytest_kerasequiv.checks.numeric.plans import Plan, training_plan
from pytest_kerasequiv.checks.numeric.views import TwinView, joint_survey, views_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.correspondence.draws import correspond, draws_of, other_rates
from pytest_kerasequiv.running.differentiating import Pass, differentiate
from pytest_kerasequiv.running.sketch import LARGEST_KEPT
from pytest_kerasequiv.surface.probes import NoProbes
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict

Array = NDArray[np.generic]

PASSES = 24
"""Training passes of each twin, each under seeds of its own."""

COPIES = 64
"""How often each sample stands in the batch of such a pass: Dropout draws for each copy."""

LARGEST = 400_000
"""Numbers in such a batch; above it there are fewer copies."""

DIRECTIONS = 4
"""Random directions along which a tensor is looked at, besides its sum."""

FIXED = 1e-4
"""How far numbers that no draw moves may be apart, relative to the largest."""

CERTAIN = 1e-7
"""The probability of error, by both tests, below which two laws are different."""


def equal_in_law(pair: Pair, plan: Plan, result: CheckResult, causes: Sequence[Finding]) -> CheckResult:
    """Return INCONCLUSIVE for a DIFFERENT that only draws that do not correspond may have made.

    Args:
        pair: the twins.
        plan: what they were trained on.
        result: what was decided from coupled passes.
        causes: those of its findings that no draw explains.
    """
    if result.verdict is not Verdict.DIFFERENT or causes or not _only_draws_may_differ(pair, plan):
        return result
    message = (
        "the random draws of the twins do not correspond one to one (a Dropout stands elsewhere, or one "
        f"stands for several), so single passes differ; {PASSES} passes under other seeds show no difference "
        "in law, and without the draws the twins agree. The check `training` can decide"
    )
    finding = Finding.difference(result.name, "draws", message)
    figures = {name: value for name, value in result.figures.items() if name != "worst"}
    return replace(
        result,
        verdict=Verdict.INCONCLUSIVE,
        evidence=None,
        findings=(finding, *result.notes),
        figures=figures,
    )


def entries_in_law(pair: Pair, result: CheckResult) -> CheckResult:
    """Return INCONCLUSIVE for a DIFFERENT of entries that draw, if only draws without a partner may make it.

    Args:
        pair: the twins.
        result: DIFFERENT in entries in which both draw, such as a plain call with random preprocessing.
    """
    programs = pair.reference_program, pair.candidate_program
    if not all(any(node.part == "training" for node in program.nodes) for program in programs):
        return _unpaired(pair, result)
    try:
        plan = training_plan(views_of(pair)[0], joint_survey(pair), pair.inputs, count=1, seed=pair.seed)
    except NoProbes:
        return result
    return equal_in_law(pair, plan, result, ())


def _unpaired(pair: Pair, result: CheckResult) -> CheckResult:
    """Return INCONCLUSIVE where no trace tells which of several seeds is which."""
    seeds = sum(views_of(pair)[0].runner().is_seed(index) for index, _ in pair.variable_map.pairs)
    if pair.variable_map.source in ("graph", "program") or seeds < 2:
        return result
    message = (
        "both twins draw random numbers, but training could not be traced, so which seeds correspond "
        "is not known; the check `training` can decide"
    )
    finding = Finding.difference(result.name, "draws", message)
    return replace(result, verdict=Verdict.INCONCLUSIVE, evidence=None, findings=(finding, *result.notes))


_KNOWN: WeakKeyDictionary[Pair, bool] = WeakKeyDictionary()


def _only_draws_may_differ(pair: Pair, plan: Plan) -> bool:
    if pair not in _KNOWN:
        _KNOWN[pair] = _uncoupled(pair, plan) and not _laws_differ(pair, plan)
    return _KNOWN[pair]


def _uncoupled(pair: Pair, plan: Plan) -> bool:
    """Tell whether both twins draw, agree without the draws, and draw in ways that do not correspond."""
    ours, theirs = draws_of(pair.reference_program), draws_of(pair.candidate_program)
    if not ours or not theirs:
        return False
    if correspond(ours, theirs, pair.variable_map.pairs) or other_rates(ours, theirs):
        return False
    views = views_of(pair)
    resting = [_inference(view, plan) for view in views]
    first = [_passes(view, plan, 1, [view.values])[0] for view in views]
    coupled = alike((*first[0].outputs, first[0].loss), (*first[1].outputs, first[1].loss))
    return alike(resting[0], resting[1]) and not coupled


def _inference(view: TwinView, plan: Plan) -> Sequence[Array]:
    with view.runner().holding():
        view.runner().reset_all()
        return view.runner().infer(plan.probes[0].inputs).outputs


def _passes(view: TwinView, plan: Plan, copies: int, starts: Sequence[Sequence[Array]]) -> list[Pass]:
    """Run a training pass from each of several values, on a batch with several copies of each sample."""
    batch, targets = (
        [np.concatenate([array] * copies) for array in arrays]
        for arrays in (plan.probes[0].inputs, plan.targets[0])
    )
    runner = view.runner()
    with runner.holding(), compiled_for_now(runner.model, plan.loss_for(runner.model)):
        runner.uses_loss = plan.loss is not None
        return [differentiate(runner.under(values), batch, targets) for values in starts]


def _laws_differ(pair: Pair, plan: Plan) -> bool:
    """Tell whether any statistic of the passes is surely another one in the candidate."""
    views = views_of(pair)
    copies = _copies(views[0], plan)
    ours, theirs = (
        _seeded(view, plan, copies, np.random.default_rng([plan.seed, 6, side]))
        for side, view in enumerate(views)
    )
    samples = len(plan.probes[0].inputs[0])
    for k in range(len(ours[0].outputs)):
        both = ([_of_output(one.outputs[k], copies, samples) for one in side] for side in (ours, theirs))
        if _apart(*both):
            return True
    for name in ("loss", "extra"):
        if _apart(*([np.atleast_1d(getattr(one, name)) for one in side] for side in (ours, theirs))):
            return True
    return any(_variable_apart(pair, ours, theirs, a, b) for a, b in pair.variable_map.pairs)


def _copies(view: TwinView, plan: Plan) -> int:
    """Return how many copies of each sample fit; one where the batch size is fixed."""
    if not view.runner().layout.known or any(spec.shape[0] for spec in view.runner().layout.specs):
        return 1
    shapes = view.runner().output_shapes(plan.probes[0].inputs)
    given = sum(array.size for array in plan.probes[0].inputs)
    largest = max(int(np.prod(shape)) for shape in shapes)
    return max(1, min(COPIES, LARGEST // max(given, 1), LARGEST_KEPT // max(largest, 1)))


def _seeded(view: TwinView, plan: Plan, copies: int, rng: np.random.Generator) -> list[Pass]:
    """Run passes each of which has seeds of its own."""
    runner = view.runner()
    starts = [
        [
            rng.integers(0, 2**31, value.shape).astype(value.dtype) if runner.is_seed(index) else value
            for index, value in enumerate(view.values)
        ]
        for _ in range(PASSES)
    ]
    return _passes(view, plan, copies, starts)


def _of_output(output: Array, copies: int, samples: int) -> Array:
    """Return the mean of an output over the copies of each sample, and how it is spread about that.

    The mean distance beside the variance tells laws apart that have two moments in common.
    """
    rows = output.reshape(copies * samples, -1)
    along = _along(rows).reshape(copies, samples, -1)
    means: NDArray[np.float64] = np.mean(along, axis=0)
    if copies == 1:
        return means.ravel()
    each = np.asarray(rows, np.float64).reshape(copies, samples, -1)
    found: list[Array] = [means, np.var(along, axis=0), np.mean(np.abs(along - means), axis=0)]
    found.append(np.mean(np.abs(each - np.mean(each, axis=0)), axis=0).sum(axis=-1, keepdims=True))
    whole: Array = np.concatenate([part for one in found for part in (one.ravel(), one.mean(axis=0))])
    return whole


def _along(rows: Array) -> NDArray[np.float64]:
    """Return the sum of each row, and what it is along random directions, the same for one length."""
    length = rows.shape[-1]
    directions = np.random.default_rng([7, length]).standard_normal((length, DIRECTIONS))
    wide = np.nan_to_num(np.asarray(rows, np.float64))
    found: NDArray[np.float64] = wide @ np.concatenate([np.ones((length, 1)), directions], axis=1)
    return found


def _variable_apart(pair: Pair, ours: Sequence[Pass], theirs: Sequence[Pass], a: int, b: int) -> bool:
    """Tell whether the gradient of a variable, or what a pass makes of it, follows another law."""
    for field in ("gradients", "state"):
        mine, its = ([getattr(one, field).get(i) for one in side] for side, i in ((ours, a), (theirs, b)))
        if mine[0] is None or its[0] is None:
            continue
        fits = mine[0].size == its[0].size
        back = [pair.variable_map.returned((a, b), one, mine[0].shape) for one in its] if fits else its
        if _apart(*([_along(one.reshape(1, -1))[0] for one in side] for side in (mine, back))):
            return True
    return False


def _apart(ours: Sequence[Array], theirs: Sequence[Array]) -> bool:
    """Tell whether any number of equally many passes is surely drawn from another law, by two tests."""
    first, second = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if first.shape != second.shape:
        return True
    fixed = (np.ptp(first, axis=0) == 0) & (np.ptp(second, axis=0) == 0)
    scale = np.max(np.abs(first), initial=0.0)
    if np.any(np.abs(first - second)[0, fixed] > FIXED * scale):
        return True
    moving = ~fixed
    if not np.any(moving):
        return False
    means = stats.ttest_ind(first[:, moving], second[:, moving], equal_var=False).pvalue
    ranks = stats.mannwhitneyu(first[:, moving], second[:, moving]).pvalue
    return bool(np.any((means < CERTAIN) & (ranks < CERTAIN)))
