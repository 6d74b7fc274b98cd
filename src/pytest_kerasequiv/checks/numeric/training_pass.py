"""Observing one twin in training mode: a pass forward and backward, and which tensors of it correspond."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.workbench import compiled_for_now
from pytest_kerasequiv.checks.numeric.losses import LossPlan
from pytest_kerasequiv.checks.numeric.tensors import Part, VariablePairs, part_of
from pytest_kerasequiv.checks.numeric.views import Side
from pytest_kerasequiv.running.differentiating import Pass, differentiate
from pytest_kerasequiv.running.float64 import Float64Unavailable
from pytest_kerasequiv.running.perturbing import perturbed_inputs
from pytest_kerasequiv.running.running import Runner, called
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.verdict import Finding

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Observation:
    """What one model does in training mode on each probe, as plain data; see `answers.Observation`."""

    names: tuple[str, ...]
    dtype: str
    passes: tuple[Pass, ...]
    exact: tuple[Pass, ...] | None = None
    perturbed: tuple[Pass, ...] | None = None
    why_no_oracle: str | None = None


def observe(
    side: Side,
    probes: Sequence[Probe],
    plan: LossPlan,
    *,
    seed: int = 0,
    oracle: bool = True,
    perturb: bool = False,
) -> Observation:
    """Run one training pass of one twin on each probe.

    Args:
        side: the twin.
        probes: the batches.
        plan: the loss and the targets for each probe.
        seed: seed of the perturbation.
        oracle: whether the float64 twin is run too.
        perturb: whether the float64 twin is run under perturbed weights and inputs as well.
    """
    runner = side.runner()
    passes = _passes(runner, plan, [probe.inputs for probe in probes])
    exact, perturbed, why = None, None, "rtol or atol was given" if not oracle else None
    if oracle:
        try:
            with side.exact_runner() as wide:
                exact = _passes(wide, plan, [probe.inputs for probe in probes])
                if perturb:
                    moved = wide.perturbed(side.values, side.dtype, seed)
                    inputs = [perturbed_inputs(probe.inputs, side.dtype, seed) for probe in probes]
                    perturbed = _passes(moved, plan, inputs)
        except Float64Unavailable as reason:
            why = str(reason)
    return Observation(plan.names, side.dtype, passes, exact, perturbed, why)


def _passes(runner: Runner, plan: LossPlan, inputs: Sequence[Sequence[Array]]) -> tuple[Pass, ...]:
    with ExitStack() as stack:
        stack.enter_context(runner.holding())
        stack.enter_context(compiled_for_now(runner.model, plan.settings_of(runner.model)))
        runner.uses_loss = plan.compiled
        return tuple(differentiate(runner, batch, plan.targets[index]) for index, batch in enumerate(inputs))


def parts_of(
    reference: Observation, candidate: Observation, mapping: VariablePairs, index: int
) -> list[Part]:
    """Return the corresponding tensors of one batch's passes."""
    passes = [
        None if group is None else group[index]
        for group in (
            reference.passes,
            candidate.passes,
            reference.exact,
            candidate.exact,
            reference.perturbed,
        )
    ]
    first = reference.passes[index]
    parts = [
        part_of(
            f"{called(name)} in training mode",
            (None, None, "value"),
            passes,
            "outputs",
            (position, position),
        )
        for position, name in enumerate(reference.names)
    ]
    parts += [
        Part("regularisation and added losses", (None, None, "losses"), _attribute(passes, "extra")),
        Part("the loss", (None, None, "loss"), _attribute(passes, "loss")),
    ]
    for field, what in (("gradients", "the gradient of"), ("state", "the update of")):
        for a, b in mapping.pairs:
            if a in getattr(first, field) and b in getattr(candidate.passes[index], field):
                ours, theirs = mapping.reference[a], mapping.candidate[b]
                where = (ours.layer, theirs.layer, ours.role)
                parts.append(part_of(f"{what} {str(ours)!r}", where, passes, field, (a, b)))
    for position in sorted(first.input_gradients):
        what = f"the gradient of input {position}"
        parts.append(part_of(what, (None, None, "value"), passes, "input_gradients", (position, position)))
    return parts


def _attribute(passes: Sequence[Any], field: str) -> tuple[Array | None, ...]:
    return tuple(None if one is None else getattr(one, field) for one in passes)


def one_sided(
    check: str, reference: Observation, candidate: Observation, mapping: VariablePairs
) -> list[Finding]:
    """Return a finding for every weight that is trained on one side only."""
    if not reference.passes or not candidate.passes:
        return []
    found = []
    for a, b in mapping.pairs:
        trained = a in reference.passes[0].gradients, b in candidate.passes[0].gradients
        if trained[0] != trained[1]:
            ours, theirs = mapping.reference[a], mapping.candidate[b]
            message = (
                f"weight {str(ours)!r} is {'trained' if trained[0] else 'frozen'} in the reference, "
                f"{'trained' if trained[1] else 'frozen'} in the candidate"
            )
            found.append(Finding(check, ours.layer, theirs.layer, "trainable", *trained, message=message))
    return found


def zero_share(reference: Observation) -> float:
    """Return the share of the reference's weights whose gradient is zero on every probe."""
    names = {index for one in reference.passes for index in one.gradients}
    alive = {index for one in reference.passes for index, g in one.gradients.items() if np.any(g)}
    return 1 - len(alive) / len(names) if names else 0.0
