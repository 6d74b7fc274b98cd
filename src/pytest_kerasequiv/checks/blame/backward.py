"""Which layers agree forward but send other gradients back."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.blame.forward import ROUNDOFFS, apart
from pytest_kerasequiv.checks.blame.layer_pairs import CallPair, Calls, call_pairs, left_over
from pytest_kerasequiv.checks.blame.wording import both_paths
from pytest_kerasequiv.checks.numeric.views import views_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.tolerance import largest
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF
from pytest_kerasequiv.running.float64 import Float64Unavailable
from pytest_kerasequiv.running.layer_calls import LayerCall, record
from pytest_kerasequiv.running.replaying import replay_backward
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.verdict import Finding

Array = NDArray[np.generic]


def blame_backward(pair: Pair, check: str, probe: Probe) -> list[Finding]:
    """Return the layers that agree forward but send other gradients back; each is run alone.

    Both layers of a pair run on the reference's recorded inputs; random cotangents are sent back through
    each, and the gradients for their inputs and weights are compared.

    Args:
        pair: the twins.
        check: name of the check on whose behalf.
        probe: the batch.
    """
    views = views_of(pair)
    try:
        with views[0].exact_runner() as reference, views[1].exact_runner() as candidate:
            return _compare_backward(pair, check, probe, (reference, candidate), "float64")
    except Float64Unavailable:
        runners = views[0].runner(), views[1].runner()
        return _compare_backward(pair, check, probe, runners, views[0].dtype)


def _compare_backward(
    pair: Pair, check: str, probe: Probe, runners: tuple[Runner, Runner], dtype: str
) -> list[Finding]:
    calls, found = [], []
    for runner in runners:
        with runner.holding():
            recording = record(runner.model, runner.pack(probe.inputs), training=True)
            calls.append(Calls(recording.calls, recording.layers))
    pairs = call_pairs(pair, calls[0], calls[1])
    for one in [*pairs, *left_over(pairs, calls[0], calls[1])]:
        sent = [
            _sent_back(runner, side.layers[index], calls[0].calls[one.reference])
            for runner, side, index in _sides(runners, calls, one)
        ]
        if None not in sent and _differ(sent[0] or (), sent[1] or (), dtype):
            found.append(_finding(check, calls, one))
    return found


def _sides(
    runners: tuple[Runner, Runner], calls: Sequence[Calls], one: CallPair
) -> list[tuple[Runner, Calls, int]]:
    return [(runners[0], calls[0], one.reference), (runners[1], calls[1], one.candidate)]


def _sent_back(runner: Runner, layer: keras.Layer, call: LayerCall) -> tuple[Array, ...] | None:
    with runner.holding():
        try:
            return replay_backward(layer, call)
        except Exception:  # it does not take what the reference's layer takes
            return None


def _differ(ours: Sequence[Array], theirs: Sequence[Array], dtype: str) -> bool:
    if len(ours) != len(theirs):
        return False
    distance = apart(ours, theirs)
    scale = max((largest(array) for array in ours), default=0.0)
    return distance is not None and not distance <= ROUNDOFFS[dtype] * UNIT_ROUNDOFF[dtype] * scale


def _finding(check: str, calls: Sequence[Calls], one: CallPair) -> Finding:
    ours, theirs = calls[0].calls[one.reference], calls[1].calls[one.candidate]
    where = both_paths(ours.path, theirs.path)
    message = f"layer {where} agrees forward, but sends other gradients back"
    return Finding.difference(check, "gradient", message, layers=(ours.path, theirs.path))
