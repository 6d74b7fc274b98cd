"""Naming the layers at fault without a live reference: by recorded settings and what each layer returned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.blame.forward import ROUNDOFFS
from pytest_kerasequiv.checks.blame.layer_settings import settings_apart
from pytest_kerasequiv.checks.blame.wording import only_adds
from pytest_kerasequiv.checks.numeric.views import TwinView, view_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.tolerance import largest
from pytest_kerasequiv.layers.layer_graph import LayerGraph
from pytest_kerasequiv.recording.sketching import sketched
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF, widened
from pytest_kerasequiv.running.float64 import Float64Unavailable
from pytest_kerasequiv.running.layer_calls import record
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict

Array = NDArray[Any]
Call = tuple[str, int]

SAMPLES = 16
"""Samples of what a layer returned."""


@dataclass(frozen=True)
class LayerOutputs:
    """What the layers of a model returned for one batch.

    Attributes:
        dtype: in which they were computed.
        outputs: Keras path of a layer and how often it had been called before -> what is kept of its tensors.
        shapes: the same -> their shapes.
    """

    dtype: str
    outputs: Mapping[Call, tuple[Array, ...]]
    shapes: Mapping[Call, tuple[tuple[int, ...], ...]]


def layer_outputs(view: TwinView, probe: Probe, *, exact: bool = True) -> LayerOutputs:
    """Run a model on one batch, in float64 where that can be, and return what its layers returned.

    Args:
        view: the model.
        probe: the batch.
        exact: whether it may be run in float64.
    """
    if exact:
        try:
            with view.exact_runner() as runner:
                return _outputs(runner, probe, "float64")
        except Float64Unavailable:
            pass
    return _outputs(view.runner(), probe, view.dtype)


def _outputs(runner: Runner, probe: Probe, dtype: str) -> LayerOutputs:
    with runner.holding():
        runner.reset_all()
        calls = record(runner.model, runner.pack(probe.inputs)).calls
    found = {
        one.key: tuple(widened(tensor) for tensor in one.outputs if tensor is not None and _counts(tensor))
        for one in calls
    }
    kept = {key: tuple(sketched(tensor, (), SAMPLES) for tensor in tensors) for key, tensors in found.items()}
    return LayerOutputs(
        dtype, kept, {key: tuple(one.shape for one in tensors) for key, tensors in found.items()}
    )


def _counts(tensor: Array) -> bool:
    return tensor.dtype.kind in "fiubV"


@only_adds
def explained(
    pair: Pair, result: CheckResult, given: tuple[LayerOutputs | None, Probe | None]
) -> CheckResult:
    """Put the layers at fault before what they caused: settings that differ, and where numbers first part.

    Args:
        pair: a recorded reference and a candidate.
        result: what a numeric check decided.
        given: what the layers of the reference returned, and for which batch.
    """
    if result.verdict is not Verdict.DIFFERENT or pair.layer_match is None:
        return result
    training = result.name != "outputs"
    settings = list(settings_apart(pair, result.name, training=training))
    parted = None if training or None in given else _first_parting(pair, result.name, *given)
    known = {finding.field for finding in result.differences if finding.reference_layer is not None}
    causes = [one for one in settings if one.field not in known]
    if parted is not None:
        at = [one for one in causes if one.reference_layer == parted.reference_layer]
        causes = [*at, *(one for one in causes if one not in at)]
        causes = causes if at else [parted, *causes]
    return replace(result, findings=(*causes, *result.findings))


def _first_parting(
    pair: Pair, check: str, recorded: LayerOutputs | None, probe: Probe | None
) -> Finding | None:
    """Return the first layer that returns other numbers than was recorded."""
    assert recorded is not None
    assert probe is not None
    assert pair.layer_match is not None
    theirs = layer_outputs(view_of(pair.candidate_twin), probe, exact=recorded.dtype == "float64")
    if theirs.dtype != recorded.dtype or pair.reference_graph is None or pair.candidate_graph is None:
        return None
    calls = _calls(pair.reference_graph), _calls(pair.candidate_graph)
    for index, other in sorted(pair.layer_match.pairs):
        ours, its = calls[0][index], calls[1][other]
        distance, allowed = _apart(recorded, theirs, ours, its)
        if distance > allowed:
            where = ours[0] if ours[0] == its[0] else f"{ours[0]} / {its[0]}"
            message = (
                f"layer {where} is the first to return other numbers than were recorded: by {distance:.3g}, "
                f"where rounding explains {allowed:.3g}"
            )
            return Finding.difference(check, "value", message, layers=(ours[0], its[0]))
    return None


def _calls(graph: LayerGraph) -> list[Call]:
    """Return for each node of a graph its layer, and how often that had been called before."""
    seen: Counter[str] = Counter()
    found = []
    for node in graph.nodes:
        found.append((node.path, seen[node.path]))
        seen[node.path] += 1
    return found


def _apart(recorded: LayerOutputs, theirs: LayerOutputs, ours: Call, its: Call) -> tuple[float, float]:
    """Return how far the outputs of two calls are apart, and how far one layer alone may err."""
    if ours not in recorded.outputs or its not in theirs.outputs:
        return 0.0, 0.0
    if recorded.shapes[ours] != theirs.shapes[its]:
        return 0.0, 0.0  # a rewrite may give it another shape; where it may not, the shapes are told
    distance = _largest(
        [_wide(b) - _wide(a) for a, b in zip(recorded.outputs[ours], theirs.outputs[its], strict=True)]
    )
    scale = _largest(recorded.outputs[ours])
    return distance, ROUNDOFFS[recorded.dtype] * UNIT_ROUNDOFF[recorded.dtype] * scale


def _wide(array: Array) -> NDArray[np.float64]:
    return np.asarray(array, np.float64)


def _largest(arrays: Sequence[Array]) -> float:
    return max(map(largest, arrays), default=0.0)
