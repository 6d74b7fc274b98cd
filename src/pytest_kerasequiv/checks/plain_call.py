"""What ``model(x)`` returns where ``predict`` returns another: layers called with ``training=True``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kerasequiv.checks.sides import Side, sides_of
from pytest_kerasequiv.models.fixed_training import called_in_training_mode
from pytest_kerasequiv.verdict import Finding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytest_kerasequiv.checks.pair import Pair
    from pytest_kerasequiv.models.probes import Probe


def plain_call_findings(pair: Pair, check: str, probe: Probe) -> list[Finding]:
    """Compare ``model(x)``, without a ``training`` argument, where a side fixes ``training=True`` in a call.

    Both sides draw under the same seeds, so twins that fix it alike agree.

    Args:
        pair: the twins.
        check: name of the check on whose behalf.
        probe: the batch.
    """
    ours, theirs = (called_in_training_mode(model) for model in (pair.reference, pair.candidate))
    if not ours and not theirs:
        return []
    reference, candidate = (_plain_call(side, probe) for side in sides_of(pair))
    if _close(reference, candidate):
        return []
    shown = [", ".join(paths) or "no layer" for paths in (ours, theirs)]
    message = (
        f"model(x) without a training argument differs: training=True is fixed for {shown[0]} in the "
        f"reference and for {shown[1]} in the candidate; predict and fit overrule it, a plain call does not"
    )
    layers = ours[0] if ours else None, theirs[0] if theirs else None
    return [Finding(check, *layers, "training", list(ours), list(theirs), message)]


def _plain_call(side: Side, probe: Probe) -> list[NDArray[np.generic]]:
    import keras

    runner = side.runner().under(side.values_for(probe))
    with runner.holding():
        runner.reset_all()
        outputs = runner.model(runner.pack(probe.inputs))
        return [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]


def _close(ours: list[NDArray[np.generic]], theirs: list[NDArray[np.generic]]) -> bool:
    """Agree to a hundredth of the largest number: a mask, drawn or not, is looked for."""
    import numpy as np

    return len(ours) == len(theirs) and all(
        a.shape == b.shape
        and np.allclose(a, b, rtol=1e-2, atol=1e-2 * float(np.abs(a).max(initial=0)), equal_nan=True)
        for a, b in zip(ours, theirs, strict=True)
    )
