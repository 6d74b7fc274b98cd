"""Running what of a model's surface is no plain inference or training: each such entry once, on one batch.

An entry is run as `pytest_kerasequiv.program` traces it, so that both look at the same.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.building.batches import given_batch
from pytest_kerasequiv.building.specs import Spec
from pytest_kerasequiv.checks.numeric.observing import REPEATED, REPEATS, Observation, Start, alike, observed
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.views import TwinView, hints_for, view_of
from pytest_kerasequiv.checks.pair import Correspondence, Twin
from pytest_kerasequiv.errors import said
from pytest_kerasequiv.keras_access.constants import constants_changed
from pytest_kerasequiv.program import Program
from pytest_kerasequiv.program.assembling import Traced
from pytest_kerasequiv.program.nodes import RESULT
from pytest_kerasequiv.program.tracing import trace_entry
from pytest_kerasequiv.program.tracing_functions import places
from pytest_kerasequiv.running.input_layout import InputSpec
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.running.sketch import sketch
from pytest_kerasequiv.surface.entries import Entry, Kind, can_be_kept, entries_of
from pytest_kerasequiv.surface.lengths import own_layers
from pytest_kerasequiv.surface.probes import Probe, Survey, training_batch
from pytest_kerasequiv.weights.variables import peek, variables_of

Array = NDArray[np.generic]

ROWS, MANY_ROWS, MOST_NUMBERS = 4, 128, 100_000
"""Samples in the batch that an entry is run on: many, where the twins part over a constant, so that what some
outputs alone reach is seen."""

LARGEST_KEPT = 4_096
"""Most elements of a variable that is kept whole."""


@dataclass(frozen=True)
class Case:
    """An entry, the shapes it is run at, and the names of the arrays that its probe holds, in their order."""

    entry: Entry
    shapes: Any
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EntriesPlan(Plan):
    """What the entries are run on: a probe for each of the cases."""

    cases: tuple[Case, ...] = ()


@dataclass(frozen=True)
class EntryRun:
    """What came of an entry.

    Attributes:
        results: what each result is -> its value.
        variables: index of each variable that it may change -> its new value.
        error: why it was refused.
        draws: whether it draws from Keras's seed generators.
    """

    results: Mapping[str, Array] = field(default_factory=dict)
    variables: Mapping[int, Array] = field(default_factory=dict)
    error: str | None = None
    draws: bool = False


@dataclass(frozen=True, kw_only=True)
class SurfaceObservation(Observation[tuple[EntryRun, ...]]):
    """What one model did in each entry; ``probes`` are their names, ``tentative`` those it may refuse.

    ``unsteady`` are those that give other results under another seed of TensorFlow.
    """

    tentative: tuple[bool, ...]
    unsteady: tuple[bool, ...]


def observe(view: TwinView, plan: EntriesPlan) -> SurfaceObservation:
    """Run one model in the entries of a plan; it is left as it was."""
    cases = plan.cases

    def run(runner: Runner, starts: Sequence[Start]) -> list[tuple[EntryRun, ...]]:
        with runner.holding():
            return [
                tuple(
                    _run(start.under(runner, probe), case, batch)
                    for case, probe, batch in zip(cases, plan.probes, start.batches, strict=True)
                )
                for start in starts
            ]

    tentative = tuple(case.entry.tentative for case in cases)
    found = observed(view, plan, run)
    unsteady = _unsteady(view, plan, found["computed"])
    return SurfaceObservation(**found, tentative=tentative, unsteady=unsteady)


def _unsteady(view: TwinView, plan: EntriesPlan, computed: Sequence[EntryRun]) -> tuple[bool, ...]:
    """Tell of each entry of a model that may draw outside Keras's generators whether it does not repeat."""
    moved = [False] * len(plan.cases)
    start = Start(view.values_for, [probe.inputs for probe in plan.probes])
    with view.runner().holding():
        for seed in range(1, 1 + (REPEATS if view.draws_outside else 0)):
            for k, (case, probe) in enumerate(zip(plan.cases, plan.probes, strict=True)):
                again = _run(start.under(view.runner(), probe), case, probe.inputs, seed)
                moved[k] |= not alike(_numbers(computed[k]), _numbers(again), REPEATED)
    return tuple(moved)


