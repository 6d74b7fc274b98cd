"""Trying possible maps of the variables: under which of them do both models give the same outputs?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.running.perturbing import generic_values
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.probes import NoProbes, Probe, probes_for, survey
from pytest_kerasequiv.weights.variables import values_of

Arrays = Sequence[NDArray[np.generic]]

AGREES = 1e-3
"""How far outputs may be apart, relative to the largest: another map moves them by about their size."""


def chosen_map(
    maps: Sequence[VariableMap], reference: keras.Model, candidate: keras.Model, *, own: bool, seed: int
) -> VariableMap:
    """Return the first map under which the outputs agree on one batch; else the likeliest.

    Where both keep the weights they came with, the values say which variable is which.

    Args:
        maps: the possible maps, the likeliest first.
        reference: the built reference.
        candidate: the built candidate.
        own: both keep the weights they came with.
        seed: seed of the batch and the weights.
    """
    if len(maps) == 1:
        return maps[0]
    if own:
        both = values_of(reference), values_of(candidate)
        return max(maps, key=lambda one: equal_values(one, *both))
    values = generic_values(reference, values_of(reference), seed)
    ours = Runner(reference, values)
    with ours.holding():
        try:
            probe = smallest(probes_for(survey(reference), seed))
        except NoProbes:
            return maps[0]
        ours.reset_all()
        expected = ours.infer(probe.inputs).outputs
    theirs = Runner(candidate, values_of(candidate))
    return first_agreeing(
        maps, lambda one: agree(theirs.under(one.carry(values, theirs.values)), probe.inputs, expected)
    )


def first_agreeing(maps: Sequence[VariableMap], agrees: Callable[[VariableMap], bool]) -> VariableMap:
    """Return the first map that a trial speaks for; else the likeliest, as certain as all having been tried.

    Args:
        maps: the possible maps, the likeliest first.
        agrees: tells whether the outputs agree under a map.
    """
    for number, one in enumerate(maps, 1):
        if agrees(one):
            return replace(one, tried=number, certain=True)
    return replace(maps[0], tried=len(maps), certain=maps[0].rivals is not None)


def equal_values(one: VariableMap, ours: Arrays, theirs: Arrays) -> int:
    """Return how many variables hold the same on both sides under a map."""
    carried = one.carry(ours, theirs)
    return sum(bool(np.array_equal(carried[other], theirs[other])) for _, other in one.pairs)


def smallest(probes: Sequence[Probe]) -> Probe:
    """Return the first of the probes that are no single row."""
    return next((probe for probe in probes if probe.batch_size > 1), probes[0])


def agree(
    runner: Runner,
    inputs: Arrays,
    expected: Arrays,
    kept: Callable[[NDArray[Any]], NDArray[Any]] = lambda output: output,
) -> bool:
    """Tell whether a model gives the expected outputs, but for rounding.

    Args:
        runner: runs it.
        inputs: the batch.
        expected: the outputs.
        kept: what of each output is expected.
    """
    with runner.holding():
        runner.reset_all()
        try:
            outputs = list(map(kept, runner.infer(inputs).outputs))
        except Exception:  # a model that refuses what the other takes agrees under no map
            return False
    return len(outputs) == len(expected) and all(map(near, expected, outputs))


def near(ours: NDArray[np.generic], theirs: NDArray[np.generic]) -> bool:
    """Tell whether two outputs agree, but for rounding."""
    if ours.size != theirs.size or ours.dtype.kind not in "fiub":
        return ours.shape == theirs.shape and bool(np.all(ours == theirs))
    first, second = np.asarray(ours, float).ravel(), np.asarray(theirs, float).ravel()
    scale = float(np.max(np.abs(first[np.isfinite(first)]), initial=0.0))
    return bool(np.allclose(first, second, rtol=AGREES, atol=AGREES * scale, equal_nan=True))
