"""Observing one model and keeping it in a file: the reference of later comparisons."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv import arguments
from pytest_kerasequiv.building.sources import RECORDING
from pytest_kerasequiv.building.specs import input_specs
from pytest_kerasequiv.building.starts import Start, moved, starts_of
from pytest_kerasequiv.building.twins import OneSide
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.numeric.laws import DrawsPlan
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.views import survey_for, view_of
from pytest_kerasequiv.checks.pair import Pair, Twin
from pytest_kerasequiv.checks.registry import Check, completed, named
from pytest_kerasequiv.checks.weights import StartObservation
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.exclusive import EXCLUSIVE, refuse_context
from pytest_kerasequiv.keras_access.supported import require_tensorflow
from pytest_kerasequiv.recording import training_runs
from pytest_kerasequiv.recording.archive import read, write
from pytest_kerasequiv.recording.called_ways import called_ways
from pytest_kerasequiv.recording.content import OBSERVED, Answer, Content, Structure, from_archive, to_archive
from pytest_kerasequiv.recording.culprits import LayerOutputs, layer_outputs
from pytest_kerasequiv.recording.held_values import Held, NotKept, digest_of, generic_weights, held_variables
from pytest_kerasequiv.recording.plan_forms import Draws, KeptPlan, kept
from pytest_kerasequiv.recording.provenance import made_under
from pytest_kerasequiv.recording.sketching import reduced
from pytest_kerasequiv.running.input_layout import checked_inputs, input_layout
from pytest_kerasequiv.surface.probes import Survey
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.verdict import Kind

Array = NDArray[Any]

ROUNDING = 1e-4
"""What was observed is written anew only where it changed by more, relative to the largest of a tensor."""


class ReferencePair(Pair):
    """A reference alone, observed under generic weights that whoever reads the recording can make again."""

    generic = True

    @cached_property
    def held(self) -> tuple[Held, ...]:
        """What is kept of its variables."""
        starts = starts_of(self.reference) or ()
        drawn = [place for place, start in enumerate(starts) if start.origin in {"drawn", "seeded"}]
        return held_variables(self.reference, drawn)

    @cached_property
    def common_values(self) -> list[NDArray[np.generic]]:
        """Generic weights."""
        return generic_weights(self.held, self.seed)


def record(
    reference: Any,
    path: str | os.PathLike[str],
    *,
    training: Training | None = None,
    inputs: Any = None,
    seed: int = 0,
    **twins: Any,
) -> Path:
    """Observe one model and keep what it is and does in a file, the reference of later comparisons.

    The file holds its structure, its traced program and what each check observes: of large tensors samples
    and projections, under weights that are drawn anew from a seed; no weights. It is written only where
    something other than rounding has changed since it was last written.

    Args:
        reference: a builder, a ``keras.Model``, a model file or ``"package.module:builder"``.
        path: the file, ``"forecaster.kerasequiv"``; its folder is made.
        training: the plan of repeated training; its runs are recorded too.
        inputs: the user's own inputs, as ``Model.predict`` takes them; generated probes are added. Only their
            digest is recorded: comparisons are given them again.
        seed: seed of probes, targets and generic weights.
        twins: ``input_shape``, ``compile``, ``batch`` and ``name``, as `Twins` takes them.

    Returns:
        The path.

    Raises:
        InputError: an argument cannot be used, or the file cannot be written.
    """
    __tracebackhide__ = True
    file = checked_path(path)
    content = observed(reference, training=training, inputs=inputs, seed=seed, **twins)
    if not is_written(file, content):
        write(file, to_archive(content))
    return file


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a recording.

    Raises:
        InputError: it is none.
    """
    if not isinstance(path, str | os.PathLike) or Path(path).suffix != RECORDING:
        raise InputError(f"path={path!r} is no name of a recording; let it end in {RECORDING!r}")
    return Path(path)


def is_written(file: Path, content: Content) -> bool:
    """Tell whether a file holds this content already, up to rounding."""
    if not file.exists():
        return False
    try:
        known = read(file)
    except InputError:  # what cannot be read is written anew
        return False
    new = to_archive(content)
    return known.parts.keys() == new.parts.keys() and all(
        _near(known.parts[name].data, part.data) and _near(known.parts[name].arrays, part.arrays)
        for name, part in new.parts.items()
    )


def with_runs_of(file: Path, content: Content) -> Content:
    """Return a recording with the runs of training that a file holds, where all else in both is the same.

    What is recorded without a plan of training does not take away runs that were recorded with one.
    """
    if "training" in content.answers or not file.exists():
        return content
    try:
        known = from_archive(read(file), file)
    except InputError:  # what cannot be read is written anew
        return content
    if "training" not in known.answers:
        return content
    without = {name: why for name, why in content.structure.missing.items() if name != "training"}
    structure = replace(content.structure, data=known.structure.data, missing=without)
    joined = replace(
        content, structure=structure, answers={**content.answers, "training": known.answers["training"]}
    )
    return joined if is_written(file, joined) else content


