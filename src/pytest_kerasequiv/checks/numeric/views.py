"""What the numeric checks need of each twin: the model, its values, and its float64 twin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.building.workbench import loss_settings
from pytest_kerasequiv.checks.numeric.aiming import aimed
from pytest_kerasequiv.checks.pair import Correspondence, Pair, Twin
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.errors import InputError, said
from pytest_kerasequiv.keras_access.layers import layers_within, weights_held
from pytest_kerasequiv.layers.layer_graph import LayerGraph
from pytest_kerasequiv.program.whole_numbers import guards
from pytest_kerasequiv.running.dtypes import least_precise_dtype
from pytest_kerasequiv.running.float64 import Float64Unavailable, build_float64
from pytest_kerasequiv.running.input_layout import input_layout
from pytest_kerasequiv.running.narrowing import narrowing_step
from pytest_kerasequiv.running.perturbing import generic_values
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.masking import masks_somewhere
from pytest_kerasequiv.surface.probes import NoProbes, Probe, Survey, joined, survey
from pytest_kerasequiv.surface.targets import Hints
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict
from pytest_kerasequiv.weights.variables import emptied, is_seed, share, variables_of

Array = NDArray[np.generic]
T = TypeVar("T")


@dataclass(frozen=True)
class Label:
    """A variable in messages: the path of its layer, its role there, its own path, shape, compute dtype.

    ``computes`` is the compute dtype of the layer that holds it; empty where no layer does. ``seed``: it is
    the state of a seed generator.
    """

    layer: str
    role: str
    path: str = ""
    shape: tuple[int, ...] = ()
    computes: str = ""
    seed: bool = False

    def __str__(self) -> str:
        return f"{self.layer}/{self.role}"


@dataclass(frozen=True)
class TwinView:
    """One twin, ready to be observed.

    Attributes:
        model: the built model.
        values: what it is observed under, one for each of its variables.
        source: makes the model again.
        dtype: the coarsest dtype it computes in.
        graph: its layer graph, if it has one, for the labels of its variables.
        generic: values without those special to a fresh model; ``None`` where twins keep their own.
        draws_outside: whether it draws random numbers outside Keras's generators, or is not known not to.
    """

    model: keras.Model
    values: list[Array]
    source: Source
    dtype: str
    graph: LayerGraph | None = None
    generic: list[Array] | None = None
    draws_outside: bool = False
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def runner(self) -> Runner:
        """Return a runner of the model itself."""
        return self.once("runner", lambda: Runner(self.model, self.values))

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what ``make`` returns, made when it is first asked for under this name."""
        if name not in self._kept:
            self._kept[name] = make()
        found: T = self._kept[name]
        return found

    def observed(self, probes: Sequence[Probe]) -> dict[str, Any]:
        """Return what the model did on these very probes, to be added to; kept for the last ones alone."""
        last = self._kept.get("observed")
        if last is None or last[0] is not probes or not probes:
            last = self._kept["observed"] = probes, {}
        found: dict[str, Any] = last[1]
        return found

    def values_for(self, probe: Probe) -> list[Array]:
        """Return the values that a probe is run under."""
        return self.generic if probe.generic and self.generic is not None else self.values

    def survey(self) -> Survey:
        """Return what the model takes.

        Raises:
            NoProbes: it takes nothing that can be generated.
        """

        def look() -> Survey:
            with self.runner().holding():
                return survey(self.model)

        return self.once("survey", look)

    def labels(self) -> tuple[Label, ...]:
        """Return a label for each of `variables_of` the model."""
        return self.once("labels", lambda: _labels(self.model, self.graph))

    @contextmanager
    def exact_runner(self, values: list[Array] | None = None) -> Iterator[Runner]:
        """Give a runner of the float64 twin, which is built once and holds values only while it is given.

        Raises:
            Float64Unavailable: there is none, or it fails at what is done with it, as code that names a
                narrower dtype does in training mode only; then there is none from then on.
        """
        runner = self.once("exact", self._build_exact)
        try:
            yield runner if values is None else runner.under(values)
        except (Float64Unavailable, InputError):
            raise
        except Exception as error:
            self._kept.pop("exact", None)
            self._kept["unavailable"] = f"built in float64 it fails: {type(error).__name__}: {said(error)}"
            raise Float64Unavailable(self._kept["unavailable"]) from error
        finally:
            emptied(runner.model, but=self.model)

    def _build_exact(self) -> Runner:
        if "unavailable" in self._kept:
            raise Float64Unavailable(self._kept["unavailable"])
        try:
            model = build_float64(self.source, 0, like=self.model)
            runner = Runner(model, self.values, wide=True, drawn_in=self.dtype)
            runner.traceable = self.runner().traceable
            reason = narrowing_step(runner)
            if reason is not None:
                raise Float64Unavailable(reason)
        except Float64Unavailable as why:
            self._kept["unavailable"] = str(why)
            raise
        return runner


_VIEWS: WeakKeyDictionary[Pair, dict[str, TwinView]] = WeakKeyDictionary()


def view_of(twin: Twin) -> TwinView:
    """Return a twin prepared to be observed, once; the reference without a look at the candidate."""
    known = _VIEWS.setdefault(twin.pair, {})
    if twin.role not in known:
        known[twin.role] = _reference(twin) if twin.role == "reference" else _candidate(twin)
    return known[twin.role]


