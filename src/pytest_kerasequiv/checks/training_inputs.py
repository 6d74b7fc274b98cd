"""The batches that the training checks run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kerasequiv.checks.own_inputs import own_inputs
from pytest_kerasequiv.checks.surveying import survey_of
from pytest_kerasequiv.models.probes import NoProbes, Probe, training_batch
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict

if TYPE_CHECKING:
    from pytest_kerasequiv.checks.pair import Pair

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
