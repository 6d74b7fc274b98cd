"""Where the values of a freshly built model come from: which of them its initialisers drew."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.initialising import (
    Initialised,
    draws,
    explicit_seed,
    initialisations,
)
from pytest_kerasequiv.keras_access.layers import state_within
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.layers.configs import canonical
from pytest_kerasequiv.weights.variables import buffer_view, peek, same_buffer, variables_of, write

Origin = Literal["drawn", "seeded", "fixed", "other"]

_STASH = "_kerasequiv_start"


@dataclass(frozen=True, eq=False)
class Start:
    """How one variable came to its first value.

    Attributes:
        origin: ``"drawn"`` by an initialiser of Keras's that follows the global seed, ``"seeded"`` by one
            with a seed of its own, ``"fixed"`` by one that draws nothing; ``"other"``: it was assigned, or
            made by other code, so that only another build tells whether it is drawn.
        settings: class and settings of Keras's own initialiser, without its seed; ``None`` for other code.
        seed: the number that a random initialiser of Keras's drew from; ``None`` where there is none.
        untouched: no assignment followed the initialiser.
        base: where one did, what the initialiser had given.
    """

    origin: Origin
    settings: Mapping[str, Any] | None = None
    seed: int | None = None
    untouched: bool = False
    base: NDArray[np.generic] | None = None


@dataclass(frozen=True, eq=False)
class _Stash:
    """An object of its own, since Keras tracks (and changes) lists and dicts."""

    starts: tuple[Start, ...]


class Brought:
    """What the models of a builder share: variables of layers made outside it, and their values at first.

    Training one model may move them (seed states, moving statistics), so that each later model is given the
    values of the first. In another process nothing is known of them yet.
    """

    def __init__(self) -> None:
        self._first: dict[int, tuple[Any, NDArray[np.generic]]] | None = None

    def __reduce__(self) -> tuple[type[Brought], tuple[()]]:
        return Brought, ()

    def put_back(self, model: keras.Model, made: Mapping[int, Initialised], label: str) -> None:
        """Give what a model shares with earlier ones the values it had when the first was made.

        Raises:
            InputError: training changes it, and its first values are not known.
        """
        if self._first is None:
            states = state_within(model)
            kept = [v for v in variables_of(model) if id(v) not in made or id(v) in states]
            self._first = {id(variable): (variable, peek(variable)) for variable in kept}
        for variable in variables_of(model):
            if id(variable) in made:
                continue
            if id(variable) in self._first:
                write(variable, self._first[id(variable)][1])
            elif variable.trainable:
                raise InputError(
                    f"{label} makes models that share {variable.path!r}, which training changes; a builder "
                    "must make a new model on each call, so create that layer inside it, or freeze it "
                    "(layer.trainable = False)"
                )


@contextmanager
def noted_build(brought: Brought, label: str) -> Iterator[Callable[[keras.Model], None]]:
    """Watch a model being built; the function that is given is called on the model and keeps its start."""
    with initialisations() as noted:

        def keep(model: keras.Model) -> None:
            brought.put_back(model, noted, label)
            setattr(model, _STASH, _Stash(_read(model, noted)))

        yield keep


def starts_of(model: keras.Model) -> tuple[Start, ...] | None:
    """Return the starts of `variables_of(model)`; ``None`` where no builder has just made the model."""
    stash = getattr(model, _STASH, None)
    return None if stash is None else stash.starts


def starts_in_words(
    starts: Sequence[Start] | None, values: Sequence[NDArray[np.generic]], seeds: Sequence[bool]
) -> list[str]:
    """Return what variables start from: their initialisers, or digests of the values that they were given.

    Args:
        starts: how they came to their values; ``None`` where no builder has made the model.
        values: the values.
        seeds: which of them are states of seed generators.
    """
    both = zip(starts or [Start("other")] * len(values), values, seeds, strict=True)
    return [
        "seed"
        if seed
        else repr(start.settings)
        if start.untouched
        else hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        for start, value, seed in both
    ]


def _read(model: keras.Model, noted: Mapping[int, Initialised]) -> tuple[Start, ...]:
    return tuple(_start(variable, noted.get(id(variable))) for variable in variables_of(model))


def _start(variable: Any, made: Initialised | None) -> Start:
    if made is None or made.tensor is None:
        return Start("other")
    base = buffer_view(made.tensor)
    untouched = _never_changed(base, peek(variable))
    initializer = made.initializer
    if not isinstance(initializer, keras.initializers.Initializer) or not is_keras(type(initializer)):
        return Start("other", untouched=untouched, base=None if untouched else base)
    settings = canonical(initializer)
    seed = getattr(initializer, "seed", None)
    if not untouched:
        return Start("other", settings, base=base)
    if not draws(initializer):
        return Start("fixed", settings, untouched=True)
    origin: Origin = "drawn" if explicit_seed(initializer) is None else "seeded"
    return Start(origin, settings, seed if isinstance(seed, int) else None, untouched=True)


def _never_changed(first: NDArray[np.generic], now: NDArray[np.generic]) -> bool:
    """Tell whether a variable holds what it was made with: its buffer, on other backends these numbers."""
    if keras.config.backend() == "tensorflow":
        return same_buffer(first, now)
    return np.array_equal(first, now, equal_nan=first.dtype.kind == "f")


def moved(
    first: Sequence[NDArray[np.generic]], second: Sequence[NDArray[np.generic]]
) -> list[NDArray[np.bool_]] | None:
    """Return which elements two builds under two seeds have otherwise; ``None`` if they do not correspond."""
    if [value.shape for value in first] != [value.shape for value in second]:
        return None
    return [_unequal(one, other) for one, other in zip(first, second, strict=True)]


def _unequal(one: NDArray[np.generic], other: NDArray[np.generic]) -> NDArray[np.bool_]:
    unequal: NDArray[np.bool_] = np.asarray(one != other)
    return unequal & ~(np.isnan(one) & np.isnan(other)) if one.dtype.kind in "fc" else unequal