def _near(known: Any, new: Any) -> bool:
    """Tell whether JSON-able data and arrays are the same but for rounding."""
    if isinstance(new, np.ndarray):
        return _alike(known, new)
    if type(known) is not type(new):
        return False
    if isinstance(new, dict):
        return known.keys() == new.keys() and all(_near(known[key], new[key]) for key in new)
    if isinstance(new, list):
        return len(known) == len(new) and all(map(_near, known, new))
    if isinstance(new, float):
        return math.isclose(known, new, rel_tol=ROUNDING, abs_tol=ROUNDING**2)
    return bool(known == new)


def _alike(known: Array, new: Array) -> bool:
    if known.shape != new.shape or known.dtype != new.dtype or new.dtype.kind not in "fc":
        return np.array_equal(known, new)
    scale = float(np.abs(new[np.isfinite(new)]).max(initial=0.0))
    return np.allclose(known, new, rtol=ROUNDING, atol=ROUNDING * scale, equal_nan=True)


def observed(
    reference: Any, *, training: Training | None = None, inputs: Any = None, seed: int = 0, **twins: Any
) -> Content:
    """Observe one model; arguments and exceptions are those of `record`."""
    __tracebackhide__ = True
    refuse_context()
    require_tensorflow("a recording")
    arguments.training(training, Training)
    pair = ReferencePair(OneSide(reference, **twins), seed=seed, inputs=inputs)
    with EXCLUSIVE:
        _ = pair.reference_program
        return Content(made_under(), *_observed(pair, training), _layers(pair.reference_twin))


def _observed(pair: ReferencePair, training: Training | None) -> tuple[Structure, dict[str, Answer]]:
    twin = pair.reference_twin
    flat = [] if pair.inputs is None else checked_inputs(pair.inputs, input_layout(pair.reference))
    survey = _survey(twin)
    draws = Draws(survey, pair.seed, flat)
    answers, missing = {}, {}
    for check in LADDER:
        if check.name in OBSERVED and check.kind is not Kind.STATISTICAL:
            try:
                answers[check.name] = _answer(check, twin, draws)
            except NotKept as why:
                missing[check.name] = str(why)
    if training is None:
        missing["training"] = "no runs were recorded, as no training= was given when it was"
    else:
        answers["training"] = Answer(training_runs.trained(twin, training), ())
    start: StartObservation = answers["weights"].observation
    answers["weights"] = replace(answers["weights"], observation=_without_values(start))
    structure = Structure(
        label=pair.twins.reference_label,
        specs=input_specs(pair.reference),
        survey=survey,
        variables=pair.held,
        moved=_moved(start),
        ways=called_ways(pair.reference),
        seed=pair.seed,
        inputs=tuple(map(digest_of, flat)),
        missing=missing,
        data={} if training is None else training_runs.facts_of_plan(training),
    )
    return structure, answers


def _survey(twin: Twin) -> Survey | None:
    try:
        return survey_for(twin, None)
    except NotKept:
        return None


def _answer(check: Check, twin: Twin, draws: Draws) -> Answer:
    plans: list[KeptPlan | int | None] = []
    observation, left = None, ""
    for plan in _plans(check, twin):
        if isinstance(plan, DrawsPlan):
            left = "passes under other seeds, which tell draws apart that do not correspond"
            continue
        observation = completed(observation, check.observe(twin, plan))
        plans.append(kept(plan, draws) if isinstance(plan, Plan) else plan)
    small, shapes = reduced(observation) if check.kind is Kind.NUMERIC else (observation, {})
    return Answer(small, tuple(plans), shapes, left)


def _layers(twin: Twin) -> LayerOutputs | None:
    """Return what the layers return for the first batch of ``outputs``, if there is one that they take."""
    try:
        first = next(_plans(LADDER["outputs"], twin))
        return layer_outputs(view_of(twin), first.probes[0]) if first.probes else None
    except Exception:  # it only explains: whatever a layer raises, the checks have told
        return None


def _plans(check: Check, twin: Twin) -> Iterator[Any]:
    settings = twin.pair.settings
    return check.plan(twin, None, **named(check.plan, settings))


def _without_values(start: StartObservation) -> StartObservation:
    """Return what a model starts from without the values, which are kept in their own form."""
    assert start.variables is not None
    starts = start.variables.starts
    plain = None if starts is None else tuple(_without_base(one) for one in starts)
    return StartObservation(replace(start.variables, values=(), starts=plain))


def _without_base(start: Start) -> Start:
    return replace(start, base=None)


def _moved(start: StartObservation) -> tuple[NDArray[np.bool_], ...] | None:
    """Return which elements another seed moves: one answer where it is the same for all of a variable."""
    assert start.variables is not None
    found = None if start.again is None else moved(start.variables.values, start.again)
    if found is None:
        return None
    return tuple(one if one.any() and not one.all() else np.array(bool(one.any())) for one in found)
