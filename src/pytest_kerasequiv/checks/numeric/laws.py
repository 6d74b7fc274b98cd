"""Twins whose random draws do not correspond: are their training passes equal in law?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pytest_kerasequiv.building.workbench import compiled_for_now
from pytest_kerasequiv.checks.numeric.doubts import undecided
from pytest_kerasequiv.checks.numeric.observing import alike
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.views import Label, TwinView
from pytest_kerasequiv.checks.pair import Correspondence
from pytest_kerasequiv.correspondence.draws import correspond, draws_of, other_rates
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.running.differentiating import Pass, differentiate
from pytest_kerasequiv.running.sketch import LARGEST_KEPT
from pytest_kerasequiv.verdict import CheckResult, Verdict

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

COUPLED, UNCOUPLED = "coupled", "not coupled"

CERTAIN = 1e-7
"""The probability of error, by both tests, below which two laws are different."""


@dataclass(frozen=True, kw_only=True)
class DrawsPlan(Plan):
    """A first batch, for passes in which other numbers are drawn.

    Attributes:
        passes: how many passes under seeds of their own; none where a coupled pass is enough.
        copies: how often each sample stands in the batch of such a pass.
        side: 0 or 1; makes the seeds of the candidate others than those of the reference.
    """

    passes: int = 0
    copies: int = 1
    side: int = 0

    def for_candidate(self, why_no_oracle: str | None, rate: float | None = None) -> DrawsPlan:
        """Return the plan with other seeds."""
        return replace(self, why_no_oracle=why_no_oracle, rate=rate, side=1)


@dataclass(frozen=True)
class DrawsObservation:
    """What one model does where other numbers are drawn.

    Attributes:
        resting: outputs in inference.
        single: one pass in training mode, its draws coupled with those of the other twin.
        passes: passes on several copies of each sample, each under seeds of its own.
        copies: how many copies.
        samples: how many samples.
    """

    resting: tuple[Array, ...]
    single: Pass
    passes: tuple[Pass, ...]
    copies: int
    samples: int


def draws_plans(view: TwinView, plan: Plan) -> Iterator[DrawsPlan]:
    """Yield a plan of one coupled pass, then one of passes under other seeds; none without a batch.

    Args:
        view: the reference.
        plan: what it is trained on; the first batch counts.
    """
    if plan.probes:
        first = {**vars(plan.first(1)), "perturbed": False}
        yield DrawsPlan(**first)
        yield DrawsPlan(**first, passes=PASSES, copies=_copies(view, plan))


def observe(view: TwinView, plan: DrawsPlan) -> DrawsObservation:
    """Run passes of one model under other seeds, once for all checks."""
    samples = len(plan.probes[0].inputs[0])
    resting, single = view.once("coupled pass", lambda: _coupled_pass(view, plan))
    if not plan.passes:
        return DrawsObservation(resting, single, (), 1, samples)
    rng = np.random.default_rng([plan.seed, 6, plan.side])
    passes = view.once("passes under other seeds", lambda: tuple(_seeded(view, plan, rng)))
    return DrawsObservation(resting, single, passes, plan.copies, samples)


def _coupled_pass(view: TwinView, plan: DrawsPlan) -> tuple[tuple[Array, ...], Pass]:
    runner = view.runner()
    with runner.holding():
        runner.reset_all()
        resting = tuple(runner.infer(plan.probes[0].inputs).outputs)
    return resting, _passes(view, plan, 1, [view.values])[0]


def draws_may_tell(result: CheckResult, between: Correspondence) -> bool:
    """Tell whether passes under other seeds can tell more: twins differ, for no cause that is known."""
    caused = result.figures.get("causes", not result.figures.get("drawn"))
    if result.verdict is not Verdict.DIFFERENT or caused:
        return False
    told = result.figures.get("draws")
    return only_draws_may_differ(between) if told is None else told == UNCOUPLED


def only_draws_may_differ(between: Correspondence) -> bool:
    """Tell from both programs whether both twins draw, in ways that do not correspond."""
    ours, theirs = draws_of(between.reference.program), draws_of(between.candidate.program)
    if not ours or not theirs:
        return False
    pairs = between.variables.pairs
    return not correspond(ours, theirs, pairs) and not other_rates(ours, theirs)


def equal_in_law(
    result: CheckResult,
    reference: DrawsObservation | None,
    candidate: DrawsObservation | None,
    between: Correspondence,
) -> CheckResult:
    """Return INCONCLUSIVE for a DIFFERENT that only draws that do not correspond may have made.

    Args:
        result: what was decided from coupled passes.
        reference: what the reference does under other seeds; ``None`` where that was not asked.
        candidate: the same of the candidate.
        between: what corresponds.
    """
    if reference is None or candidate is None or result.verdict is not Verdict.DIFFERENT:
        return result
    if _coupled(reference, candidate):
        return replace(result, figures={**result.figures, "draws": COUPLED})
    if not reference.passes:
        return replace(result, figures={**result.figures, "draws": UNCOUPLED})
    if _laws_differ(reference, candidate, between.variables):
        return result
    message = (
        "the random draws of the twins do not correspond one to one (a Dropout stands elsewhere, or one "
        f"stands for several), so single passes differ; {PASSES} passes under other seeds show no difference "
        "in law, and without the draws the twins agree. The check `training` can decide"
    )
    return undecided(result, "draws", message)


def untraced_draws(
    result: CheckResult, labels: Sequence[Label], between: Correspondence
) -> CheckResult | None:
    """Return INCONCLUSIVE where both draw, and no trace tells which of several seeds is which.

    Args:
        result: DIFFERENT in entries in which both draw.
        labels: the reference's variables.
        between: what corresponds.

    Returns:
        ``None`` where training of both was traced.
    """
    programs = between.reference.program, between.candidate.program
    if all(any(node.part == "training" for node in program.nodes) for program in programs):
        return None
    seeds = sum(labels[index].seed for index, _ in between.variables.pairs)
    if between.variables.source in ("graph", "program") or seeds < 2:
        return result
    message = (
        "both twins draw random numbers, but training could not be traced, so which seeds correspond "
        "is not known; the check `training` can decide"
    )
    return undecided(result, "draws", message)


def _coupled(reference: DrawsObservation, candidate: DrawsObservation) -> bool:
    """Tell whether the twins differ without the draws, or agree in a single pass: draws are no reason."""
    ours, theirs = reference.single, candidate.single
    single = alike((*ours.outputs, ours.loss), (*theirs.outputs, theirs.loss))
    return single or not alike(reference.resting, candidate.resting)


def _passes(view: TwinView, plan: Plan, copies: int, starts: Sequence[Sequence[Array]]) -> list[Pass]:
    """Run a training pass from each of several values, on a batch with several copies of each sample."""
    batch, targets = (
        [np.concatenate([array] * copies) for array in arrays]
        for arrays in (plan.probes[0].inputs, plan.targets[0])
    )
    runner = view.runner()
    with runner.holding(), compiled_for_now(runner.model, plan.loss_for(runner.model)):
        runner.uses_loss = plan.has_loss
        return [differentiate(runner.under(values), batch, targets) for values in starts]


def _laws_differ(reference: DrawsObservation, candidate: DrawsObservation, variables: VariableMap) -> bool:
    """Tell whether any statistic of the passes is surely another one in the candidate."""
    ours, theirs = reference.passes, candidate.passes
    copies, samples = reference.copies, reference.samples
    for k in range(len(ours[0].outputs)):
        both = ([_of_output(one.outputs[k], copies, samples) for one in side] for side in (ours, theirs))
        if _apart(*both):
            return True
    for name in ("loss", "extra"):
        if _apart(*([np.atleast_1d(getattr(one, name)) for one in side] for side in (ours, theirs))):
            return True
    return any(_variable_apart(variables, ours, theirs, a, b) for a, b in variables.pairs)


def _copies(view: TwinView, plan: Plan) -> int:
    """Return how many copies of each sample fit; one where the batch size is fixed."""
    if not view.runner().layout.known or any(spec.shape[0] for spec in view.runner().layout.specs):
        return 1
    shapes = view.runner().output_shapes(plan.probes[0].inputs)
    given = sum(array.size for array in plan.probes[0].inputs)
    largest = max(int(np.prod(shape)) for shape in shapes)
    return max(1, min(COPIES, LARGEST // max(given, 1), LARGEST_KEPT // max(largest, 1)))


def _seeded(view: TwinView, plan: DrawsPlan, rng: np.random.Generator) -> list[Pass]:
    """Run passes each of which has seeds of its own."""
    runner = view.runner()
    starts = [
        [
            rng.integers(0, 2**31, value.shape).astype(value.dtype) if runner.is_seed(index) else value
            for index, value in enumerate(view.values)
        ]
        for _ in range(PASSES)
    ]
    return _passes(view, plan, plan.copies, starts)


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


def _variable_apart(
    variables: VariableMap, ours: Sequence[Pass], theirs: Sequence[Pass], a: int, b: int
) -> bool:
    """Tell whether the gradient of a variable, or what a pass makes of it, follows another law."""
    for field in ("gradients", "state"):
        mine, its = ([getattr(one, field).get(i) for one in side] for side, i in ((ours, a), (theirs, b)))
        if mine[0] is None or its[0] is None:
            continue
        fits = mine[0].size == its[0].size
        back = [variables.returned((a, b), one, mine[0].shape) for one in its] if fits else its
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