def _numbers(run: EntryRun) -> list[Array]:
    return [*run.results.values(), *run.variables.values()]


def entries_plan(
    reference: Twin, between: Correspondence | None, found: Survey | None, **settings: Any
) -> EntriesPlan:
    """Return what to run the entries on that are no plain inference or training.

    Args:
        reference: the reference.
        between: what corresponds; ``None`` where nothing is known of the candidate, so that the entries are
            those of the reference alone.
        found: what the twins take; ``None`` where no inputs can be drawn.
        settings: further fields of the plan.
    """
    if between is not None and between.proved:
        return EntriesPlan(why_none="the programs are the same, proved", **settings)
    entries = further_entries(reference, None if between is None else between.candidate)
    if found is None or not entries:
        return EntriesPlan(why_none="there are none", **settings)
    cases, probes = [], []
    runner = view_of(reference).runner()
    shares = hints_for(reference, between).shares
    with runner.holding():
        for entry in entries:
            drawn = _drawn_for(runner, entry, found, settings.get("seed", 0))
            if drawn is not None:
                case, probe = _with_targets(*drawn) if shares else drawn
                cases.append(case)
                probes.append(probe)
    return EntriesPlan(probes=tuple(probes), cases=tuple(cases), **settings)


def _drawn_for(runner: Runner, entry: Entry, found: Survey, seed: int) -> tuple[Case, Probe] | None:
    """Draw inputs of the first shapes that the reference takes, and its outputs; ``None`` where of none."""
    for shapes in entry.shapes:
        settled = _settled(shapes, found)
        given = _given(runner, entry, settled, found, seed)
        if given is not None:
            return Case(entry, settled, tuple(given)), Probe(entry.name, tuple(given.values()))
    return None


def _with_targets(case: Case, probe: Probe) -> tuple[Case, Probe]:
    """Add targets of shares of classes, those of every second sample of a single class."""
    rng = np.random.default_rng(zlib.crc32(case.entry.name.encode()))
    outputs = [
        array for name, array in zip(case.names, probe.inputs, strict=True) if name.startswith("Output ")
    ]
    targets = {}
    for place, output in enumerate(outputs):
        if output.ndim > 1 and output.shape[-1] > 1:
            drawn = rng.dirichlet(np.ones(output.shape[-1]), output.shape[:-1])
            drawn[::2] = np.eye(output.shape[-1])[drawn[::2].argmax(-1)]
            targets[f"Target {place}"] = drawn.astype(np.float32)
    named = replace(case, names=(*case.names, *targets))
    return named, replace(probe, inputs=(*probe.inputs, *targets.values()))


def _settled(shapes: Any, found: Survey) -> Any:
    """Settle the axes that are left open as the survey has them."""
    known = iter(found.layout.specs)

    def settle(spec: Spec | None) -> Spec | None:
        sized = next(known)
        if spec is None:
            return None
        axes = zip(spec.shape, sized.shape, strict=True)
        return replace(spec, shape=tuple(size if own is None else own for own, size in axes))

    flat = [settle(spec) for spec in keras.tree.flatten(shapes)]
    return keras.tree.pack_sequence_as(shapes, flat)


