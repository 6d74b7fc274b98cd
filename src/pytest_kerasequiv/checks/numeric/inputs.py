"""The batches that the training checks run on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.numeric.views import sides_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.running.input_layout import checked_inputs, input_layout, nan_in
from pytest_kerasequiv.surface.masking import masks_somewhere
from pytest_kerasequiv.surface.probes import NoProbes, Probe, Survey, joined, training_batch
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict

Array = NDArray[np.generic]


USER_ROWS = 32
"""Most rows of the user's inputs that are trained on."""


def training_probes(pair: Pair, check: str, count: int = 2) -> tuple[Probe, ...] | CheckResult:
    """Return the user's rows and ``count`` generated batches; an INCONCLUSIVE result where there are none."""
    own: tuple[Probe, ...] = ()
    if pair.inputs is not None:
        arrays = own_inputs(pair, pair.inputs)
        own = (Probe("your inputs", tuple(array[:USER_ROWS] for array in arrays)),)
    try:
        found = survey_of(pair)
        return (*own, *(_numbered(training_batch(found, pair.seed + k), k) for k in range(count)))
    except NoProbes as error:
        if own:
            return own
        finding = Finding(check, None, None, "inputs", None, None, f"not compared: {error}")
        return CheckResult(check, Verdict.INCONCLUSIVE, None, (finding,))


def _numbered(probe: Probe, number: int) -> Probe:
    return Probe(f"training batch {number + 1}", probe.inputs)


def own_inputs(pair: Pair, inputs: Any) -> tuple[Array, ...]:
    """Return the user's inputs, flattened in the reference's order.

    Raises:
        InputError: they do not fit the reference, or hold NaN for which the reference returns no numbers.
    """
    layout = input_layout(pair.reference)
    arrays = tuple(checked_inputs(inputs, layout))
    held = nan_in(arrays, layout)
    if held is not None and not _copes(pair, arrays):
        raise InputError(
            f"{held}; the reference returns NaN for them, so nothing can be compared: remove or impute them"
        )
    return arrays


def _copes(pair: Pair, arrays: tuple[Array, ...]) -> bool:
    """Tell whether the reference returns numbers for NaN."""
    runner = sides_of(pair)[0].runner()
    with runner.holding():
        runner.reset_all()
        outputs = runner.infer(arrays).outputs
    return not any(output.dtype.kind == "f" and bool(np.isnan(output).any()) for output in outputs)


def survey_of(pair: Pair) -> Survey:
    """Return what the reference takes, with the masks, ids and tokens that only the candidate tells of.

    Where both are proved one program the candidate is not asked: it has nothing else to tell.

    Raises:
        NoProbes: the reference takes nothing that can be generated.
    """
    reference, candidate = sides_of(pair)
    found = reference.survey()
    if pair.program_match.proved:
        return found
    try:
        return joined(found, candidate.survey())
    except NoProbes:  # it may yet take what the reference takes
        return replace(found, masks=found.masks or masks_somewhere(pair.candidate))
