"""Observations with little of each large tensor: samples, projections, and how far rounding moves the whole.

Both sides are reduced by one rule. For each tensor of the reference the three views of it (as computed, in
float64, in float64 under perturbed weights and inputs) become two reduced ones and one number, P or S of
`checks.tolerance`, measured on the whole tensor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.tolerance import largest
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.recording.leaves import Path, leaves, with_leaves
from pytest_kerasequiv.running.sketch import projections

Array = NDArray[Any]
Shape = tuple[int, ...]

WHOLE = 96
"""Most elements of a tensor that is kept whole."""

SAMPLES = 64

STEP_SAMPLES = 32
"""Samples of what there is of each variable after each of several steps."""

OF_STEPS = {"weights", "slots"}
"""Fields of observations that hold that."""

OF_VARIABLES = {"gradients", "state", "weights", "slots", "variables"}
"""Fields of observations that hold a tensor for each of several variables."""

VIEWS = ("computed", "exact", "perturbed")


def reduced(observation: Any) -> tuple[Any, dict[str, Shape]]:
    """Return a reference's observation with its large tensors reduced, and their shapes by where they are.

    Of the perturbed views one number is left; `unfolded` makes them views again.
    """
    found = dict(leaves(observation))
    shapes = {name_of(path): array.shape for path, array in found.items() if _is_large(array)}

    def change(path: Path, array: Array) -> Array:
        exact = found.get(_in_view(path, "exact")) if path_view(path) == "perturbed" else None
        if exact is None or exact.shape != array.shape or array.dtype.kind != "f" or array.size < 2:
            return sketched(array, path)
        return _moved_by(path, array, exact, found[_in_view(path, "computed")])

    return with_leaves(observation, change), shapes


def _moved_by(path: Path, perturbed: Array, exact: Array, computed: Array) -> Array:
    """Return how far rounding moves a tensor: P, or S for what is judged without a look at P."""
    whole = [perturbed - exact]
    if is_of_variable(path) and computed.shape == exact.shape:
        whole.append(computed - exact)
    return np.array([max(max(largest(one), largest(sketched(one, path))) for one in whole)])


def unfolded(observation: Any) -> Any:
    """Return an observation that `reduced` returned with a perturbed view for each of its numbers.

    It is the exact view, moved at one place by as much as rounding moves the tensor anywhere.
    """
    found = dict(leaves(observation))

    def change(path: Path, array: Array) -> Array:
        exact = found.get(_in_view(path, "exact")) if path_view(path) == "perturbed" else None
        if exact is None or array.size != 1 or exact.size < 2:
            return array
        moved = exact.copy()
        moved.reshape(-1)[0] += array[0]
        return moved

    return with_leaves(observation, change)


def like_recorded(
    observation: Any,
    recorded: Any,
    shapes: Mapping[str, Shape],
    variables: VariableMap,
    held: Sequence[Shape],
) -> tuple[Any, Any]:
    """Reduce a candidate's observation as the recorded one was, each tensor as the reference's axes lie.

    Args:
        observation: the candidate's.
        recorded: the reference's, reduced.
        shapes: the shapes of what was reduced in it.
        variables: which variable is which.
        held: the shapes of the reference's variables.

    Returns:
        The recorded observation and the candidate's. Where a tensor has another shape on the other side, both
        have their shapes, so that it is told; the recorded one then holds zeros.
    """
    partner = {other: index for index, other in variables.pairs}
    theirs = {}
    for path, array in leaves(observation):
        known = shapes.get(name_of(path))
        if is_of_variable(path):
            theirs[path] = sketched(_turned(path, array, variables, partner, held), path)
        elif known is None or known == array.shape:
            theirs[path] = sketched(array, path)
        else:
            theirs[path] = array
    others = {name_of(path): array for path, array in leaves(observation) if not is_of_variable(path)}

    def full(path: Path, array: Array) -> Array:
        known, other = shapes.get(name_of(path)), others.get(name_of(path))
        if other is None or other.shape == (array.shape if known is None else known):
            return array
        return array if known is None else np.zeros(known, array.dtype)

    return with_leaves(recorded, full), with_leaves(observation, lambda path, _: theirs[path])


def _turned(
    path: Path, array: Array, variables: VariableMap, partner: Mapping[int, int], held: Sequence[Shape]
) -> Array:
    """Return what a candidate has of a variable with the reference's axes."""
    other = _variable(path)
    index = partner.get(other)
    if index is None or array.size != math.prod(held[index]):
        return array
    return variables.returned((index, other), array, held[index])


def _variable(path: Path) -> int:
    """Return the index of the variable: a slot of an optimizer is named by its name and that."""
    key = path[-1]
    return int(key[1] if isinstance(key, tuple) else key)


def is_of_variable(path: Path) -> bool:
    """Tell whether a tensor belongs to one variable of several."""
    return len(path) > 1 and path[-2] in OF_VARIABLES


def path_view(path: Path) -> str | None:
    """Return which view of its tensor an array is; ``None`` for what has no views."""
    return next((part for part in path if part in VIEWS), None)


def _in_view(path: Path, view: str) -> Path:
    return tuple(view if part in VIEWS else part for part in path)


def name_of(path: Path) -> str:
    """Return a path as text."""
    return "/".join(map(str, path))


def sketched(array: Array, path: Path, samples: int | None = None) -> Array:
    """Return a tensor as it is kept: whole if it is small or no float, else samples and projections.

    Args:
        array: the tensor.
        path: where it is.
        samples: how many, where the path does not tell.
    """
    if not _is_large(array):
        return array
    flat = array.reshape(-1)
    count = samples or (STEP_SAMPLES if len(path) > 1 and path[-2] in OF_STEPS else SAMPLES)
    places = np.linspace(0, flat.size - 1, count).astype(np.int64)
    kept: Array = np.concatenate([flat[places].astype(np.float64), projections(flat)])
    return kept.astype(array.dtype)


def _is_large(array: Array) -> bool:
    return array.size > WHOLE and (array.dtype.kind == "f" or array.dtype.name == "bfloat16")
