"""What ``model(x)`` returns where ``predict`` returns another: ``training`` fixed in a call or by default."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.numeric.views import Side, sides_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.layers.fixed_training import called_in_training_mode, training_defaults
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.verdict import Finding


def plain_call_findings(pair: Pair, check: str, probe: Probe, *, defaults: bool = True) -> list[Finding]:
    """Compare ``model(x)``, without a ``training`` argument, where a side settles it itself.

    That is a call in a functional model that fixes ``training=True``, or a ``call`` of a user's class with
    ``True`` or ``False`` by default. Both sides draw under the same seeds, so twins that do it alike agree.

    Args:
        pair: the twins.
        check: name of the check on whose behalf.
        probe: the batch.
        defaults: whether defaults count; they explain nothing where the twins differ at inference already.
    """
    models = pair.reference, pair.candidate
    fixed = [called_in_training_mode(model) for model in models]
    chosen = [training_defaults(model) if defaults else () for model in models]
    if not any((*fixed, *chosen)):
        return []
    reference, candidate = (_plain_call(side, probe) for side in sides_of(pair))
    if _close(reference, candidate):
        return []
    told, shown = (fixed, _fixed_message(fixed)) if any(fixed) else (chosen, _default_message(chosen))
    layers = [paths[0] if paths and any(fixed) else None for paths in told]
    message = f"model(x) without a training argument differs: {shown}"
    return [Finding(check, layers[0], layers[1], "training", list(told[0]), list(told[1]), message)]


def _fixed_message(fixed: list[tuple[str, ...]]) -> str:
    shown = [", ".join(paths) or "no layer" for paths in fixed]
    return (
        f"training=True is fixed for {shown[0]} in the reference and for {shown[1]} in the candidate; "
        "predict and fit overrule it, a plain call does not"
    )


def _default_message(chosen: list[tuple[str, ...]]) -> str:
    shown = [", ".join(kinds) or "no default" for kinds in chosen]
    return (
        f"call() of the user's classes has by default {shown[0]} in the reference and {shown[1]} in the "
        "candidate; predict and fit overrule it, a plain call does not"
    )


def _plain_call(side: Side, probe: Probe) -> list[NDArray[np.generic]]:
    runner = side.runner().under(side.values_for(probe))
    with runner.holding():
        runner.reset_all()
        outputs = runner.model(runner.pack(probe.inputs))
        return [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]


def _close(ours: list[NDArray[np.generic]], theirs: list[NDArray[np.generic]]) -> bool:
    """Agree to a hundredth of the largest number: a mask, drawn or not, is looked for."""
    return len(ours) == len(theirs) and all(
        a.shape == b.shape
        and np.allclose(a, b, rtol=1e-2, atol=1e-2 * float(np.abs(a).max(initial=0)), equal_nan=True)
        for a, b in zip(ours, theirs, strict=True)
    )
