"""Telling a difference from a model that gives other numbers each time it is trained on one batch."""

from __future__ import annotations

import numpy as np

from pytest_kerasequiv.building.workbench import compiled_for_now
from pytest_kerasequiv.checks.numeric.losses import LossPlan
from pytest_kerasequiv.checks.numeric.views import Side, sides_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.running.differentiating import differentiate
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict


def unrepeatable(pair: Pair, check: str, probe: Probe, plan: LossPlan) -> CheckResult | None:
    """Return INCONCLUSIVE where a twin does not repeat its own training pass; ``None`` where both do.

    Two passes from one state differ clearly where a layer draws random numbers outside Keras's seed
    generators; twins then differ as a model differs from itself.

    Args:
        pair: the twins.
        check: name of the check on whose behalf.
        probe: the batch.
        plan: the loss and the targets; those of the first batch are used.
    """
    sides = sides_of(pair)
    repeats = [_repeats(side, probe, plan) for side in sides]
    if all(repeats):
        return None
    side = "reference" if not repeats[0] else "candidate"
    message = (
        f"the {side} gives other results when the same training pass is run again from the same state; it "
        "draws random numbers outside Keras's seed generators, so nothing can be compared; draw them with "
        "keras.random and a keras.random.SeedGenerator"
    )
    finding = Finding(check, None, None, "stochastic", not repeats[0], not repeats[1], message)
    return CheckResult(check, Verdict.INCONCLUSIVE, None, (finding,))


def _repeats(side: Side, probe: Probe, plan: LossPlan) -> bool:
    runner = side.runner()
    with runner.holding(), compiled_for_now(runner.model, plan.settings_of(runner.model)):
        runner.uses_loss = plan.compiled
        first, again = (differentiate(runner, probe.inputs, plan.targets[0]) for _ in range(2))
    return all(
        np.allclose(a, b, rtol=1e-2, atol=1e-2 * float(np.abs(a).max(initial=0)), equal_nan=True)
        for a, b in zip((*first.outputs, first.loss), (*again.outputs, again.loss), strict=True)
    )