def _rows(found: Survey) -> int:
    numbers = sum(math.prod(size or 1 for size in spec.shape[1:]) for spec in found.layout.specs)
    return max(ROWS, min(MANY_ROWS, MOST_NUMBERS // max(numbers, 1))) if found.near else ROWS


def _given(runner: Runner, entry: Entry, shapes: Any, found: Survey, seed: int) -> dict[str, Array] | None:
    """Draw the inputs of an entry; ``None`` where the reference takes no such shapes."""
    paths = places(shapes)
    specs = [
        None if spec is None else InputSpec(known.name, spec.shape, known.dtype)
        for spec, known in zip(keras.tree.flatten(shapes), found.layout.specs, strict=True)
    ]
    full = tuple(
        known if spec is None else spec for spec, known in zip(specs, found.layout.specs, strict=True)
    )
    sized = replace(found, layout=replace(found.layout, specs=full))
    drawn = training_batch(sized, seed, size=_rows(sized)).inputs
    given = {
        f"Input {path}": array
        for path, spec, array in zip(paths, specs, drawn, strict=True)
        if spec is not None
    }
    other = training_batch(sized, seed + 1, size=len(drawn[0])).inputs[0]
    given |= {f"Argument {name} 0": other for name, _ in entry.arguments}
    if None in specs:
        return given
    try:
        runner.reset_all()
        outputs = runner.infer(drawn).outputs
    except Exception:  # of other shapes the next may do
        return None
    named = zip(places(runner.sample), outputs, strict=True)
    return given | {f"Output {place}": output for place, output in named}


def _run(runner: Runner, case: Case, arrays: Sequence[Array], seed: int = 0) -> EntryRun:
    """Trace an entry and run it on the given arrays, from the given values."""
    given = dict(zip(case.names, arrays, strict=True)) | _own_batch(runner.model)
    changed = nullcontext() if runner.change is None else constants_changed(runner.change)
    try:
        runner.reset_all()
        tf.random.set_seed(seed)  # what is drawn outside Keras's generators is the same for all models
        with changed:
            traced = trace_entry(runner.model, case.entry, _of_width(case.shapes, wide=runner.wide))
        with _metrics_kept(runner.model):
            results = traced.function(*_arguments(traced, given))
        draws = any(map(runner.is_seed, runner.changed_state()))
        named = _reaching(_named(traced, results), given)
        return EntryRun(named, _variables(runner, case.entry), draws=draws)
    except Exception as error:  # what one side refuses is compared too
        return EntryRun(error=f"{type(error).__name__}: {said(error)}")


@contextmanager
def _metrics_kept(model: keras.Model) -> Iterator[None]:
    """Leave the state of a model's metrics as it was."""
    held = [(variable, peek(variable).copy()) for metric in model.metrics for variable in metric.variables]
    try:
        yield
    finally:
        for variable, value in held:
            variable.assign(value)


def _own_batch(model: keras.Model) -> dict[str, Array]:
    """Return the arrays of the user's batch for a training step, by the names that a trace gives them."""
    batch = given_batch(model)
    if batch is None:
        return {}
    both = zip(places(batch), keras.tree.flatten(batch), strict=True)
    return {f"Batch {place}": array for place, array in both}


def _of_width(shapes: Any, *, wide: bool) -> Any:
    """Return the shapes with floats in float64 where the model computes in that."""

    def widened(spec: Spec | None) -> Spec | None:
        return (
            replace(spec, dtype="float64")
            if spec is not None and "float" in (spec.dtype or "float")
            else spec
        )

    return keras.tree.map_structure(widened, shapes) if wide else shapes


def _arguments(traced: Traced, given: Mapping[str, Array]) -> Iterator[tf.Tensor]:
    """Yield what the function takes: what is given, and drawn for the rest, alike for all models."""
    outputs = [array for name, array in given.items() if name.startswith("Output ")]
    captured = len(traced.graph.captures)
    placeholders = traced.graph.inputs[: len(traced.graph.inputs) - captured]
    for name, placeholder in zip(traced.inputs, placeholders, strict=True):
        dtype = placeholder.dtype
        array = given.get(name)
        if array is None or (array.dtype.kind == "f") != dtype.is_floating:
            array = _drawn(name, placeholder, given, outputs)
        yield tf.cast(tf.constant(array), dtype) if array.dtype.kind in "biuf" else tf.constant(array)


def _drawn(name: str, placeholder: Any, given: Mapping[str, Array], outputs: Sequence[Array]) -> Array:
    """Draw a target (classes, or numbers with -1, 0 and 1 among them), sample weights, or a mask."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    group, _, place = name.rpartition(" ")
    first = next(iter(given.values()))
    like = outputs[int(place)] if group == "Target" else given.get(f"Output {place}", first)
    axes = zip(like.shape, placeholder.shape, strict=False)
    shape = tuple(size if fixed is None else fixed for size, fixed in axes)
    if group == "Weight":
        return np.linspace(0.0, 2.0, math.prod(shape)).reshape(shape)
    if placeholder.dtype.is_bool:
        return np.asarray(rng.random(shape) < 0.7)
    if placeholder.dtype.is_integer:
        return rng.integers(0, max(like.shape[-1], 2), shape)
    drawn = rng.random(shape)
    return np.where(drawn < 0.3, np.floor(10 * drawn) - 1, drawn)


def _named(traced: Traced, results: Sequence[Any]) -> dict[str, Array]:
    """Name the results; those of one name (losses that layers add) are summed, their order being free."""
    found: dict[str, Array] = {}
    for (label, variable), result in zip(traced.results, results, strict=True):
        array = np.asarray(result)
        name = label if variable is None else f"{label} {variable}"
        found[name] = np.asarray(found[name] + array) if name in found else array  # no scalar of NumPy's
    return found


def _reaching(results: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Array]:
    """Leave of the gradients of losses what reaches the model.

    Outputs that always sum to 1 cannot all rise: what raises them alike, as a loss does that divides by their
    sum, is nothing to the model.
    """
    for name, gradient in results.items():
        called, _, place = name.rpartition(" ")
        output = given.get(f"Output {place}")
        if called.endswith("gradient of output") and output is not None and _are_shares(output):
            weighted = output * gradient
            results[name] = weighted - output * weighted.sum(-1, keepdims=True)
    return results


def _are_shares(output: Any) -> bool:
    several = output.ndim > 1 and output.shape[-1] > 1 and output.dtype.kind == "f"
    return several and bool((output >= 0).all()) and bool(np.allclose(output.sum(-1), 1, atol=1e-2))


def _variables(runner: Runner, entry: Entry) -> dict[int, Array]:
    """Return what an entry left in the variables that it may change: a step in all, a call in its state."""
    return {
        index: sketch(peek(variable), LARGEST_KEPT)
        for index, variable in enumerate(variables_of(runner.model))
        if not runner.is_seed(index) and (entry.kind is Kind.STEP or not variable.trainable)
    }


def further_entries(reference: Twin, candidate: Twin | None) -> list[Entry]:
    """Return the entries of either model that are no plain inference or training, each once.

    Inference is among them where it adds losses, which only ``evaluate`` shows; the compiled loss and metrics
    where both are compiled; steps that train or test where both are or neither is.

    Args:
        reference: the reference.
        candidate: the candidate; ``None`` where nothing is known of it.
    """
    twins = (reference,) if candidate is None else (candidate, reference)
    models = [twin.model for twin in twins]
    compiled = [model.compiled for model in models]
    wanted = {
        Kind.TRAINING: False,
        Kind.INFERENCE: any(_adds_losses(twin.program) for twin in twins),
        Kind.COMPILED: all(compiled),
        Kind.CALL: True,
        Kind.STEP: True,
    }
    listed = (e for model in models for e in entries_of(model) if candidate is not None or can_be_kept(e))
    every = {e.name: e for e in listed if not _probed_anyway(e, models)}
    alike = len(set(compiled)) == 1  # a step of one that is not compiled is no step
    return [
        e for e in every.values() if wanted[e.kind] and (alike or e.method not in ("train_step", "test_step"))
    ]


def _adds_losses(program: Program) -> bool:
    return any(node.op == f"{RESULT}added loss in inference" for node in program.nodes)


def _probed_anyway(entry: Entry, models: Sequence[keras.Model]) -> bool:
    """Whether an entry settles free axes of models without own code: probes are of two sizes too."""
    settles = entry.kind is Kind.CALL and entry.tentative and not entry.arguments
    return settles and not any(own_layers(model) for model in models)