def views_of(pair: Pair) -> tuple[TwinView, TwinView]:
    """Return both twins of a pair, prepared once."""
    return view_of(pair.reference_twin), view_of(pair.candidate_twin)


def _reference(twin: Twin) -> TwinView:
    pair = twin.pair
    own = pair.generic or pair.twins.weights == "own"
    generic = None if own else generic_values(pair.reference, pair.reference_values, pair.seed)
    return _view(twin, pair.common_values, pair.twins.reference_source, generic)


def _candidate(twin: Twin) -> TwinView:
    pair = twin.pair
    for variable, value in zip(variables_of(pair.candidate), pair.candidate_values, strict=True):
        share(variable, value)  # weights that both have alike are in memory once while neither is trained
    theirs = None if pair.generic else view_of(pair.reference_twin).generic
    generic = None if theirs is None else pair.variable_map.carry(theirs, pair.candidate_values)
    return _view(twin, pair.candidate_values, pair.twins.candidate_source, generic)


def _view(twin: Twin, values: list[Array], source: Source, generic: list[Array] | None) -> TwinView:
    draws = bool(twin.program.random) or twin.program.reason is not None
    dtype = least_precise_dtype(twin.model)
    return TwinView(twin.model, values, source, dtype, twin.graph, generic, draws)


def survey_for(reference: Twin, between: Correspondence | None) -> Survey | None:
    """Return what the reference takes, completed by what only the candidate, or both programs, reveal.

    Where both are proved one program the candidate has nothing else to reveal, and is not run.

    Args:
        reference: the reference.
        between: what corresponds; ``None`` where nothing is known of the candidate.

    Returns:
        ``None`` where the reference takes nothing that can be generated.
    """
    try:
        found = view_of(reference).survey()
    except NoProbes:
        return None
    layout = input_layout(reference.model)
    if between is None:
        return aimed(found, layout, reference.program, None)
    if between.proved:
        return found
    try:
        theirs = view_of(between.candidate).survey()
        found = joined(found, theirs, guarded=guards(reference.program, between.candidate.program))
    except NoProbes:  # it may yet take what the reference takes
        found = replace(found, masks=found.masks or masks_somewhere(between.candidate.model))
    return aimed(found, layout, reference.program, between.candidate.program)


def hints_for(reference: Twin, between: Correspondence | None) -> Hints:
    """Return what both twins tell of the targets that their losses take; arguments as `survey_for`."""
    twins = [reference, *([] if between is None else [between.candidate])]
    operations = {node.op for twin in twins for node in twin.program.nodes}
    theirs = None if between is None else loss_settings(between.candidate.model)
    return Hints(None if theirs is None else theirs["loss"], "SoftmaxCrossEntropyWithLogits" in operations)


def oracle_refused(between: Correspondence | None, *given: float | None) -> str | None:
    """Return why no float64 twin is needed; ``None`` where one is. ``given``: the user's tolerances."""
    if any(part is not None for part in given):
        return "rtol or atol was given"
    if between is not None and not between.own and between.proved:
        return "both twins are the same program, proved; rounding needs no measuring"
    return None


def _labels(model: keras.Model, graph: LayerGraph | None) -> tuple[Label, ...]:
    named: dict[int, tuple[str, str]] = {}
    for node in graph.nodes if graph is not None else ():
        for role, index in node.variables:
            named.setdefault(index, (node.path, node.aliases.get(role, role)))
    dtypes = _computing(model)
    return tuple(
        Label(*named.get(i, _from_path(model, v.path)), v.path, tuple(v.shape), dtypes.get(i, ""), is_seed(v))
        for i, v in enumerate(variables_of(model))
    )


def _from_path(model: keras.Model, path: str) -> tuple[str, str]:
    """Read the layer from Keras's variable path, ``"block/dense/kernel"``."""
    layer, _, role = path.rpartition("/")
    inside = layer.split("/")[0] == model.name or not layer
    return layer if inside else f"{model.name}/{layer}", role


def _computing(model: keras.Model) -> dict[int, str]:
    """Map the index of each weight to the compute dtype of the layer that holds it."""
    index_of = {id(variable): index for index, variable in enumerate(variables_of(model))}
    return {
        index_of[id(variable)]: str(layer.compute_dtype)
        for layer in reversed(layers_within(model, itself=True))
        for variable in weights_held(layer)
        if id(variable) in index_of
    }


def unmapped(
    check: str, variables: VariableMap, reference: Sequence[Label], candidate: Sequence[Label]
) -> CheckResult | None:
    """Return INCONCLUSIVE where some weights have no partner, so that no values are common; else ``None``.

    Args:
        check: name of the check on whose behalf.
        variables: how the variables correspond.
        reference: labels of the reference's variables.
        candidate: labels of the candidate's.
    """
    if variables.complete:
        return None

    def paths(labels: Sequence[Label], indices: Sequence[int]) -> list[str]:
        return [f"{labels[index].path} {labels[index].shape}" for index in indices]

    ours = paths(reference, variables.unmapped_reference)
    theirs = paths(candidate, variables.unmapped_candidate)
    message = (
        "not compared: the twins cannot be given the same weights, because some have no partner. "
        f"Only in the reference: {', '.join(ours) or 'none'}. "
        f"Only in the candidate: {', '.join(theirs) or 'none'}. "
        "See the weights check."
    )
    finding = Finding.difference(check, "weights", message, values=(ours, theirs))
    return CheckResult(check, Verdict.INCONCLUSIVE, None, (finding,))
