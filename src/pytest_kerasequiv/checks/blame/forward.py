"""Which layers are at fault: each is run alone, on the reference's tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.blame.handed import Handed, handed_otherwise
from pytest_kerasequiv.checks.blame.layer_pairs import CallPair, Calls, call_pairs, with_outputs
from pytest_kerasequiv.checks.blame.wording import at_fault, both_paths, training_settings, without_partner
from pytest_kerasequiv.checks.numeric.views import views_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.tolerance import largest
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF, widened
from pytest_kerasequiv.running.float64 import Float64Unavailable
from pytest_kerasequiv.running.layer_calls import record
from pytest_kerasequiv.running.replaying import Given, given_to, replay
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.verdict import Finding

Array = NDArray[np.generic]


ROUNDOFFS = {"float64": 2.0**16, "float32": 2.0**7, "float16": 2.0**4, "bfloat16": 2.0**4}
"""How many roundoffs of its largest output one layer, run alone, may err by before it is blamed."""


@dataclass(frozen=True)
class LayerRow:
    """One pair of corresponding tensors in the two passes: how far apart, and how far a lone layer may be."""

    reference: str
    candidate: str
    difference: float
    allowed: float

    @property
    def diverges(self) -> bool:
        """Whether the tensors are further apart than that."""
        return not self.difference <= self.allowed


@dataclass(frozen=True)
class Traced:
    """What following a probe through the layers found.

    Attributes:
        findings: the layers at fault, then a note on where the passes part.
        rows: corresponding tensors, in the order of the reference.
        settings: settings of corresponding layers that act only on training and differ; whether they are to
            blame is for the caller to say.
    """

    findings: tuple[Finding, ...] = ()
    rows: tuple[LayerRow, ...] = ()
    settings: tuple[Finding, ...] = ()


def layer_table(traced: Traced) -> list[dict[str, Any]]:
    """Return the per-layer divergence as JSON-able rows, in the order of the reference."""
    return [
        {"reference": r.reference, "candidate": r.candidate, "difference": r.difference, "allowed": r.allowed}
        for r in traced.rows
    ]


def blame(
    pair: Pair,
    check: str,
    probe: Probe,
    *,
    blaming: bool = True,
    training: bool = False,
    exact: bool = True,
) -> Traced:
    """Follow one probe through both models layer by layer.

    Args:
        pair: the twins.
        check: name of the check on whose behalf.
        probe: the batch.
        blaming: whether to look for culprits, in float64 where both sides have a float64 twin; else only
            the table is made, in the model's own dtype.
        training: the phase.
        exact: whether the culprits may not show in the model's own dtype.
    """
    views = views_of(pair)
    if blaming and exact:
        try:
            with views[0].exact_runner() as reference, views[1].exact_runner() as candidate:
                return _follow(pair, check, probe, (reference, candidate), "float64", training=training)
        except Float64Unavailable:
            pass
    runners = (views[0].runner(), views[1].runner())
    return _follow(pair, check, probe, runners, views[0].dtype, blaming=blaming, training=training)


def _follow(
    pair: Pair,
    check: str,
    probe: Probe,
    runners: tuple[Runner, Runner],
    dtype: str,
    *,
    blaming: bool = True,
    training: bool = False,
) -> Traced:
    recordings = []
    runners = tuple(r.under(view.values_for(probe)) for r, view in zip(runners, views_of(pair), strict=True))  # type: ignore[assignment]
    for runner in runners:
        with runner.holding():
            recordings.append(record(runner.model, runner.pack(probe.inputs), training=training))
    reference, candidate = (Calls(r.calls, r.layers) for r in recordings)
    pairs = with_outputs(call_pairs(pair, reference, candidate), recordings[0].makers, recordings[1].makers)
    rows = tuple(_row(p, reference, candidate, dtype) for p in pairs)
    known = tuple(row for row in rows if row is not None)
    settings = training_settings(check, reference, candidate, pairs)
    if not blaming:
        return Traced((), known, settings)
    with runners[1].holding():
        suspects = Suspects(pair, check, reference, candidate, pairs, dtype, runners)
        found = [*suspects.culprits(), *_first_divergence(check, rows)]
    return Traced(tuple(found), known, settings)


def _row(pair: CallPair, reference: Calls, candidate: Calls, dtype: str) -> LayerRow | None:
    ours, theirs = reference.calls[pair.reference], candidate.calls[pair.candidate]
    distance = apart(ours.outputs, theirs.outputs)
    if distance is None:
        return None
    allowed = ROUNDOFFS[dtype] * UNIT_ROUNDOFF[dtype] * _largest(ours.outputs)
    return LayerRow(ours.path, theirs.path, distance, allowed)


def _largest(outputs: Sequence[Array | None]) -> float:
    return max(
        (largest(widened(o)) for o in outputs if o is not None and o.dtype.kind in "fiubV"), default=0.0
    )


def apart(reference: Sequence[Array | None], candidate: Sequence[Array | None]) -> float | None:
    """Return the largest difference: infinite where shapes do not fit, ``None`` without any."""
    known = [
        (widened(a), widened(b))
        for a, b in zip(reference, candidate, strict=False)
        if a is not None and b is not None
    ]
    if not known:
        return None
    worst = 0.0
    for ours, theirs in known:
        if ours.size != theirs.size or ours.dtype.kind not in "fiub":
            return float("inf") if ours.size != theirs.size else None
        if _same(ours, theirs):  # of twins, most layers; no float64 copies of them are made
            continue
        first, second = np.asarray(ours, float), np.asarray(theirs, float).reshape(ours.shape)
        finite = np.isfinite(first) & np.isfinite(second)
        if not np.array_equal(np.where(finite, 0, first), np.where(finite, 0, second), equal_nan=True):
            return float("inf")
        worst = max(worst, largest(first[finite] - second[finite]))
    return worst


def _same(ours: Array, theirs: Array) -> bool:
    return ours.dtype == theirs.dtype and np.array_equal(ours, theirs.reshape(ours.shape), equal_nan=True)


def _first_divergence(check: str, rows: Sequence[LayerRow | None]) -> list[Finding]:
    """Return a note on the first pair from which the passes stay apart."""
    known = [row for row in rows if row is not None]
    first = next((row for row in known if row.diverges), None)
    if first is None:
        return []
    where = both_paths(first.reference, first.candidate)
    if not math.isfinite(first.difference):
        message = f"the passes first differ at {where}, in shape or in what is finite"
    else:
        rounding = f"where rounding explains {first.allowed:.3g}"
        message = f"the passes first differ at {where}: by {first.difference:.3g}, {rounding}"
    return [Finding.note(check, "value", message, layers=(first.reference, first.candidate))]


@dataclass
class Suspects:
    """Tries each pair of corresponding calls on the reference's tensors."""

    pair: Pair
    check: str
    reference: Calls
    candidate: Calls
    pairs: Sequence[CallPair]
    dtype: str
    runners: tuple[Runner, Runner]
    partner: dict[int, int] = field(default_factory=dict)
    replayed: dict[int, tuple[Given, ...]] = field(default_factory=dict)

    @property
    def parted(self) -> str:
        """Where the programs part, in words; empty where that is not known."""
        difference = self.pair.program_match.difference
        return "" if difference is None else difference.message

    def culprits(self) -> list[Finding]:
        """Return a finding for every layer at fault, in the order of the candidate.

        Where every layer computes the same numbers, one makes another mask or another shape of them.
        """
        self.partner.update({p.candidate: p.reference for p in self.pairs})
        found = (
            self._computing_otherwise(masks=False)
            or self._masking_otherwise()
            or self._computing_otherwise(masks=True)
            or self._shaping_otherwise()
        )
        return list({str(finding): finding for finding in found}.values())

    def _computing_otherwise(self, *, masks: bool) -> list[Finding]:
        """Return the layers, or the operations that compute masks, that compute other numbers."""
        found: list[Finding] = []
        back = {p.reference: p.candidate for p in self.pairs}
        for pair in self.pairs:
            if self._makes_masks(self.reference, pair.reference) is not masks:
                continue
            if not self._differs(pair, self._outcome(pair.candidate)):
                continue
            if self._differs(pair, self._directly(pair)):
                found += self._descend(pair)
                continue
            extra = [
                c for c in self._region(self.candidate, pair.candidate, self.partner) if c not in self.partner
            ]
            missing = [r for r in self._region(self.reference, pair.reference, back) if r not in back]
            found += self._handed(pair, self._tensors(pair.candidate)) or self._between(pair, missing, extra)
        return found

    def _masking_otherwise(self) -> list[Finding]:
        """Return the layers that make another mask from the same inputs."""
        found: list[Finding] = []
        for pair in self.pairs:
            made = self._directly(pair) or ()
            ours = [mask for mask in self.reference.calls[pair.reference].output_masks if mask is not None]
            theirs = [given.mask for given in made if given.mask is not None]
            if made and not (len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))):
                found += at_fault(self, pair, "makes another mask")
        return found

    def _shaping_otherwise(self) -> list[Finding]:
        """Return the layers that make another shape from the same inputs."""
        found: list[Finding] = []
        for pair in self.pairs:
            ours = self.reference.calls[pair.reference].outputs
            if _shapes(ours) == _shapes(self.candidate.calls[pair.candidate].outputs):
                continue
            made = self._directly(pair) or ()
            shapes = _shapes(ours), [given.value.shape for given in made]
            if made and shapes[0] != shapes[1]:
                found += at_fault(self, pair, "makes another shape")
        return found

    @staticmethod
    def _makes_masks(calls: Calls, index: int) -> bool:
        """Tell whether a call is an operation that computes a mask, as functional models do beside layers."""
        outputs = calls.calls[index].outputs
        made = [output is not None and output.dtype.kind == "b" for output in outputs]
        return bool(made) and all(made) and not isinstance(calls.layers[index], keras.layers.Layer)

    def _between(self, pair: CallPair, missing: list[int], extra: list[int]) -> list[Finding]:
        """Blame what stands before a pair that agrees on its own; two of one class are one changed layer."""
        kinds = [calls.calls[i].kind for calls, side in self._both(missing, extra) for i in side]
        if len(missing) == len(extra) == 1 and kinds[0] == kinds[1]:
            return at_fault(self, CallPair(missing[0], extra[0]))
        return without_partner(self, pair, missing, extra)

    def _handed(self, pair: CallPair, tensors: Sequence[Given] | None = None) -> list[Finding]:
        """Return what a pair of calls is handed otherwise, if it is not the values of tensors."""
        ours = Handed.of(self.reference, pair.reference)
        theirs = Handed.of(self.candidate, pair.candidate, tensors)
        if len(ours.values) != len(theirs.values) or not self._near(ours.values, theirs.values):
            return []
        return handed_otherwise(self.check, self.reference, self.candidate, pair, (ours, theirs))

    def _both(self, missing: list[int], extra: list[int]) -> list[tuple[Calls, list[int]]]:
        return [(self.reference, missing), (self.candidate, extra)]

    def _differs(self, pair: CallPair, outputs: tuple[Given, ...] | None) -> bool:
        if outputs is None:
            return False
        ours, theirs = self.reference.calls[pair.reference], self.candidate.calls[pair.candidate]
        # Another layer in the place of one (a division for a Rescaling) may round as the model does.
        dtype = self.dtype if ours.kind == theirs.kind else views_of(self.pair)[0].dtype
        return not self._near(ours.outputs, [given.value for given in outputs], dtype)

    def _near(
        self, ours: Sequence[Array | None], theirs: Sequence[Array | None], dtype: str | None = None
    ) -> bool:
        distance = apart(ours, theirs)
        dtype = dtype or self.dtype
        return distance is None or distance <= ROUNDOFFS[dtype] * UNIT_ROUNDOFF[dtype] * _largest(ours)

    def _outcome(self, index: int) -> tuple[Given, ...] | None:
        """Run a candidate call on the reference's tensors where those correspond, else on replayed ones."""
        if index not in self.replayed:
            self.replayed[index] = self._run(index, self._tensors(index))
        return self.replayed[index] or None

    def _tensors(self, index: int) -> list[Given]:
        """Return what a candidate call is given when what comes before it is as in the reference."""
        call = self.candidate.calls[index]
        return [
            self._tensor(source, given) for source, given in zip(call.sources, given_to(call), strict=True)
        ]

    def _tensor(self, source: tuple[int, int], own: Given) -> Given:
        call, position = source
        if call <= -2 or call == -1:
            return own
        if call in self.partner:
            outputs: Sequence[Given] = self._reference_outputs(self.partner[call])
            return _shaped(outputs[position], own) if position < len(outputs) else own
        outputs = self._outcome(call) or ()
        return outputs[position] if position < len(outputs) else own

    def _reference_outputs(self, index: int) -> list[Given]:
        call = self.reference.calls[index]
        return [Given(v, m) for v, m in zip(call.outputs, call.output_masks, strict=True) if v is not None]

    def _run(self, index: int, tensors: Sequence[Given]) -> tuple[Given, ...]:
        self.runners[1].reset(self.candidate.layers[index])
        try:
            return replay(self.candidate.layers[index], self.candidate.calls[index], tensors)
        except Exception:  # the reference's tensors do not fit this layer
            return ()

    def _directly(self, pair: CallPair) -> tuple[Given, ...] | None:
        """Run the candidate's layer on the very arguments of the reference's layer."""
        self.runners[1].reset(self.candidate.layers[pair.candidate])
        try:
            return replay(self.candidate.layers[pair.candidate], self.reference.calls[pair.reference])
        except Exception:  # it does not take what the reference's layer takes
            return None

    def _region(self, calls: Calls, index: int, paired: dict[int, int]) -> list[int]:
        """Return the calls without partner between this call and the nearest ones that have one."""
        found: list[int] = []
        queue = [source for source, _ in calls.calls[index].sources]
        while queue:
            call = queue.pop()
            if call >= 0 and call not in paired and call not in found and not self._makes_masks(calls, call):
                found.append(call)
                queue += [source for source, _ in calls.calls[call].sources]
        return sorted(found)

    def _descend(self, pair: CallPair) -> list[Finding]:
        """Look for the culprit among what a composite layer calls; else the layer itself is at fault."""
        inner = call_pairs(None, self.reference, self.candidate, within=pair)
        found: list[Finding] = []
        for child in inner:
            if self._differs(child, self._directly(child)):
                found += self._descend(child)
            elif not self._near(
                self.reference.calls[child.reference].outputs, self.candidate.calls[child.candidate].outputs
            ):
                found += self._handed(child)
        return found or at_fault(self, pair)


def _shapes(outputs: Sequence[Array | None]) -> list[tuple[int, ...]]:
    return [one.shape for one in outputs if one is not None]


def _shaped(given: Given, like: Given) -> Given:
    """Give a reference's tensor the shape that the candidate's rewrite uses, if it is only reshaped."""
    if given.value.shape == like.value.shape or given.value.size != like.value.size:
        return given
    return Given(given.value.reshape(like.value.shape), like.mask)
