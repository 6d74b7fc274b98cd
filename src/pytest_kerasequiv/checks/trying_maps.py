"""Trying possible maps of the variables: under which of them do both models give the same outputs?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import product
from math import prod
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
Numbers = NDArray[np.float64]
Shape = tuple[int, ...]

AGREES = 1e-3
"""How far outputs may be apart, relative to the largest: another map moves them by about their size."""

MOST_WAYS = 64
"""Most pairs of choices that are tried of which axes of a variable are which."""

MOVED = 1e-6
"""By how much weights are moved to see what rounding decides, relative to each."""


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

    Variables of one shape, whatever the order of its axes, hold the same numbers then, on both sides. Or
    those of one number of elements do, which change only along axes that all of them have, as heads may be
    split otherwise. A state that begins with one number everywhere, such as the mean of a normalisation,
    keeps it.

    Args:
        ours: a runner of the reference, under what it starts from.
        theirs: one of the candidate.
        probe: the batch.
    """
    shapes = [{value.shape for value in runner.values} for runner in (ours, theirs)]
    shared = {size: _shared_sizes(shapes, size) for side in shapes for size in map(prod, side)}

    def as_held(shape: Shape) -> list[Numbers]:
        return [
            numbers_along(shape),
            *(numbers_along(one).reshape(shape) for one in _orders(shape, shapes[0])),
        ]

    def along_shared(shape: Shape) -> list[Numbers]:
        places = [[axis for axis, size in enumerate(shape) if size == one] for one in shared[prod(shape)]]
        return [numbers_along(shape, axes) for axes in product(*places)]

    runners = ours, theirs
    return _differ(runners, probe, _sizes, (lambda shape: [numbers_along(shape)], as_held)) or _differ(
        runners, probe, prod, (along_shared, along_shared)
    )


def _orders(shape: Shape, others: Collection[Shape]) -> list[Shape]:
    """Return the others of these sizes in another order: these axes, merged and split otherwise."""
    without = [size for size in shape if size != 1]
    return [
        one
        for one in others
        if _sizes(one) == _sizes(shape) and [size for size in one if size != 1] != without
    ]


def _shared_sizes(shapes: Sequence[Collection[Shape]], count: int) -> list[int]:
    """Return the sizes of axes that all shapes of ``count`` elements have, at the same places on both sides.

    The place of an axis is the number of elements in those before it: merging and splitting others keeps it.
    """
    sides = [[shape for shape in side if prod(shape) == count] for side in shapes]
    every = set.intersection(*(set(_sizes(shape)) for side in sides for shape in side))
    places = [
        {
            size: {prod(shape[:axis]) for shape in side for axis, one in enumerate(shape) if one == size}
            for size in every
        }
        for side in sides
    ]
    return sorted(size for size in every if places[0][size] == places[1][size])


def _differ(
    runners: Sequence[Runner],
    probe: Probe,
    kind: Callable[[Shape], Any],
    drawn: Sequence[Callable[[Shape], list[Numbers]]],
) -> bool:
    """Tell whether outputs differ under numbers that follow from the kind of a variable.

    Args:
        runners: of the reference and of the candidate.
        probe: the batch.
        kind: what variables must have in common to hold the same numbers.
        drawn: for both, the numbers that variables of a shape may hold; each choice must differ from each.
    """
    if _elements(runners[0], kind) != _elements(runners[1], kind):
        return False
    choices = [_choices(runner, numbers) for runner, numbers in zip(runners, drawn, strict=True)]
    if prod(len(numbers) for side in choices for numbers in side.values()) > MOST_WAYS:
        return False
    ways = [_ways(runner, side) for runner, side in zip(runners, choices, strict=True)]
    ours, theirs = ([(runner, _outputs(runner, probe.inputs)) for runner in side] for side in ways)
    if not all(_is_finite(one) for _, one in ours) or any(
        _agree(one, two) for _, one in ours for _, two in theirs
    ):
        return False
    return all(_steady(runner, probe, outputs) for runner, outputs in (*ours, *theirs))


def _elements(runner: Runner, kind: Callable[[Shape], Any]) -> dict[Any, int]:
    """Count the numbers in the variables of each kind, but for seed states; those that are kept are apart."""
    found: Counter[Any] = Counter()
    for index, (variable, value) in enumerate(zip(variables_of(runner.model), runner.values, strict=True)):
        if not runner.is_seed(index):
            kept = value.tobytes() if _kept(variable, value) else None
            found[_sizes(value.shape) if kept else kind(value.shape), str(value.dtype), kept] += value.size
    return found


