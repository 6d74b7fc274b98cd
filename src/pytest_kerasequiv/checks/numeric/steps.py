"""Training one twin for a few steps, plain SGD first, then as compiled; it is left as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.compiling import compile_settings
from pytest_kerasequiv.building.workbench import compiled_for_now
from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.numeric.losses import LossPlan
from pytest_kerasequiv.checks.numeric.views import Side
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.running.float64 import Float64Unavailable
from pytest_kerasequiv.running.lockstep import Step, compiled_steps, rate_from, sgd_steps, trains_without_loss
from pytest_kerasequiv.running.perturbing import perturbed_inputs, perturbed_values
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.probes import Probe

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Observation:
    """The steps of one model, phase by phase, as plain data.

    Attributes:
        dtype: the coarsest float dtype the model computes in.
        settings: its compile settings, see `compile_settings.settings_of`.
        steps: phase -> the state after each step.
        exact: the same of the float64 twin.
        perturbed: the same of the float64 twin under perturbed weights and inputs.
        why_no_oracle: why there is none.
        rate: the learning rate of the plain descent.
    """

    dtype: str
    settings: Mapping[str, Any] | None
    steps: Mapping[str, tuple[Step, ...]]
    exact: Mapping[str, tuple[Step, ...]] | None = None
    perturbed: Mapping[str, tuple[Step, ...]] | None = None
    why_no_oracle: str | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Lesson:
    """What both twins are trained on.

    Attributes:
        probes: one batch for each step.
        plan: loss and targets.
        reference: compile settings of the reference; ``None`` where neither side is compiled.
        candidate: those of the candidate; the reference's where it has none, and the other way round.
        rate: learning rate of the plain descent; ``None`` for the one that follows from the first gradient.
    """

    probes: Sequence[Probe]
    plan: LossPlan
    reference: Mapping[str, Any] | None
    candidate: Mapping[str, Any] | None
    rate: float | None = None


def compile_plan(pair: Pair) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Return the settings to compile each side with: its own, else the other's; ``None`` without any."""
    own = [_trainable(model) for model in (pair.reference, pair.candidate)]
    return own[0] or own[1], own[1] or own[0]


def _trainable(model: keras.Model) -> dict[str, Any] | None:
    """Return settings that can train: with a loss, compiled or the model's own; without XLA.

    XLA draws other dropout masks.
    """
    settings = compile_settings(model)
    if settings is None or (settings.get("loss") is None and not trains_without_loss(model)):
        return None
    return {**settings, "jit_compile": False}


def observe(
    side: Side, lesson: Lesson, *, seed: int = 0, oracle: bool = True, perturb: bool = False
) -> Observation:
    """Train one twin, from its given values, once by plain SGD and once as compiled; it is left as it was.

    Args:
        side: the twin.
        lesson: what it is trained on.
        seed: seed of the perturbation.
        oracle: whether the float64 twin is trained too.
        perturb: whether the float64 twin is trained from perturbed weights as well.
    """
    settings = lesson.reference if side.first else lesson.candidate
    start = Start(lambda: side.values, [probe.inputs for probe in lesson.probes])
    steps = _train(side.runner(), lesson, settings, [start])[0]
    lesson = lesson if lesson.rate else replace(lesson, rate=rate_from(steps["sgd"]))
    exact, perturbed, why = None, None, "rtol or atol was given" if not oracle else None
    if oracle:
        try:
            with side.exact_runner() as wide:
                starts = [start, *([_moved(wide, side, start, seed)] if perturb else [])]
                exact, *rest = _train(wide, lesson, settings, starts)
                perturbed = rest[0] if rest else None
        except Float64Unavailable as reason:
            why = str(reason)
    return Observation(side.dtype, settings_of(side.model), steps, exact, perturbed, why, rate=lesson.rate)


@dataclass(frozen=True)
class Start:
    """What one course of training begins with: the values, made when they are needed, and the inputs."""

    values: Callable[[], Sequence[Array]]
    inputs: Sequence[Sequence[Array]]


def _moved(runner: Runner, side: Side, start: Start, seed: int) -> Start:
    def values() -> list[Array]:
        return perturbed_values(runner.model, start.values(), side.dtype, seed)

    return Start(values, [perturbed_inputs(batch, side.dtype, seed) for batch in start.inputs])


def _train(
    runner: Runner, lesson: Lesson, settings: Mapping[str, Any] | None, starts: Sequence[Start]
) -> list[dict[str, tuple[Step, ...]]]:
    """Return, for each start, the steps of both phases.

    The compiled optimizer comes first: TensorFlow's memory, which holds the optimizer's slots beside one
    pass, then grows least.
    """
    runs = [(start.values, list(zip(start.inputs, lesson.plan.targets, strict=True))) for start in starts]
    compiled: list[tuple[Step, ...]] = []
    found: list[dict[str, tuple[Step, ...]]] = []
    with runner.holding():
        if settings is not None:
            with compiled_for_now(runner.model, settings):
                compiled = compiled_steps(runner, runs)
        with compiled_for_now(runner.model, lesson.plan.settings_of(runner.model)):
            runner.uses_loss = lesson.plan.compiled
            found = [{"sgd": sgd_steps(runner.under(v()), pairs, lesson.rate)} for v, pairs in runs]
    for phases, steps in zip(found, compiled, strict=False):
        phases["compiled"] = steps
    return found
