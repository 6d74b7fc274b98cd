"""Plans as plain data: what was drawn from a seed is drawn again, and its digest compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.recording.held_values import digest_of
from pytest_kerasequiv.recording.leaves import Path, with_leaves
from pytest_kerasequiv.running.input_layout import InputSpec
from pytest_kerasequiv.surface.probes import Probe, Survey, probes_for, training_batch

Array = NDArray[Any]

SMALL = 64
"""Elements up to which an array is kept as it is."""

BATCHES = 16
"""How many seeds from that of the comparison on batches are drawn from."""


@dataclass(frozen=True)
class Origin:
    """Where an array of a plan comes from.

    Attributes:
        digest: of the array.
        probe: name of the generated probe that it is an input of.
        seed: seed of the training batch that it is an input of.
        rows: how many rows that batch has, or how many of the user's inputs.
        shapes: shapes of the inputs of that batch.
        given: it is one of the user's inputs.
        position: which input it is.
        whole: the array itself, where nothing above tells.
    """

    digest: str
    probe: str | None = None
    seed: int | None = None
    rows: int = 0
    shapes: tuple[tuple[int, ...], ...] = ()
    given: bool = False
    position: int = 0
    whole: Array | None = None


@dataclass(frozen=True)
class KeptPlan:
    """A plan without its arrays, and where each of them comes from."""

    plan: Plan
    origins: tuple[Origin, ...]


class Draws:
    """The arrays that plans are made of, drawn when they are first asked for.

    Args:
        survey: what the model takes; ``None`` where nothing can be drawn.
        seed: seed of the comparison.
        inputs: the user's own inputs, flattened; none where there are none.
    """

    def __init__(self, survey: Survey | None, seed: int, inputs: Sequence[Array]) -> None:
        self._survey = survey
        self._seed = seed
        self._inputs = inputs
        self._batches: dict[Any, Sequence[Array]] = {}

    def origin(self, array: Array, beside: Sequence[Array]) -> Origin:
        """Return where an array comes from; ``beside``: all arrays of its probe."""
        digest = digest_of(array)
        for origin in self._possible(array, beside, digest) if array.size > SMALL else ():
            if digest_of(self.array(origin)) == digest:
                return origin
        return Origin(digest, whole=array)

    def array(self, origin: Origin) -> Array:
        """Return the array of an origin, drawn again."""
        if origin.whole is not None:
            return origin.whole
        found = self._batch(origin)
        if origin.position >= len(found):
            return np.zeros(0)
        return found[origin.position][: origin.rows] if origin.given else found[origin.position]

    def _possible(self, array: Array, beside: Sequence[Array], digest: str) -> list[Origin]:
        places = [place for place, one in enumerate(beside) if one is array]
        given = [
            Origin(digest, rows=len(array), given=True, position=place) for place in range(len(self._inputs))
        ]
        if self._survey is None:
            return given
        count = len(self._survey.layout.specs)
        shapes = tuple(one.shape for one in beside[:count])
        names = [probe.name for probe in self._probes]
        drawn = [Origin(digest, probe=name, position=place) for name in names for place in places]
        drawn += [
            Origin(digest, seed=self._seed + k, rows=len(array), shapes=shapes, position=place)
            for k in range(BATCHES)
            for place in (*places, 0)
            if len(shapes) == count
        ]
        return given + drawn

    def _batch(self, origin: Origin) -> Sequence[Array]:
        if origin.given:
            return self._inputs
        if self._survey is None:
            return ()
        if origin.probe is not None:
            return next((probe.inputs for probe in self._probes if probe.name == origin.probe), ())
        return self._training(self._survey, origin)

    @cached_property
    def _probes(self) -> Sequence[Probe]:
        return () if self._survey is None else probes_for(self._survey, self._seed)

    def _training(self, survey: Survey, origin: Origin) -> Sequence[Array]:
        key = origin.seed, origin.rows, origin.shapes
        if key not in self._batches:
            both = zip(survey.layout.specs, origin.shapes, strict=True)
            specs = tuple(
                InputSpec(spec.name, (spec.shape[0], *shape[1:]), spec.dtype) for spec, shape in both
            )
            sized = replace(survey, layout=replace(survey.layout, specs=specs))
            self._batches[key] = training_batch(sized, origin.seed or 0, size=origin.rows).inputs
        return self._batches[key]


def kept(plan: Plan, draws: Draws) -> KeptPlan:
    """Return a plan as plain data."""
    origins: list[Origin] = []
    groups = {id(array): probe.inputs for probe in plan.probes for array in probe.inputs}

    def note(_: Path, array: Array) -> Array:
        origins.append(draws.origin(array, groups.get(id(array), (array,))))
        return np.zeros(0, np.int8)

    return KeptPlan(with_leaves(plan.kept(), note), tuple(origins))


def planned(kept_plan: KeptPlan, draws: Draws, where: str) -> Plan:
    """Return the plan of its plain data.

    Args:
        kept_plan: the plain data.
        draws: what its arrays are drawn from.
        where: the recording, for messages.

    Raises:
        InputError: an array comes out otherwise than it was recorded.
    """
    origins = iter(kept_plan.origins)

    def fill(_: Path, __: Array) -> Array:
        origin = next(origins)
        array = draws.array(origin)
        if digest_of(array) != origin.digest:
            raise InputError(_otherwise(origin, where))
        return array

    plan: Plan = with_leaves(kept_plan.plan, fill)
    return plan


def _otherwise(origin: Origin, where: str) -> str:
    if origin.given:
        return (
            f"the recording {where!r} was made with other inputs= than are given now; pass those it was "
            "recorded with, or record it again"
        )
    return (
        f"the recording {where!r} was made on batches that are drawn otherwise here, by another version of "
        "NumPy or pytest-kerasequiv; record it again"
    )
