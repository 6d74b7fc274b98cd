"""Corresponding tensors of the twins in training, and what to say of those that differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.numeric.observing import Views
from pytest_kerasequiv.checks.numeric.training_pass import BackwardObservation
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.running.differentiating import Pass
from pytest_kerasequiv.running.lockstep import Step
from pytest_kerasequiv.running.running import called
from pytest_kerasequiv.verdict import Finding

Array = NDArray[np.generic]
Pairs = Sequence[tuple[int, int]]
"""Corresponding variables, (reference, candidate), by index."""


@dataclass(frozen=True)
class Tensor:
    """One tensor as both twins have it: what it is, whose (layers and field), and its views.

    ``forward``: whether it comes of the forward pass, so that it cannot jump at a kink. ``gradient``: whether
    it is the gradient of the loss with respect to something.
    """

    what: str
    where: tuple[str | None, str | None, str]
    views: Views[Array | None]
    forward: bool = False
    gradient: bool = False

    @classmethod
    def of(
        cls,
        what: str,
        where: tuple[str | None, str | None, str],
        views: Views[Array | None],
        *,
        forward: bool = False,
        gradient: bool = False,
    ) -> Tensor:
        """Return a tensor; a candidate's gets the reference's shape where a rewrite only reshapes it."""
        shape = None if views.reference is None else views.reference.shape
        return cls(what, where, views.map(partial(_like, shape=shape)), forward, gradient)

    def shape_finding(self, check: str, probe: str) -> Finding | None:
        """Return the finding where the two cannot be compared element by element."""
        shapes = [None if array is None else tuple(array.shape) for array in self.views[:2]]
        if None not in shapes and shapes[0] == shapes[1]:
            return None
        message = f"{self.what} has other shapes on {probe!r}: {shapes[0]} against {shapes[1]}"
        return Finding.difference(
            check, "shape", message, layers=self.where[:2], values=(shapes[0], shapes[1])
        )


def _like(array: Array | None, shape: tuple[int, ...] | None) -> Array | None:
    """Give an array a shape that differs by axes of length 1 only (a Dense kernel in a Conv1D)."""
    if array is None or shape is None or array.shape == shape or array.size != math.prod(shape):
        return array
    squeezed = [size for size in shape if size != 1] == [size for size in array.shape if size != 1]
    return array.reshape(shape) if squeezed else array


def pass_tensors(
    reference: BackwardObservation, candidate: BackwardObservation, variables: VariableMap, index: int
) -> list[Tensor]:
    """Return the corresponding tensors of one batch's passes."""
    passes: Views[Pass] = Views.of(reference, candidate).map(lambda every: every[index])
    alone = None, None
    found = [
        Tensor.of(
            f"{called(name)} in training mode",
            (*alone, "value"),
            passes.map(lambda one, k=k: one.outputs[k] if k < len(one.outputs) else None),  # type: ignore[misc]
            forward=True,
        )
        for k, name in enumerate(reference.names)
    ]
    found += [
        Tensor.of("regularisation and added losses", (*alone, "losses"), passes.map(lambda one: one.extra)),
        Tensor.of("the loss", (*alone, "loss"), passes.map(lambda one: one.loss), forward=True),
    ]
    for field, what in (("gradients", "the gradient of"), ("state", "the update of")):
        found += _of_variables(field, what, passes, (reference, candidate), variables, pairs=variables.pairs)
    both = passes.reference.input_gradients.keys() & passes.candidate.input_gradients.keys()
    for k in sorted(both):  # whole numbers have none
        views = passes.map(lambda one, k=k: one.input_gradients.get(k))  # type: ignore[misc]
        found.append(Tensor.of(f"the gradient of input {k}", (*alone, "value"), views, gradient=True))
    return found


