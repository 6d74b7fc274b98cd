"""Observing one twin in inference mode: what it answers to each probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.numeric.views import Side
from pytest_kerasequiv.running.float64 import Float64Unavailable
from pytest_kerasequiv.running.perturbing import perturbed_inputs
from pytest_kerasequiv.running.running import Outcome, Runner, output_names
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.weights.variables import variables_of

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Answer:
    """What a model returned for one probe.

    Attributes:
        outcome: outputs and masks; ``None`` where the call raised.
        second: the same for a second call in a row; ``None`` unless the model carries state from call to
            call.
        error: the exception as text, where the call raised.
    """

    outcome: Outcome | None
    second: Outcome | None = None
    error: str | None = None


@dataclass(frozen=True)
class Observation:
    """The outputs of one model on the probes, as plain data.

    Attributes:
        names: name of each flattened output.
        keyed: whether callers get the outputs by these names, in a dict.
        dtype: the coarsest float dtype the model computes in.
        answers: one for each probe.
        stochastic: paths of the seed states that inference advanced: the model draws random numbers.
        unrepeatable: whether the first probe, run twice from the same state, gave clearly different outputs.
        exact: the answers of the float64 twin; ``None`` where there is none, ``why_no_oracle`` says why.
        perturbed: its answers under weights and inputs perturbed by one roundoff.
    """

    names: tuple[str, ...]
    keyed: bool
    dtype: str
    answers: tuple[Answer, ...]
    stochastic: tuple[str, ...] = ()
    unrepeatable: bool = False
    exact: tuple[Answer, ...] | None = None
    perturbed: tuple[Answer, ...] | None = None
    why_no_oracle: str | None = None


def observe(
    side: Side, probes: Sequence[Probe], *, seed: int = 0, oracle: bool = True, perturb: bool = False
) -> Observation:
    """Run one twin on all probes.

    Args:
        side: the twin.
        probes: the batches, in the reference's order of inputs.
        seed: seed of the perturbation.
        oracle: whether the float64 twin is run too.
        perturb: whether the float64 twin is run under perturbed weights and inputs as well.
    """
    runner = side.runner()
    with runner.holding():
        answers = tuple(_answer(runner.under(side.values_for(probe)), probe.inputs) for probe in probes)
        stochastic = _advanced_seeds(runner)
        runner.reset_all()
        names = output_names(side.model, runner.sample) if runner.sample is not None else ()
        unrepeatable = bool(probes) and _unrepeatable(runner, probes[0], answers[0])
    exact, perturbed, why = None, None, "rtol or atol was given" if not oracle else None
    if oracle:
        try:
            exact, perturbed = _observe_exactly(side, probes, seed, perturb=perturb)
        except Float64Unavailable as reason:
            why = str(reason)
    keyed = isinstance(runner.sample, dict)
    return Observation(names, keyed, side.dtype, answers, stochastic, unrepeatable, exact, perturbed, why)


def _observe_exactly(
    side: Side, probes: Sequence[Probe], seed: int, *, perturb: bool
) -> tuple[tuple[Answer, ...], tuple[Answer, ...] | None]:
    with side.exact_runner() as runner:
        with runner.holding():
            exact = tuple(_answer(runner.under(side.values_for(probe)), probe.inputs) for probe in probes)
        if not perturb:
            return exact, None
        with runner.holding():
            perturbed = []
            for probe in probes:
                moved = runner.perturbed(side.values_for(probe), side.dtype, seed)
                perturbed.append(_answer(moved, perturbed_inputs(probe.inputs, side.dtype, seed)))
            return exact, tuple(perturbed)


def _answer(runner: Runner, inputs: Sequence[Array]) -> Answer:
    """Call the model from its given state, and once more where the first call left a state behind."""
    runner.reset_all()
    try:
        outcome = runner.infer(inputs)
        second = runner.infer(inputs) if runner.carries_state() else None
    except Exception as error:  # what the model cannot take is compared too: both must refuse it
        return Answer(None, None, _first_line(error))
    return Answer(outcome, second)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _advanced_seeds(runner: Runner) -> tuple[str, ...]:
    return tuple(
        variables_of(runner.model)[index].path for index in runner.changed_state() if runner.is_seed(index)
    )


def _unrepeatable(runner: Runner, probe: Probe, first: Answer) -> bool:
    again = _answer(runner, probe.inputs)
    if first.outcome is None or again.outcome is None:
        return False
    return not all(
        np.allclose(a, b, rtol=1e-2, atol=1e-2 * (np.abs(a[np.isfinite(a)]).max(initial=0)), equal_nan=True)
        for a, b in zip(first.outcome.outputs, again.outcome.outputs, strict=True)
        if a.dtype.kind == "f"
    )
