"""Observing one model in training mode: a pass forward and backward on each batch, as `fit` makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.workbench import compiled_for_now, loss_settings
from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.numeric.observing import Observation, Start, observed, repeats
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.views import TwinView
from pytest_kerasequiv.layers.fixed_training import resting_layers
from pytest_kerasequiv.running.differentiating import Pass, differentiate
from pytest_kerasequiv.running.running import Runner, output_names
from pytest_kerasequiv.verdict import Finding

Array = NDArray[np.generic]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TrainingObservation(Observation[T]):
    """What observations in training mode have in common.

    Attributes:
        kind: class name of the model.
        has_loss: whether the model is compiled with a loss.
        mean_square: whether the loss is a mean square against the targets, as the reference has none.
        resting: kinds of the layers that `fit` runs in inference mode, as ``call`` takes no ``training``.
    """

    kind: str
    has_loss: bool
    mean_square: bool
    resting: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BackwardObservation(TrainingObservation[tuple[Pass, ...]]):
    """A pass forward and backward on each probe; ``names`` are those of the flattened outputs."""

    names: tuple[str, ...]


def observe(view: TwinView, plan: Plan) -> BackwardObservation:
    """Run one pass of one model in training mode on each probe of a plan."""

    def run(runner: Runner, starts: Sequence[Start]) -> list[tuple[Pass, ...]]:
        return [_passes(runner, plan, start) for start in starts]

    found = observed(view, plan, run)
    return BackwardObservation(
        **found,
        **training_facts(view, plan, found["computed"]),
        names=output_names(view.model, view.runner().sample),
    )


def _passes(runner: Runner, plan: Plan, start: Start) -> tuple[Pass, ...]:
    under = start.under(runner, plan.probes[0])  # one set of values: no batch trains generic ones
    with under.holding(), compiled_for_now(runner.model, plan.loss_for(runner.model)):
        under.uses_loss = plan.loss is not None
        return tuple(
            differentiate(under, batch, targets)
            for batch, targets in zip(start.batches, plan.targets, strict=False)
        )


def training_facts(view: TwinView, plan: Plan, passes: Sequence[Pass] = ()) -> dict[str, Any]:
    """Return the fields of a `TrainingObservation` that are not results.

    Args:
        view: the model.
        plan: what it was run on.
        passes: those on its probes; by default they are run. That they repeat is looked at once: the first,
            or every one and its gradients where the model may draw outside Keras's generators.
    """
    probes = plan.probes if view.draws_outside else plan.probes[:1]
    start = Start(view.values_for, [probe.inputs for probe in probes])

    def read(passes: Sequence[Pass]) -> list[Array]:
        moved = [g for one in passes for g in one.gradients.values()] if view.draws_outside else []
        return [array for one in passes for array in (*one.outputs, one.loss)] + moved

    def once(runner: Runner) -> list[Array]:
        return read(_passes(runner, plan, start))

    def steady() -> bool:
        first = read(passes[: len(probes)]) if passes else once(view.runner())
        return repeats(view, first, once)

    return {
        "kind": type(view.model).__name__,
        "has_loss": loss_settings(view.model) is not None,
        "mean_square": plan.loss is None,
        "resting": resting_layers(view.model),
        "settings": view.once("settings", lambda: settings_of(view.model)),
        "repeatable": view.once("repeatable", steady),
    }


def notes_on_loss(
    check: str, reference: TrainingObservation[Any], candidate: TrainingObservation[Any]
) -> list[Finding]:
    """Return what a reader should know about the loss."""
    if reference.has_loss and not candidate.has_loss:
        message = "only one side is compiled with a loss; the candidate was given the reference's"
    elif candidate.has_loss and reference.mean_square:
        message = (
            "only the candidate is compiled with a loss, so nothing can be compared with it: a mean square "
            "against fixed targets was used for both"
        )
    elif reference.mean_square:
        message = "the twins are not compiled with a loss: a mean square against fixed targets was used"
    else:
        return []
    return [Finding.note(check, "loss", message)]


def not_told_to_train(
    check: str, reference: TrainingObservation[Any], candidate: TrainingObservation[Any]
) -> list[Finding]:
    """Return a difference where only one side's ``call`` takes no ``training``, and layers rest for it."""
    sides = {"reference": reference, "candidate": candidate}
    silent = [name for name, side in sides.items() if side.resting]
    if len(silent) != 1:
        return []
    side = sides[silent[0]]
    message = (
        f"call() of {side.kind} takes no training argument, so fit runs its {', '.join(side.resting)} in "
        f"inference mode in the {silent[0]}, in training mode in the other twin"
    )
    taken = not reference.resting, not candidate.resting
    return [Finding.difference(check, "training", message, values=taken)]
