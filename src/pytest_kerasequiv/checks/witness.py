"""The witness of a proof: one batch through both twins, forward and one pass of training.

A proof rests on the canonical form of programs. Where that is wrong, numbers show it; so proved twins are
run once all the same. This looks for gross contradictions only: what is no more than rounding stays quiet,
and where it is not sure the numeric checks are run in full and decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.running.differentiating import Pass, run_pass
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF, least_precise_dtype
from pytest_kerasequiv.running.input_layout import checked_inputs
from pytest_kerasequiv.running.running import Outcome, Runner, output_names
from pytest_kerasequiv.surface.probes import training_batch
from pytest_kerasequiv.surface.surveys import survey
from pytest_kerasequiv.surface.targets import targets_for

Array = NDArray[np.generic]

ROUNDINGS = 1024.0
"""So many roundoffs of the largest number of a tensor are not worth a look."""

ROWS = 32
"""Most rows of the user's inputs that are run."""


def contradiction(pair: Pair) -> str:
    """Return in a few words what contradicts a proof that the twins are one program; empty for nothing.

    Raises:
        InputError: the user's inputs do not fit the reference.
    """
    reference = Runner(pair.reference, pair.reference_values)
    candidate = Runner(pair.candidate, pair.candidate_values)
    try:
        inputs = _batch(pair, reference)
        with reference.holding():
            outcome = _forward(reference, inputs)
            targets = _targets(pair, reference, outcome)
            trained = _train(reference, inputs, targets)
    except InputError:
        raise
    except Exception:  # what the reference does not take contradicts nothing
        return ""
    try:
        with candidate.holding():
            others = _forward(candidate, inputs), _train(candidate, inputs, targets)
    except Exception as error:
        return f"only the candidate fails: {type(error).__name__}"
    roundoff = UNIT_ROUNDOFF[least_precise_dtype(pair.reference)]
    tensors = (*_outputs(outcome, others[0]), *_trained(pair, trained, others[1]))
    apart = (name for name, one, other in tensors if _apart(one, other, ROUNDINGS * roundoff))
    return next((f"{name} differ" for name in apart), "")


def _batch(pair: Pair, runner: Runner) -> tuple[Array, ...]:
    if pair.inputs is not None:
        return tuple(array[:ROWS] for array in checked_inputs(pair.inputs, runner.layout))
    with runner.holding():
        found = survey(pair.reference)
    return training_batch(found, pair.seed).inputs


def _forward(runner: Runner, inputs: Sequence[Array]) -> Outcome:
    runner.reset_all()
    return runner.infer(inputs)


def _train(runner: Runner, inputs: Sequence[Array], targets: Sequence[Array]) -> Pass:
    runner.reset_all()
    return run_pass(runner, inputs, targets, np.asarray)


def _targets(pair: Pair, runner: Runner, outcome: Outcome) -> list[Array]:
    names = output_names(pair.reference, runner.sample)
    return targets_for([output.shape for output in outcome.outputs], names, None, pair.seed)


def _outputs(one: Outcome, other: Outcome) -> Iterator[tuple[str, Array, Array]]:
    yield from (("outputs", *arrays) for arrays in zip(one.outputs, other.outputs, strict=True))


def _trained(pair: Pair, one: Pass, other: Pass) -> Iterator[tuple[str, Array, Array]]:
    yield from (("outputs in training", *arrays) for arrays in zip(one.outputs, other.outputs, strict=True))
    yield "losses", one.loss, other.loss
    for index, partner in pair.variable_map.pairs:
        if index in one.gradients and partner in other.gradients:
            yield "gradients", one.gradients[index], other.gradients[partner]


def _apart(one: Array, other: Array, tolerance: float) -> bool:
    """Tell whether two tensors differ by more than a share of the largest number in either."""
    if one.size != other.size or one.dtype.kind not in "fiub":
        return bool(one.size != other.size or not np.array_equal(one.ravel(), other.ravel()))
    with np.errstate(invalid="ignore", over="ignore"):
        ours, theirs = one.ravel().astype(np.float64), other.ravel().astype(np.float64)
        known = np.isfinite(ours) & np.isfinite(theirs)
        largest = max(np.abs(ours[known]).max(initial=0.0), np.abs(theirs[known]).max(initial=0.0))
        differs = np.abs(ours[known] - theirs[known]).max(initial=0.0) > tolerance * largest
    return bool(differs or not np.array_equal(np.isfinite(ours), np.isfinite(theirs)))
