"""What a recording holds, as plain data, and as the parts of its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.specs import Spec, flat_specs
from pytest_kerasequiv.checks.gradients import GradientsObservation
from pytest_kerasequiv.checks.graph import GraphObservation
from pytest_kerasequiv.checks.numeric.surface_runs import EntriesPlan
from pytest_kerasequiv.checks.outputs import OutputsObservation
from pytest_kerasequiv.checks.updates import UpdatesObservation
from pytest_kerasequiv.checks.weights import StartObservation
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.layers.bytecode import learn, steps_within
from pytest_kerasequiv.layers.summary_rows import Summary
from pytest_kerasequiv.plain_data import conforms, from_data, to_data
from pytest_kerasequiv.program import json_form
from pytest_kerasequiv.program.nodes import Program
from pytest_kerasequiv.recording.archive import Archive, Part
from pytest_kerasequiv.recording.culprits import LayerOutputs
from pytest_kerasequiv.recording.held_values import Held
from pytest_kerasequiv.recording.plan_forms import KeptPlan
from pytest_kerasequiv.surface.entries import Given
from pytest_kerasequiv.surface.probes import Survey
from pytest_kerasequiv.training.runs import Runs

OBSERVED: Mapping[str, type] = {
    "summary": Summary,
    "graph": GraphObservation,
    "program": Program,
    "weights": StartObservation,
    "outputs": OutputsObservation,
    "gradients": GradientsObservation,
    "updates": UpdatesObservation,
    "training": Runs,
}
"""What each check observes, of those that are recorded."""

_ALSO = (Spec, EntriesPlan, Given)


@dataclass(frozen=True)
class Structure:
    """What is known of a model beside what the checks observe.

    Attributes:
        label: how a reader knows it.
        specs: what inputs it takes, as `building.specs` has them; ``None`` where it does not tell.
        survey: what generated inputs it takes; ``None`` where there are none.
        variables: its variables, and what is kept of their values.
        moved: which elements of each another seed moves, where only a second build tells.
        ways: in which ways of its own it can be called.
        seed: seed of probes, targets and generic weights.
        inputs: digests of the user's own inputs.
        missing: name of a check -> why nothing could be recorded for it.
        data: fingerprint of what it was trained on, and how; empty where it was not.
    """

    label: str
    specs: Any
    survey: Survey | None
    variables: tuple[Held, ...]
    moved: tuple[NDArray[np.bool_], ...] | None
    ways: tuple[str, ...]
    seed: int
    inputs: tuple[str, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a check observed of a model.

    Attributes:
        observation: what it observed; of large tensors samples and projections.
        plans: what it was observed on; ``None`` or a seed where nothing is drawn.
        shapes: the shapes of the large tensors, by where they are.
        left: what the check can ask besides, in words, and was not recorded.
    """

    observation: Any
    plans: tuple[KeptPlan | int | None, ...] = (None,)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    left: str = ""


@dataclass(frozen=True)
class Content:
    """A recording.

    Attributes:
        made: versions and platform that it was made under.
        structure: what is known of the model.
        answers: name of a check -> what it observed.
        layers: what the layers returned for the first batch of ``outputs``; ``None`` where there is none.
    """

    made: Mapping[str, Any]
    structure: Structure
    answers: Mapping[str, Answer]
    layers: LayerOutputs | None = None


def to_archive(content: Content) -> Archive:
    """Return the parts of a recording's file."""
    parts = {"structure": Part(*to_data(content.structure))}
    if content.layers is not None:
        parts["layers"] = Part(*to_data(content.layers))
    for name, answer in content.answers.items():
        observation = answer.observation
        if isinstance(observation, Program):
            answer = replace(answer, observation=None)  # noqa: PLW2901
            parts["operations"] = Part(json_form.to_data(observation))
        parts[name] = Part(*to_data(answer))
    code = steps_within(json.dumps([part.data for part in parts.values()]))
    if code:
        parts["code"] = Part({digest: [list(step) for step in steps] for digest, steps in code.items()})
    return Archive(content.made, parts)


def from_archive(archive: Archive, path: Path) -> Content:
    """Return the recording of a file's parts.

    Raises:
        InputError: the parts are those of no recording.
    """
    try:
        parts = dict(archive.parts)
        learn(parts.pop("code", Part({})).data)
        operations = parts.pop("operations", None)
        structure = _read(parts.pop("structure"), Structure)
        if not all(isinstance(one, Spec) for one in flat_specs(structure.specs or ())):
            raise ValueError("inputs are no inputs")
        layers = parts.pop("layers", None)
        outputs = None if layers is None else _read(layers, LayerOutputs)
        answers = {name: _answer(part, OBSERVED[name]) for name, part in parts.items()}
        if operations is not None:
            program = json_form.from_data(operations.data)
            if not conforms(program, Program):
                raise ValueError("the program is none")
            answers["program"] = replace(answers["program"], observation=program)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InputError(
            f"the recording {str(path)!r} cannot be read: its content is of another form "
            f"({type(error).__name__}: {error!s:.200}); record it again"
        ) from None
    return Content(archive.made, structure, answers, outputs)


def _answer(part: Part, observed: type) -> Answer:
    answer: Answer = _read(part, Answer, observed)
    if not conforms(answer.observation, None if observed is Program else observed):
        raise ValueError(f"no {observed.__name__}")
    return answer


def _read(part: Part, expected: type, *also: type) -> Any:
    return from_data(part.data, part.arrays, expected, (*_ALSO, *also))
