"""The witness of a proof: one batch through both twins, forward and one pass of training.

A proof rests on the canonical form of programs. Where that is wrong, numbers show it; so proved twins are
run once all the same. This looks for gross contradictions only: what is no more than rounding stays quiet,
and where it is not sure the numeric checks are run in full and decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.workbench import loss_settings
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError, error_in_words
from pytest_kerasequiv.running.differentiating import Pass, run_pass
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF, least_precise_dtype
from pytest_kerasequiv.running.input_layout import checked_inputs
from pytest_kerasequiv.running.ready import ready
from pytest_kerasequiv.running.running import Outcome, Runner, output_names
from pytest_kerasequiv.surface.probes import training_batch
from pytest_kerasequiv.surface.surveys import Consumer, NoProbes, Survey, survey
from pytest_kerasequiv.surface.targets import targets_for

Array = NDArray[np.generic]

ROUNDINGS = 1024.0
"""So many roundoffs of the largest number of a tensor are not worth a look."""

ROWS = 32
"""Most rows of the user's inputs that are run."""


@dataclass(frozen=True)
class _Run:
    """What one model gave: in inference, and in a pass of training where that is looked at."""

    outcome: Outcome
    trained: Pass | None


def contradiction(pair: Pair, *, training: bool = True) -> str:
    """Return in a few words what contradicts a proof that the twins are one program; empty for nothing.

    Args:
        pair: the twins.
        training: whether the proof covers training.

    Raises:
        InputError: the user's inputs do not fit the reference.
    """
    reference = Runner(pair.reference, pair.reference_values)
    candidate = Runner(pair.candidate, pair.candidate_values)
    for runner in (reference, candidate):
        runner.uses_loss = ready(pair.reference, "pass", compiled=True) is not None
    ran = _first_run(pair, reference, training=training)
    if ran is None:
        return ""
    inputs, targets, ours = ran
    try:
        with candidate.holding():
            theirs = _run(candidate, inputs, targets if training else None)
    except Exception as error:
        return f"only the candidate fails: {error_in_words(error)}"
    roundoff = UNIT_ROUNDOFF[least_precise_dtype(pair.reference)]
    tensors = (*_outputs(ours.outcome, theirs.outcome), *_trained(pair, ours.trained, theirs.trained))
    found = (name for name, one, other in tensors if apart(one, other, ROUNDINGS * roundoff))
    return next((f"{name} differ" for name in found), "")


def _first_run(
    pair: Pair, runner: Runner, *, training: bool
) -> tuple[Sequence[Array], Sequence[Array], _Run] | None:
    """Run the reference on the first batch that it takes; returns inputs, targets, and what came of them.

    ``None`` where it takes none: what the reference refuses contradicts nothing.

    Raises:
        InputError: the user's inputs do not fit the reference.
    """
    for batch in (_user_batch,) if pair.inputs is not None else (_plain_batch, _surveyed_batch):
        try:
            inputs = batch(pair, runner)
            with runner.holding():
                outcome = _run(runner, inputs, None).outcome
                targets = _targets(pair, runner, outcome)
                return inputs, targets, _Run(outcome, _train(runner, inputs, targets) if training else None)
        except InputError:
            raise
        except Exception:  # the next batch may do
            continue
    return None


def _user_batch(pair: Pair, runner: Runner) -> tuple[Array, ...]:
    return tuple(array[:ROWS] for array in checked_inputs(pair.inputs, runner.layout))


def _plain_batch(pair: Pair, runner: Runner) -> tuple[Array, ...]:
    """Return floats for a model that takes floats of known shapes alone: it need not be run to find out more.

    Raises:
        NoProbes: it takes something else.
    """
    specs = runner.layout.specs
    if not specs or any("float" not in spec.dtype or None in spec.shape[1:] for spec in specs):
        raise NoProbes("what it takes has to be found out")
    return training_batch(Survey(runner.layout, (Consumer(),) * len(specs)), pair.seed).inputs


def _surveyed_batch(pair: Pair, runner: Runner) -> tuple[Array, ...]:
    with runner.holding():
        found = survey(pair.reference)
    return training_batch(found, pair.seed).inputs


def _run(runner: Runner, inputs: Sequence[Array], targets: Sequence[Array] | None) -> _Run:
    runner.reset_all()
    outcome = runner.infer(inputs)
    return _Run(outcome, None if targets is None else _train(runner, inputs, targets))


def _train(runner: Runner, inputs: Sequence[Array], targets: Sequence[Array]) -> Pass:
    runner.reset_all()
    return run_pass(runner, inputs, targets, np.asarray)


def _targets(pair: Pair, runner: Runner, outcome: Outcome) -> list[Array]:
    names = output_names(pair.reference, runner.sample)
    loss = loss_settings(pair.reference) if runner.uses_loss else None
    kinds = None if loss is None else loss["loss"]
    return targets_for([output.shape for output in outcome.outputs], names, kinds, pair.seed)


def _outputs(one: Outcome, other: Outcome) -> Iterator[tuple[str, Array, Array]]:
    yield from (("outputs", *arrays) for arrays in zip(one.outputs, other.outputs, strict=True))


def _trained(pair: Pair, one: Pass | None, other: Pass | None) -> Iterator[tuple[str, Array, Array]]:
    if one is None or other is None:
        return
    yield from (("outputs in training", *arrays) for arrays in zip(one.outputs, other.outputs, strict=True))
    yield "losses", one.loss, other.loss
    for index, partner in pair.variable_map.pairs:
        if index in one.gradients and partner in other.gradients:
            yield "gradients", one.gradients[index], other.gradients[partner]


def apart(one: Array, other: Array, tolerance: float) -> bool:
    """Tell whether two tensors differ by more than a share of the largest number in either."""
    if one.size != other.size or one.dtype.kind not in "fiub":
        return bool(one.size != other.size or not np.array_equal(one.ravel(), other.ravel()))
    if np.array_equal(one.ravel(), other.ravel()):  # as programs that are one mostly give them
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        ours, theirs = one.ravel().astype(np.float64), other.ravel().astype(np.float64)
        known = np.isfinite(ours) & np.isfinite(theirs)
        largest = max(np.abs(ours[known]).max(initial=0.0), np.abs(theirs[known]).max(initial=0.0))
        differs = np.abs(ours[known] - theirs[known]).max(initial=0.0) > tolerance * largest
    return bool(differs or not np.array_equal(np.isfinite(ours), np.isfinite(theirs)))
