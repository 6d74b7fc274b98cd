"""Training one model for a few steps, plain SGD first, then as compiled; it is left as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.workbench import compiled_for_now
from pytest_kerasequiv.checks.numeric.observing import Start, observed
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.training_pass import TrainingObservation, or_failure, training_facts
from pytest_kerasequiv.checks.numeric.views import TwinView
from pytest_kerasequiv.running.lockstep import (
    SGD_RATE,
    Step,
    compiled_steps,
    rate_from,
    sgd_steps,
    trains_by_own_code,
)
from pytest_kerasequiv.running.running import Runner

Array = NDArray[np.generic]
Phases = Mapping[str, tuple[Step, ...]]


@dataclass(frozen=True, kw_only=True)
class StepsObservation(TrainingObservation[Phases]):
    """Phase -> the state after each step; ``rate`` is the learning rate of the plain descent."""

    rate: float

    @property
    def unperturbed(self) -> bool:
        """Whether some steps in float64 were not made under perturbed weights and inputs."""
        exact, perturbed = self.exact or {}, self.perturbed or {}
        return any(len(perturbed.get(phase, ())) < len(steps) for phase, steps in exact.items())


def observe(view: TwinView, plan: Plan) -> StepsObservation:
    """Train one model from its given values, once by plain SGD and once as compiled; it is left as it was.

    Raises:
        InputError: what the user gave does not fit the model.
    """
    settings = plan.compile_for(view.model)
    known = view.observed(plan.probes)
    rate = plan.rate or (rate_from(known["computed"]["sgd"]) if known else None)

    def run(runner: Runner, starts: Sequence[Start]) -> list[Phases]:
        nonlocal rate
        found = _train(runner, plan, settings, starts, rate)
        rate = rate or rate_from(found[0]["sgd"])
        return found

    def look(plan: Plan) -> dict[str, Any]:
        found = observed(view, plan, run) | training_facts(view, plan)
        found["repeatable"] &= not plan.probes or _repeats(view, plan, settings, found["computed"])
        return found if plan.probes else {**found, "computed": {}}

    return StepsObservation(**or_failure(view, plan, look), rate=rate or SGD_RATE)


def _repeats(view: TwinView, plan: Plan, settings: Mapping[str, Any] | None, computed: Phases) -> bool:
    """Tell whether a first step by code of the user's is the same whatever the seed of TensorFlow is."""
    if settings is None or not trains_by_own_code(view.model):
        return True
    probe, runner = plan.probes[0], view.runner()
    once = partial(view.values_for, probe), [(probe.inputs, plan.targets[0])]
    with runner.holding(), compiled_for_now(runner.model, settings):
        again = compiled_steps(runner, [once], seed=1)[0][0].weights
    first = computed["compiled"][0].weights
    return all(np.allclose(first[i], again[i], rtol=1e-5, atol=1e-7, equal_nan=True) for i in first)


def _train(
    runner: Runner,
    plan: Plan,
    settings: Mapping[str, Any] | None,
    starts: Sequence[Start],
    rate: float | None,
) -> list[Phases]:
    """Return, for each start, the steps of both phases.

    The compiled optimizer comes first: TensorFlow's memory, which holds the optimizer's slots beside one
    pass, then grows least.
    """
    runs = [
        (partial(_values, start, runner, plan), list(zip(start.batches, plan.targets, strict=False)))
        for start in starts
    ]
    compiled: list[tuple[Step, ...]] = []
    with runner.holding():
        own = trains_by_own_code(runner.model)
        if settings is not None and (own or settings.get("optimizer") is not None):
            with compiled_for_now(runner.model, settings):
                compiled = compiled_steps(runner, runs)
        with compiled_for_now(runner.model, plan.loss_for(runner.model)):
            runner.uses_loss = plan.has_loss
            batches = [pairs[: plan.plain if compiled else None] for _, pairs in runs]
            plain = [
                sgd_steps(start.under(runner, plan.probes[0]), pairs, rate)
                for start, pairs in zip(starts, batches, strict=True)
            ]
    if not compiled:
        return [{"sgd": steps} for steps in plain]
    return [{"sgd": ours, "compiled": theirs} for ours, theirs in zip(plain, compiled, strict=True)]


def _values(start: Start, runner: Runner, plan: Plan) -> Sequence[Array]:
    """Return the values to begin with; changed ones are made when they are needed."""
    return start.under(runner, plan.probes[0]).values
