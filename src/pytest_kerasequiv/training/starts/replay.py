"""Redrawing the start of a model under another seed without building it again.

Keras's layers draw whole numbers from Python's generator when they are made, and nothing else: seeds of
initialisers
and of dropout. One build is recorded: which draw went into which variable. If after the build the generators
of Python,
NumPy and TensorFlow stand where so many draws put them, another seed's values follow from another seed's
draws.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.keras_access.initialising import initializers_noted
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.keras_access.private_modules import global_state, seed_generator
from pytest_kerasequiv.keras_access.random_state import eager_generator
from pytest_kerasequiv.weights.variables import values_of, variables_of


@dataclass(frozen=True, eq=False)
class Recipe:
    """How one variable's start follows from the draws.

    Attributes:
        draw: position of the draw that it depends on; ``None`` where it is the same under every seed.
        initializer: makes the value from the draw; ``None`` for the state of a seed generator.
        value: its value under the recorded seed.
    """

    draw: int | None
    initializer: Any
    value: NDArray[np.generic]


class Replay:
    """Makes the start under any seed from one recorded build."""

    def __init__(self, recipes: list[Recipe], draws: int) -> None:
        self.recipes = recipes
        self._draws = draws

    def values(self) -> list[NDArray[np.generic]]:
        """Draw as the build would under the random state in force, and return the values of all variables."""
        drawn = [_draw() for _ in range(self._draws)]
        return [_redrawn(recipe, drawn) for recipe in self.recipes]


def recorded_build(source: Source, seed: int) -> tuple[keras.Model, Replay | None]:
    """Build a model under the random state that ``set_random_seed(seed)`` has just set, and record how.

    Returns:
        The model, and how to redraw it: ``None`` where its start rests on more than the draws of Keras's
        layers.
    """
    legacy = str(np.random.get_state())  # noqa: NPY002 - what a builder could have used
    eager = _tensorflow_state()
    with initializers_noted() as initializers, _draws_noted() as drawn:
        model = source.build()
    if (legacy, eager) != (str(np.random.get_state()), _tensorflow_state()):  # noqa: NPY002
        return model, None
    return model, _replay(model, drawn, initializers) if _are_all_draws(seed, drawn) else None


def _replay(model: keras.Model, drawn: list[int], initializers: dict[int, Any]) -> Replay | None:
    place = {number: index for index, number in enumerate(drawn)}
    recipes = []
    for variable, value in zip(variables_of(model), values_of(model), strict=True):
        recipe = _recipe(initializers.get(id(variable)), value, place)
        if recipe is None or (_redrawn(recipe, drawn) != value).any():
            return None
        recipes.append(recipe)
    return Replay(recipes, len(drawn))


def _recipe(initializer: Any, value: NDArray[np.generic], place: dict[int, int]) -> Recipe | None:
    if initializer is None or not is_keras(initializer):
        return None
    seed = getattr(initializer, "seed", None)
    if isinstance(seed, int) and seed in place:
        return Recipe(place[seed], initializer, value)
    if value.shape == (2,) and value.dtype.kind in "iu" and int(value[0]) in place:
        return Recipe(place[int(value[0])], None, value)
    return Recipe(None, initializer, value) if seed is None or isinstance(seed, int) else None


def _redrawn(recipe: Recipe, drawn: list[int]) -> NDArray[np.generic]:
    if recipe.draw is None:
        return recipe.value
    if recipe.initializer is None:
        return np.array([drawn[recipe.draw], 0], dtype=recipe.value.dtype)
    initializer = copy.copy(recipe.initializer)
    initializer.seed = drawn[recipe.draw]
    value: NDArray[np.generic] = initializer(recipe.value.shape, dtype=str(recipe.value.dtype)).numpy()
    return value


def _draw() -> int:
    """Draw as ``keras.src.random.seed_generator.make_default_seed`` does."""
    return random.randint(1, int(1e9))


def _are_all_draws(seed: int, drawn: list[int]) -> bool:
    """Tell whether these draws, and nothing else, lead from ``random.seed(seed)`` to the present state."""
    now = random.getstate()
    random.seed(seed)
    try:
        repeated = [_draw() for _ in drawn]
        return repeated == drawn and random.getstate() == now and len(set(drawn)) == len(drawn)
    finally:
        random.setstate(now)


class _Noting:
    """Python's ``random`` for the module of Keras that draws seeds."""

    def __init__(self, drawn: list[int]) -> None:
        self._drawn = drawn

    def randint(self, low: int, high: int) -> int:
        """Draw, and note it."""
        self._drawn.append(random.randint(low, high))
        return self._drawn[-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(random, name)


@contextmanager
def _draws_noted() -> Iterator[list[int]]:
    """Note each seed that Keras draws while models are built: what a builder draws itself is told apart."""
    drawn: list[int] = []
    original = seed_generator.python_random
    seed_generator.python_random = _Noting(drawn)
    try:
        yield drawn
    finally:
        seed_generator.python_random = original


def _tensorflow_state() -> Any:
    rng = eager_generator()
    generator = global_state.get_global_attribute("global_seed_generator")
    return None if rng is None else rng.getstate(), generator is None
