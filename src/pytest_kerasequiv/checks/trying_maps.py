"""Trying possible maps of the variables: under which of them do both models give the same outputs?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.running.perturbing import generic_values
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.probes import NoProbes, Probe, probes_for, survey
from pytest_kerasequiv.weights.variables import values_of, variables_of

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
    found = first_agreeing(
        maps, lambda one: agree(theirs.under(one.carry(values, theirs.values)), probe.inputs, expected)
    )
    if found.certain or not differ_under_any_map(ours.under(values_of(reference)), theirs, probe):
        return found
    return replace(found, certain=True)


def differ_under_any_map(ours: Runner, theirs: Runner, probe: Probe) -> bool:
    """Tell whether outputs differ under weights for which it does not matter which of them is which.

    Variables of one shape, whatever the order of its axes, hold the same numbers then, on both sides; a state
    that begins with one number everywhere, such as the mean of a normalisation, keeps it.

    Args:
        ours: a runner of the reference, under what it starts from.
        theirs: one of the candidate.
        probe: the batch.
    """
    kinds = [sorted(map(str, _kinds(runner))) for runner in (ours, theirs)]
    if kinds[0] != kinds[1]:
        return False
    ours, theirs = (runner.under(_alike(runner)) for runner in (ours, theirs))
    with ours.holding():
        ours.reset_all()
        expected = ours.infer(probe.inputs).outputs
    finite = all(np.isfinite(one).all() for one in expected if one.dtype.kind == "f")
    return finite and not agree(theirs, probe.inputs, expected)


def _kinds(runner: Runner) -> Iterator[tuple[Any, ...]]:
    """Yield of each variable, but for seed states, what its partner has in common, and what it keeps."""
    for index, (variable, value) in enumerate(zip(variables_of(runner.model), runner.values, strict=True)):
        if not runner.is_seed(index):
            yield _sizes(value.shape), str(value.dtype), value.tolist() if _kept(variable, value) else None


def _alike(runner: Runner) -> list[NDArray[np.generic]]:
    return [
        value if _kept(variable, value) else by_sizes(value.shape).astype(value.dtype)
        for variable, value in zip(variables_of(runner.model), runner.values, strict=True)
    ]


def _kept(variable: Any, value: NDArray[np.generic]) -> bool:
    even = not variable.trainable and value.size > 0 and bool(np.all(value == value.flat[0]))
    return even or "float" not in str(value.dtype)


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(size for size in shape if size != 1))


def by_sizes(shape: Sequence[int]) -> NDArray[np.float64]:
    """Return numbers that follow from the sizes of the axes, in whatever order; of one axis about 1."""
    place = np.zeros(tuple(shape))
    for axis, size in enumerate(shape):
        if size > 1:
            along = np.random.default_rng(size).normal(size=size)
            place = place + along.reshape([-1 if k == axis else 1 for k in range(len(shape))])
    drawn = np.sin(1e3 * place + len(_sizes(shape)))
    if len(_sizes(shape)) < 2:
        return np.asarray(1 + 0.3 * drawn)
    return np.asarray(drawn / np.sqrt(max(shape)))


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