def step_tensors(
    steps: Views[Step], sides: tuple[Any, Any], variables: VariableMap, pairs: Pairs
) -> list[Tensor]:
    """Return the corresponding weights, optimizer slots and metrics after one step.

    Args:
        steps: the step.
        sides: both observations, for labels.
        variables: how the variables correspond.
        pairs: those to compare.
    """
    found = _of_variables("weights", "weight", steps, sides, variables, pairs=pairs)
    partner = dict(pairs)
    for slot, a in steps.reference.slots:
        b = partner.get(a, -1)
        if (slot, b) in steps.candidate.slots and a >= 0 and _comparable(slot, (a, b), steps, variables):
            ours, theirs = sides[0].variables[a], sides[1].variables[b]
            where = ours.layer, theirs.layer, f"optimizer.{slot}"
            views = _returned(_picked(steps, "slots", (slot, a), (slot, b)), variables, (a, b))
            found.append(Tensor.of(f"optimizer slot {slot!r} of {str(ours)!r}", where, views))
    for name in steps.reference.metrics:
        if name in steps.candidate.metrics:
            views = steps.map(lambda one, name=name: np.asarray(one.metrics[name]))  # type: ignore[misc]
            where = None, None, f"metrics.{name}"
            found.append(Tensor.of(f"metric {name!r}", where, views, forward=name == "loss"))
    return found


def _comparable(slot: str, pair: tuple[int, int], steps: Views[Step], variables: VariableMap) -> bool:
    """Tell whether a slot has the axes of its weight, or twins that lie alike: else it has no counterpart."""
    one = steps.reference
    return pair not in variables.carried or one.slots[slot, pair[0]].shape == one.weights[pair[0]].shape


def _of_variables(
    field: str,
    what: str,
    views: Views[Any],
    sides: tuple[Any, Any],
    variables: VariableMap,
    *,
    pairs: Pairs,
) -> list[Tensor]:
    """Return, for each pair of variables that both sides have in a field, the tensor there."""
    found = []
    for a, b in pairs:
        picked = _returned(_picked(views, field, a, b), variables, (a, b))
        if picked.reference is not None and picked.candidate is not None:
            ours, theirs = sides[0].variables[a], sides[1].variables[b]
            where = ours.layer, theirs.layer, ours.role
            gradient = field == "gradients"
            found.append(Tensor.of(f"{what} {str(ours)!r}", where, picked, gradient=gradient))
    return found


def _returned(
    views: Views[Array | None], variables: VariableMap, pair: tuple[int, int]
) -> Views[Array | None]:
    """Give what the candidate has of a variable the shape and the order of axes that the reference's has."""
    shape = None if views.reference is None else views.reference.shape

    def back(array: Array) -> Array:
        fits = shape is not None and array.size == math.prod(shape)
        return variables.returned(pair, array, shape) if fits else array  # type: ignore[arg-type]

    return views.map(lambda one: one, lambda one: None if one is None else back(one))


def _picked(views: Views[Any], field: str, ours: Any, theirs: Any) -> Views[Array | None]:
    return views.map(lambda one: getattr(one, field).get(ours), lambda one: getattr(one, field).get(theirs))


def one_sided(
    check: str, reference: BackwardObservation, candidate: BackwardObservation, pairs: Pairs
) -> list[Finding]:
    """Return a finding for every weight that is trained on one side only."""
    found = []
    for a, b in pairs:
        trained = a in reference.computed[0].gradients, b in candidate.computed[0].gradients
        if trained[0] != trained[1]:
            ours, theirs = reference.variables[a], candidate.variables[b]
            message = (
                f"weight {str(ours)!r} is {'trained' if trained[0] else 'frozen'} in the reference, "
                f"{'trained' if trained[1] else 'frozen'} in the candidate"
            )
            layers = ours.layer, theirs.layer
            found.append(Finding.difference(check, "trainable", message, layers=layers, values=trained))
    return found


def zero_share(reference: BackwardObservation) -> float:
    """Return the share of the reference's weights whose gradient is zero on every probe."""
    names = {index for one in reference.computed for index in one.gradients}
    alive = {index for one in reference.computed for index, g in one.gradients.items() if np.any(g)}
    return 1 - len(alive) / len(names) if names else 0.0


def shortened(check: str, found: Sequence[Finding], causes: Sequence[Finding]) -> list[Finding]:
    """Return the worst effect and, as one note, how many more there are; all where no cause is known."""
    differences = [finding for finding in found if finding.severity == "difference"]
    if not any(cause.severity == "difference" for cause in causes) or len(differences) <= 1:
        return list(found)
    rest = ", ".join(str(f.message).split(" differs")[0].split(" on '")[0] for f in differences[1:6])
    more = " ..." if len(differences) > 6 else ""
    message = f"{len(differences) - 1} more tensors differ as a consequence: {rest}{more}"
    return [differences[0], Finding.note(check, "value", message, values=(len(differences), None))]
