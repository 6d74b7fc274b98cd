"""Observing one model in inference mode: what it returns for each probe, and what callers meet besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.numeric.observing import Observation, Start, observed, repeats
from pytest_kerasequiv.checks.numeric.overrides import overridden
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.views import TwinView
from pytest_kerasequiv.errors import error_in_words
from pytest_kerasequiv.layers.fixed_training import called_in_training_mode, training_defaults
from pytest_kerasequiv.running.running import Outcome, Runner, output_names

Array = NDArray[np.generic]


@dataclass(frozen=True)
class ProbeRun:
    """What a model returned for one probe.

    Attributes:
        outcome: outputs and masks; ``None`` where the call raised.
        second: the same for a second call in a row; ``None`` unless the model carries state from call to
            call.
        error: the exception as text, where the call raised.
        drawn_from: indices of the seed states that the call advanced: the model draws random numbers.
    """

    outcome: Outcome | None
    second: Outcome | None = None
    error: str | None = None
    drawn_from: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InferenceObservation(Observation[tuple[ProbeRun, ...]]):
    """What one model returns in inference mode, and what callers meet besides.

    Attributes:
        names: name of each flattened output.
        inputs: the structure of the inputs; ``None`` where the model does not know it.
        outputs: the structure of what it returns, ``None`` in place of tensors.
        fixed: layers whose call in a functional model fixes ``training=True``.
        defaults: the user's classes with a default of ``training``.
        methods: code of each overridden method that no numeric check runs.
    """

    names: tuple[str, ...]
    inputs: Any
    outputs: Any
    fixed: tuple[str, ...]
    defaults: tuple[str, ...]
    methods: Mapping[str, str]

    @property
    def stochastic(self) -> tuple[str, ...]:
        """Paths of the seed states that inference advanced."""
        indices = {index for run in self.computed for index in run.drawn_from}
        return tuple(self.variables[index].path for index in sorted(indices))


def observe(view: TwinView, plan: Plan) -> InferenceObservation:
    """Run one model on all probes of a plan."""

    def run(runner: Runner, starts: Sequence[Start]) -> list[tuple[ProbeRun, ...]]:
        with runner.holding():
            return [_all_probes(runner, plan, start) for start in starts]

    found = observed(view, plan, run)
    runner = view.runner()
    layout = runner.layout
    labelled = [f"{probe.name!r} (batch of {probe.batch_size})" for probe in plan.probes]
    return InferenceObservation(
        **{**found, "probes": tuple(labelled)},
        repeatable=view.once(f"repeats {labelled[:1]}", lambda: _repeats(view, plan, found["computed"])),
        names=() if runner.sample is None else output_names(view.model, runner.sample),
        inputs=layout.structure if layout.known else None,
        outputs=_structure(runner.sample),
        fixed=called_in_training_mode(view.model),
        defaults=training_defaults(view.model),
        methods=overridden(view.model),
    )


def _all_probes(runner: Runner, plan: Plan, start: Start) -> tuple[ProbeRun, ...]:
    found = []
    under: dict[bool, Runner] = {}
    for probe, batch in zip(plan.probes, start.batches, strict=True):
        if probe.generic not in under:
            under = {probe.generic: start.under(runner, probe)}
        found.append(_one_probe(under[probe.generic], batch))
    return tuple(found)


def _one_probe(runner: Runner, inputs: Sequence[Array]) -> ProbeRun:
    """Call the model from its given state, and once more where the first call left a state behind."""
    runner.reset_all()
    try:
        outcome = runner.infer(inputs)
        drawn_from = tuple(index for index in runner.changed_state() if runner.is_seed(index))
        second = runner.infer(inputs) if runner.carries_state() else None
    except Exception as error:  # what the model cannot take is compared too: both must refuse it
        return ProbeRun(None, None, error_in_words(error))
    return ProbeRun(outcome, second, None, drawn_from)


def _repeats(view: TwinView, plan: Plan, computed: Sequence[ProbeRun]) -> bool:
    """Tell whether the first probe, every one where the model may draw in secret, gives the same again."""
    probes = plan.probes if view.draws_outside else plan.probes[:1]
    start = Start(view.values_for, [probe.inputs for probe in probes])

    def once(runner: Runner) -> list[Array]:
        with runner.holding():
            return _outputs(_all_probes(runner, replace(plan, probes=probes), start))

    return repeats(view, _outputs(computed[: len(probes)]), once)


def _outputs(runs: Sequence[ProbeRun]) -> list[Array]:
    return [array for run in runs if run.outcome is not None for array in run.outcome.outputs]


def _structure(sample: Any) -> Any:
    """Return the structure of what a model returns, without the tensors."""
    if isinstance(sample, Mapping):
        return {str(key): _structure(item) for key, item in sample.items()}
    return [_structure(item) for item in sample] if isinstance(sample, list | tuple) else None
