"""What both models are run on, made from the reference alone: batches, targets, losses, a seed."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.compiling import compile_settings, own_compile
from pytest_kerasequiv.building.workbench import loss_settings
from pytest_kerasequiv.checks.numeric.views import TwinView
from pytest_kerasequiv.errors import InputError, said
from pytest_kerasequiv.running.input_layout import checked_inputs, input_layout, nan_in
from pytest_kerasequiv.running.lockstep import trains_without_loss
from pytest_kerasequiv.running.running import output_names
from pytest_kerasequiv.surface.probes import NoProbes, Probe, Survey, probes_for, training_batch
from pytest_kerasequiv.surface.targets import NO_HINTS, Hints, targets_for

Array = NDArray[np.generic]

USER_ROWS = 32
"""Most rows of the user's inputs that are trained on."""

OWN = "your inputs"
"""What the probe of the user's inputs is called."""


Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Failure:
    """Why a model could not be run in training mode.

    Attributes:
        error: class name of the exception.
        message: its text.
        trace: where it was raised.
        shapes: shapes of its outputs in inference on the first batch, and of those that the targets fit.
    """

    error: str
    message: str
    trace: str
    shapes: tuple[Shapes, Shapes]

    @classmethod
    def of(cls, error: Exception, shapes: tuple[Shapes, Shapes] = ((), ())) -> Failure:
        """Return what was raised."""
        return cls(type(error).__name__, said(error), "".join(traceback.format_exception(error)), shapes)

    def __str__(self) -> str:
        return f"{self.error}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What models are run on, made from the reference alone.

    Attributes:
        probes: the batches, in the reference's order of inputs.
        seed: seed of the perturbation.
        why_none: why there is nothing to run; empty where there is.
        failure: why nothing could be made to run; the reference fails even in inference.
        why_no_oracle: why no float64 twin is run; ``None`` where one is.
        perturbed: whether the float64 twin is run under perturbed weights and inputs as well.
        briefly: whether it is so on the first probe alone.
        targets: for each probe, one target for each output.
        shapes: of the reference's outputs on the first probe, where it is trained.
        has_loss: whether the reference is compiled with a loss; if not, a mean square is used for all.
        trains: whether it can train as it is compiled.
        loss: settings that compile its loss, live, lent to a candidate that has none; a plan that is kept
            lends none.
        compile: settings that compile it, lent likewise.
        rate: learning rate of the plain descent; ``None`` for the one that follows from the first gradient.
        plain: most steps of the plain descent where the compiled optimizer's follow; ``None`` for all.
    """

    probes: tuple[Probe, ...] = ()
    seed: int = 0
    why_none: str = ""
    failure: Failure | None = None
    why_no_oracle: str | None = None
    perturbed: bool = True
    briefly: bool = False
    targets: tuple[tuple[Array, ...], ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    has_loss: bool = False
    trains: bool = False
    loss: Mapping[str, Any] | None = None
    compile: Mapping[str, Any] | None = None
    rate: float | None = None
    plain: int | None = None

    def loss_for(self, model: keras.Model) -> Mapping[str, Any] | None:
        """Return what to compile a model (or its float64 twin) with to have its loss."""
        return (loss_settings(model) or self.loss) if self.has_loss else None

    def compile_for(self, model: keras.Model) -> Mapping[str, Any] | None:
        """Return what to compile a model with to train it."""
        own = trainable_settings(model)
        lent = None if own_compile(model) else self.compile  # what a compile of its own sets cannot be lent
        return (own or lent) if self.trains else None

    def kept(self) -> Plan:
        """Return the plan as plain data, without what it lends."""
        return replace(self, loss=None, compile=None)

    def first(self, count: int) -> Plan:
        """Return the plan with its first probes only."""
        return replace(self, probes=self.probes[:count], targets=self.targets[:count])

    def for_candidate(self, why_no_oracle: str | None, rate: float | None = None) -> Plan:
        """Return what is left to do for a candidate once the reference has been observed."""
        return replace(self, perturbed=False, why_no_oracle=why_no_oracle, rate=rate)


def inference_plan(view: TwinView, found: Survey | None, inputs: Any, **settings: Any) -> Plan:
    """Return the user's batch and the generated ones; no probes where there are none.

    Args:
        view: the reference.
        found: what is known of the inputs; by default what the reference alone tells.
        inputs: the user's batch; ``None`` for none.
        settings: further fields of the plan.

    Raises:
        InputError: ``inputs`` do not fit the reference.
    """
    own = () if inputs is None else (Probe(OWN, own_inputs(view, inputs)),)
    try:
        drawn = probes_for(found or view.survey(), settings.get("seed", 0))
    except NoProbes as why:
        return Plan(probes=own, why_none="" if own else str(why), **settings)
    generic = replace(drawn[0], name=f"{drawn[0].name}, generic weights", generic=True)
    probes = (*own, *drawn, *([generic] if view.generic is not None else []))
    return Plan(probes=probes, **settings)


def training_plan(
    view: TwinView,
    found: Survey | None,
    inputs: Any,
    *,
    count: int = 2,
    hints: Hints = NO_HINTS,
    **settings: Any,
) -> Plan:
    """Return the user's rows and ``count`` generated batches, the targets and the losses.

    Arguments and exceptions are those of `inference_plan`; ``hints`` tell of the targets.
    """
    own = () if inputs is None else (_first_rows(view, inputs),)
    seed = settings.get("seed", 0)
    try:
        known = found or view.survey()
        probes = (*own, *(_numbered(training_batch(known, seed + k), k) for k in range(count)))
    except NoProbes as why:
        if not own:
            return Plan(why_none=str(why), **settings)
        probes = own
    loss, compiled = loss_settings(view.model), trainable_settings(view.model)
    try:
        shapes = [view.runner().output_shapes(probe.inputs) for probe in probes]
    except Exception as error:
        return Plan(failure=Failure.of(error), **settings)
    names = output_names(view.model, view.runner().sample)
    kinds = None if loss is None else loss["loss"]
    targets = tuple(tuple(targets_for(s, names, kinds, seed + i, hints)) for i, s in enumerate(shapes))
    return Plan(
        probes=probes,
        targets=targets,
        shapes=tuple(shapes[0]),
        has_loss=loss is not None,
        trains=compiled is not None,
        loss=loss,
        compile=compiled,
        **settings,
    )


def _first_rows(view: TwinView, inputs: Any) -> Probe:
    return Probe(OWN, tuple(array[:USER_ROWS] for array in own_inputs(view, inputs)))


def _numbered(probe: Probe, number: int) -> Probe:
    return Probe(f"training batch {number + 1}", probe.inputs)


def trainable_settings(model: keras.Model) -> dict[str, Any] | None:
    """Return settings that can train: with a loss, compiled or the model's own; without XLA.

    XLA draws other dropout masks.
    """
    settings = compile_settings(model)
    if settings is None or (settings.get("loss") is None and not trains_without_loss(model)):
        return None
    return {**settings, "jit_compile": False}


def own_inputs(view: TwinView, inputs: Any) -> tuple[Array, ...]:
    """Return the user's inputs, flattened in the reference's order.

    Raises:
        InputError: they do not fit the reference, or hold NaN for which the reference returns no numbers.
    """
    layout = input_layout(view.model)
    arrays = tuple(checked_inputs(inputs, layout))
    held = nan_in(arrays, layout)
    if held is not None and not _copes(view, arrays):
        raise InputError(
            f"{held}; the reference returns NaN for them, so nothing can be compared: remove or impute them"
        )
    return arrays


def _copes(view: TwinView, arrays: Sequence[Array]) -> bool:
    """Tell whether the reference returns numbers for NaN."""
    runner = view.runner()
    with runner.holding():
        runner.reset_all()
        outputs = runner.infer(arrays).outputs
    return not any(output.dtype.kind == "f" and bool(np.isnan(output).any()) for output in outputs)
