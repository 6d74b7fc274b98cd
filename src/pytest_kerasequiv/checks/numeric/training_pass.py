"""Observing one model in training mode: a pass forward and backward on each batch, as `fit` makes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.workbench import compiled_for_now, loss_settings
from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.numeric.observing import Observation, Start, observed, repeats
from pytest_kerasequiv.checks.numeric.plans import Failure, Plan
from pytest_kerasequiv.checks.numeric.views import TwinView, unmapped
from pytest_kerasequiv.checks.pair import Correspondence
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.layers.fixed_training import resting_layers
from pytest_kerasequiv.running.differentiating import Pass, differentiate
from pytest_kerasequiv.running.running import Runner, output_names
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Verdict

Array = NDArray[np.generic]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TrainingObservation(Observation[T]):
    """What observations in training mode have in common.

    Attributes:
        kind: class name of the model.
        has_loss: whether the model is compiled with a loss.
        mean_square: whether the loss was a mean square against the targets, as the reference has none.
        resting: kinds of the layers that `fit` runs in inference mode, as ``call`` takes no ``training``.
        failure: why it could not be run; ``None`` where it could.
    """

    kind: str
    has_loss: bool
    mean_square: bool
    resting: tuple[str, ...]
    failure: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class BackwardObservation(TrainingObservation[tuple[Pass, ...]]):
    """A pass forward and backward on each probe; ``names`` are those of the flattened outputs."""

    names: tuple[str, ...]


def observe(view: TwinView, plan: Plan) -> BackwardObservation:
    """Run one pass of one model in training mode on each probe of a plan.

    Raises:
        InputError: what the user gave does not fit the model.
    """

    def run(runner: Runner, starts: Sequence[Start]) -> list[tuple[Pass, ...]]:
        return [_passes(runner, plan, start) for start in starts]

    def look(plan: Plan) -> dict[str, Any]:
        found = observed(view, plan, run)
        return found | training_facts(view, plan, found["computed"])

    found = or_failure(view, plan, look)
    return BackwardObservation(**found, names=output_names(view.model, view.runner().sample))


def or_failure(view: TwinView, plan: Plan, look: Callable[[Plan], dict[str, Any]]) -> dict[str, Any]:
    """Return the fields of an observation; where the model fails on a plan, those of none, and the failure.

    Raises:
        InputError: what the user gave does not fit the model.
    """
    try:
        return look(plan)
    except InputError:
        raise
    except Exception as error:  # what one side refuses is compared too
        shapes = tuple(view.runner().output_shapes(plan.probes[0].inputs)), plan.shapes
        return look(replace(plan, probes=(), failure=Failure.of(error, shapes)))


def _passes(runner: Runner, plan: Plan, start: Start) -> tuple[Pass, ...]:
    under = start.under(runner, plan.probes[0])  # one set of values: no batch trains generic ones
    with under.holding(), compiled_for_now(runner.model, plan.loss_for(runner.model)):
        under.uses_loss = plan.has_loss
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
        "failure": plan.failure,
        "mean_square": plan.loss_for(view.model) is None,
        "resting": resting_layers(view.model),
        "settings": view.once("settings", lambda: settings_of(view.model)),
        "repeatable": view.once("repeatable", steady) if plan.probes else True,
    }


def not_run(
    check: str,
    reference: TrainingObservation[Any],
    candidate: TrainingObservation[Any],
    between: Correspondence,
) -> CheckResult | None:
    """Return what is to be said of twins that were not both run; ``None`` where they were.

    Args:
        check: name of the check on whose behalf.
        reference: what the reference did.
        candidate: what the candidate did.
        between: what corresponds.
    """
    missing = unmapped(check, between.variables, reference.variables, candidate.variables)
    if missing is not None and not between.own:
        return missing
    if reference.why_none:
        finding = Finding.difference(check, "inputs", f"not compared: {reference.why_none}")
        return CheckResult(check, Verdict.INCONCLUSIVE, None, (finding,))
    if candidate.mean_square and not reference.mean_square:
        message = "not compared: only the reference is compiled with a loss; compile the candidate too"
        finding = Finding.difference(check, "loss", message)
        return CheckResult(check, Verdict.INCONCLUSIVE, None, (finding,))
    failure = reference.failure or candidate.failure
    if failure is None:
        return None
    ours, theirs = failure.shapes[::-1]
    if reference.failure is None and ours != theirs:
        message = (
            f"not trained: the outputs have other shapes, {list(ours)} against {list(theirs)}, so no targets "
            "fit both"
        )
        finding = Finding.difference(check, "shape", message, values=(list(ours), list(theirs)))
        return CheckResult(check, Verdict.DIFFERENT, Evidence.MEASURED, (finding,))
    finding = Finding.difference(check, "error", f"the check could not run: {failure}")
    return CheckResult(check, Verdict.INCONCLUSIVE, None, (finding,), {"traceback": failure.trace})


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
