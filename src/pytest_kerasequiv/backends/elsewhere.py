"""What a process of another backend tells of a model, and what it is asked, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.specs import Specs
from pytest_kerasequiv.checks.graph import GraphObservation
from pytest_kerasequiv.checks.weights import StartObservation
from pytest_kerasequiv.correspondence.known import Known
from pytest_kerasequiv.layers.summary_rows import Summary
from pytest_kerasequiv.program.nodes import OwnCode, Program

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Model:
    """A model for the process to make: what stands for `OneSide` and its arguments.

    Attributes:
        given: a builder, a model, the path of a model file or an import string.
        options: ``input_shape``, ``compile`` and ``batch``, as `Twins` takes them.
        specs: inputs to build it for where it does not know its own.
    """

    given: Any
    options: Mapping[str, Any]
    specs: Specs | None


@dataclass(frozen=True)
class Structure:
    """What is known of a model before it is run.

    Attributes:
        summary: the rows of its summary.
        graph: its layer graph, or why it has none.
        start: what it starts from.
        again: the values of another build under another seed; none where one build tells all.
        known: its variables.
        specs: what inputs it takes; ``None`` where it does not tell.
        outputs: how many outputs it has, likewise.
        program: says why it was not traced.
        code: code of the user's in it.
        settings: its compile settings; ``None`` where it is not compiled.
        versions: name of a library -> version that it runs on.
    """

    summary: Summary
    graph: GraphObservation
    start: StartObservation
    again: StartObservation
    known: tuple[Known, ...]
    specs: Specs | None
    outputs: int | None
    program: Program
    code: tuple[OwnCode, ...]
    settings: Mapping[str, Any] | None
    versions: Mapping[str, str]
