"""What the numeric checks need of each twin: the model, its values, and its float64 oracle."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError, said
from pytest_kerasequiv.running.dtypes import least_precise_dtype
from pytest_kerasequiv.running.float64 import Float64Unavailable, build_float64
from pytest_kerasequiv.running.input_layout import InputLayout, input_layout
from pytest_kerasequiv.running.narrowing import narrowing_step
from pytest_kerasequiv.running.perturbing import generic_values
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.probes import Probe, Survey, survey
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict
from pytest_kerasequiv.weights.variables import share, variables_of

Array = NDArray[np.generic]


KEPT_ORACLE = 8_000_000
"""Most elements (64 MB) of a float64 twin that is kept between checks; a larger one is built each time."""


@dataclass(frozen=True)
class Side:
    """One twin, ready to be observed.

    Attributes:
        model: the built model.
        values: what it is observed under, one for each of its variables.
        given: layout in which inputs are given, the reference's on both sides.
        source: makes the model again.
        dtype: the coarsest dtype it computes in.
        why_no_oracle: why float64 is not used; ``None`` where it may be.
        first: whether it is the reference.
        generic: values without those special to a fresh model; ``None`` where twins keep their own.
    """

    model: keras.Model
    values: list[Array]
    given: InputLayout
    source: Source
    dtype: str
    why_no_oracle: str | None = None
    first: bool = True
    generic: list[Array] | None = None
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def runner(self) -> Runner:
        """Return a runner of the model itself."""
        if "runner" not in self._kept:
            self._kept["runner"] = Runner(self.model, self.values, given=self.given)
        runner: Runner = self._kept["runner"]
        return runner

    def values_for(self, probe: Probe) -> list[Array]:
        """Return the values that a probe is run under."""
        return self.generic if probe.generic and self.generic is not None else self.values

    def survey(self) -> Survey:
        """Return what the model takes.

        Raises:
            NoProbes: it takes nothing that can be generated.
        """
        if "survey" not in self._kept:
            with self.runner().holding():
                self._kept["survey"] = survey(self.model)
        found: Survey = self._kept["survey"]
        return found

    @contextmanager
    def exact_runner(self, values: list[Array] | None = None) -> Iterator[Runner]:
        """Give a runner of the float64 twin.

        Raises:
            Float64Unavailable: there is none, or it fails at what is done with it, as code that names a
                narrower dtype does in training mode only; then there is none from then on.
        """
        if self.why_no_oracle is not None:
            raise Float64Unavailable(self.why_no_oracle)
        runner = self._kept.get("exact") or self._build_exact()
        if sum(value.size for value in self.values) <= KEPT_ORACLE:
            self._kept["exact"] = runner
        try:
            yield runner if values is None else runner.under(values)
        except (Float64Unavailable, InputError):
            raise
        except Exception as error:
            self._kept.pop("exact", None)
            self._kept["unavailable"] = f"built in float64 it fails: {type(error).__name__}: {said(error)}"
            raise Float64Unavailable(self._kept["unavailable"]) from error

    def _build_exact(self) -> Runner:
        if "unavailable" in self._kept:
            raise Float64Unavailable(self._kept["unavailable"])
        gc.collect()  # models refer to themselves: an earlier float64 twin is there until it is looked for
        try:
            model = build_float64(self.source, 0, like=self.model)
            runner = Runner(model, self.values, given=self.given, wide=True, drawn_in=self.dtype)
            reason = narrowing_step(runner)
            if reason is not None:
                raise Float64Unavailable(reason)
        except Float64Unavailable as why:
            self._kept["unavailable"] = str(why)
            raise
        return runner


_SIDES: WeakKeyDictionary[Any, tuple[Side, Side]] = WeakKeyDictionary()


def sides_of(pair: Pair) -> tuple[Side, Side]:
    """Return both sides of a pair, prepared once.

    No oracle is used where the program check has proved that both are one program: float32 then differs by
    nothing but the order of additions between threads.
    """
    if pair not in _SIDES:
        proved = pair.program_match.proved and pair.twins.weights == "copy"
        why = "both twins are the same program, proved; rounding needs no measuring" if proved else None
        given = input_layout(pair.reference)
        models = pair.reference, pair.candidate
        values = pair.reference_values, pair.candidate_values
        for variable, value in zip(variables_of(pair.candidate), pair.candidate_values, strict=True):
            share(variable, value)  # weights that both have alike are in memory once while neither is trained
        sources = pair.twins.reference_source, pair.twins.candidate_source
        reference, candidate = (
            Side(model, own, given, source, least_precise_dtype(model), why, first, generic)
            for model, own, source, first, generic in zip(
                models, values, sources, (True, False), _generic(pair), strict=True
            )
        )
        _SIDES[pair] = reference, candidate
    return _SIDES[pair]


def _generic(pair: Pair) -> tuple[list[Array] | None, list[Array] | None]:
    if pair.twins.weights == "own":
        return None, None
    reference = generic_values(pair.reference, pair.reference_values, pair.seed)
    return reference, pair.variable_map.carry(reference, pair.candidate_values)


def unmapped(pair: Pair, check: str) -> CheckResult | None:
    """Return INCONCLUSIVE where some weights have no partner, so that no values are common; else ``None``."""
    variables = pair.variable_map
    if pair.twins.weights == "own" or variables.complete:
        return None

    def paths(model: keras.Model, indices: tuple[int, ...]) -> list[str]:
        return [f"{v.path} {tuple(v.shape)}" for v in (variables_of(model)[index] for index in indices)]

    reference = paths(pair.reference, variables.unmapped_reference)
    candidate = paths(pair.candidate, variables.unmapped_candidate)
    message = (
        "not compared: the twins cannot be given the same weights, because some have no partner. "
        f"Only in the reference: {', '.join(reference) or 'none'}. "
        f"Only in the candidate: {', '.join(candidate) or 'none'}. "
        "See the weights check."
    )
    finding = Finding(check, None, None, "weights", reference, candidate, message)
    return CheckResult(check, Verdict.INCONCLUSIVE, None, (finding,))
