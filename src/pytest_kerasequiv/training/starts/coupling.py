"""One start for both twins where one seed gives them two: the reference's, carried to the candidate.

``Dense(1)(Dense(8)(x))`` makes its outer layer first, so that it draws other seeds than the same layers in
a ``Sequential``. Each twin starts from the right distribution, but not from the same weights, and pairing
runs by seed gains nothing. Where both starts are known to be draws of the same initialisers, the candidate
takes the reference's: its runs keep their distribution, and luck no longer hides a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.building.twins import BUILD_SEED, Twins
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.starts.drawing import Start, Starts
from pytest_kerasequiv.training.starts.replay import Recipe, Replay, recorded_build
from pytest_kerasequiv.training.starts.reuse import training_state
from pytest_kerasequiv.weights.variables import assign, values_of


@dataclass(frozen=True)
class Coupling:
    """The candidate starts where the reference starts.

    Attributes:
        reference: makes fresh references.
        candidate: makes fresh candidates, each at the start of a reference made under the same random state.
        variable_map: carries the values.
    """

    reference: Source
    candidate: Source
    variable_map: VariableMap

    def starts(self, plan: Training) -> Starts:
        """Return where the candidate starts under each seed."""
        return _CoupledStarts(self, plan)


def coupling(twins: Twins, variable_map: Callable[[], VariableMap]) -> Coupling | None:
    """Return how to give the candidate the reference's starts, ``None`` where it has them or must not.

    It must not where a start is more than draws of initialisers (weights that a builder loads), where the
    initialisers of a pair of variables differ, or where a variable of the candidate has no partner.

    Args:
        twins: the pair.
        variable_map: returns how their variables correspond; called only where the starts differ.
    """
    sources = twins.reference_source, twins.candidate_source
    if twins.weights == "own" or any(source.kind != "builder" for source in sources):
        return None
    given = values_of(twins.reference), values_of(twins.candidate)
    if _equal(*given):
        return None
    mapped = variable_map()
    if not mapped.complete or not mapped.certain or mapped.unmapped_candidate:
        return None
    if _equal(mapped.carry(*given), given[1]) or not _same_draws(*sources, mapped):
        return None
    reference, candidate = sources
    carried = replace(candidate, make=_Carried(reference, candidate, mapped), compile=None)
    return Coupling(reference, carried, mapped)


@dataclass(frozen=True)
class _Carried:
    """Makes a candidate with the values of a reference made under the same random state."""

    reference: Source
    candidate: Source
    variable_map: VariableMap

    def __call__(self, *, as_given: bool) -> keras.Model:  # noqa: ARG002 - both come from builders
        """Return the candidate; the random state afterwards is that after making the reference."""
        with preserved_state():
            twin = self.candidate.build()
        start = values_of(self.reference.build())
        assign(twin, self.variable_map.carry(start, values_of(twin)))
        return twin


class _CoupledStarts(Starts):
    """The reference's starts, carried to the candidate."""

    def __init__(self, coupled: Coupling, plan: Training) -> None:
        super().__init__(coupled.candidate, plan)
        self._reference = Starts(coupled.reference, plan)
        self._map = coupled.variable_map

    def _find(self, seed: int) -> Start:
        if self._first is None:
            self._first = self._built(seed)
            return self._first
        theirs = self._reference.take(seed)
        values = self._map.carry(theirs.values, self._first.values)
        return replace(self._first, values=values, orders=theirs.orders)


def _equal(ours: Sequence[NDArray[np.generic]], theirs: Sequence[NDArray[np.generic]]) -> bool:
    return len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))


def _same_draws(reference: Source, candidate: Source, variable_map: VariableMap) -> bool:
    """Tell whether both starts are draws, mapped variables of the same initialiser, and shared alike.

    Two variables that follow from one draw, as where layers share an initialiser, are not independent: the
    variables that they are mapped to must share one too.
    """
    ours, theirs = _recorded(reference), _recorded(candidate)
    if ours is None or theirs is None:
        return False
    pairs = [(ours.recipes[index], theirs.recipes[other]) for index, other in variable_map.pairs]
    draws = {(one.draw, other.draw) for one, other in pairs if one.draw is not None}
    one_to_one = all(len({pair[side] for pair in draws}) == len(draws) for side in (0, 1))
    return one_to_one and all(_alike(one, other) for one, other in pairs)


def _recorded(source: Source) -> Replay | None:
    with training_state(BUILD_SEED):
        return recorded_build(source, BUILD_SEED)[1]


def _alike(first: Recipe, second: Recipe) -> bool:
    if (first.draw is None) != (second.draw is None):
        return False
    if first.draw is None:
        return _equal([first.value.reshape(second.value.shape)], [second.value])
    return bool(_settings(first.initializer) == _settings(second.initializer))


def _settings(initializer: Any) -> Any:
    """Return class and settings of an initialiser without its seed; ``None`` for a seed generator's state."""
    if initializer is None:
        return None
    config = initializer.get_config()
    return type(initializer), {key: value for key, value in config.items() if key != "seed"}