def _choices(runner: Runner, drawn: Callable[[Shape], list[Numbers]]) -> dict[Shape, list[Numbers]]:
    """Return what the variables of each shape may hold."""
    pairs = zip(variables_of(runner.model), runner.values, strict=True)
    return {shape: drawn(shape) for shape in {v.shape for variable, v in pairs if not _kept(variable, v)}}


def _ways(runner: Runner, choices: dict[Shape, list[Numbers]]) -> list[Runner]:
    """Return the runner under each choice of what the variables of a shape hold."""
    variables = list(zip(variables_of(runner.model), runner.values, strict=True))
    ways = []
    for numbers in product(*choices.values()):
        of = dict(zip(choices, numbers, strict=True))
        values = [v if _kept(variable, v) else of[v.shape].astype(v.dtype) for variable, v in variables]
        ways.append(runner.under(values))
    return ways


def _is_finite(outputs: Arrays | None) -> bool:
    return outputs is not None and all(np.isfinite(one).all() for one in outputs if one.dtype.kind == "f")


def _steady(runner: Runner, probe: Probe, outputs: Arrays | None) -> bool:
    """Tell whether outputs stay as they are under other random draws and weights moved by a few roundoffs.

    Where many weights are one number, rounding may decide what is largest or beyond a threshold.
    """
    rng = np.random.default_rng(0)
    moved = [
        value + 1 if runner.is_seed(index) else _moved(value, rng)
        for index, value in enumerate(runner.values)
    ]
    return outputs is None or agree(runner.under(moved), probe.inputs, outputs)


def _moved(value: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    if "float" not in str(value.dtype):
        return value
    return np.asarray(value * (1 + MOVED * rng.uniform(-1, 1, value.shape))).astype(value.dtype)


def _kept(variable: Any, value: NDArray[np.generic]) -> bool:
    even = not variable.trainable and value.size > 0 and bool(np.all(value == value.flat[0]))
    return even or "float" not in str(value.dtype)


def _sizes(shape: Shape) -> tuple[int, ...]:
    return tuple(sorted(size for size in shape if size != 1))


def numbers_along(shape: Shape, axes: Collection[int] | None = None) -> Numbers:
    """Return numbers that follow from the sizes of the axes, in whatever order; of one axis about 1.

    Args:
        shape: the shape.
        axes: the axes along which numbers change; ``None`` for all.
    """
    place = np.zeros(tuple(shape))
    for axis, size in enumerate(shape):
        if size > 1 and (axes is None or axis in axes):
            along = np.random.default_rng(size).normal(size=size)
            place = place + along.reshape([-1 if k == axis else 1 for k in range(len(shape))])
    if axes is not None:
        return np.asarray(np.sin(1e3 * place + prod(shape)) / prod(shape) ** 0.25)
    drawn = np.sin(1e3 * place + len(_sizes(shape)))
    return np.asarray(1 + 0.3 * drawn if len(_sizes(shape)) < 2 else drawn / np.sqrt(max(shape)))


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
    kept: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray,
) -> bool:
    """Tell whether a model gives the expected outputs, but for rounding.

    Args:
        runner: runs it.
        inputs: the batch.
        expected: the outputs.
        kept: what of each output is expected.
    """
    return _agree(expected, _outputs(runner, inputs, kept))


def _outputs(
    runner: Runner, inputs: Arrays, kept: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray
) -> list[NDArray[Any]] | None:
    """Return what is kept of the outputs; ``None`` where a model refuses what the other takes."""
    with runner.holding():
        runner.reset_all()
        try:
            return list(map(kept, runner.infer(inputs).outputs))
        except Exception:  # it then agrees under no map
            return None


def _agree(expected: Arrays | None, outputs: Arrays | None) -> bool:
    if expected is None or outputs is None:
        return False
    return len(outputs) == len(expected) and all(map(near, expected, outputs))


def near(ours: NDArray[np.generic], theirs: NDArray[np.generic]) -> bool:
    """Tell whether two outputs agree, but for rounding."""
    if ours.size != theirs.size or ours.dtype.kind not in "fiub":
        return ours.shape == theirs.shape and bool(np.all(ours == theirs))
    first, second = np.asarray(ours, float).ravel(), np.asarray(theirs, float).ravel()
    scale = float(np.max(np.abs(first[np.isfinite(first)]), initial=0.0))
    return bool(np.allclose(first, second, rtol=AGREES, atol=AGREES * scale, equal_nan=True))
