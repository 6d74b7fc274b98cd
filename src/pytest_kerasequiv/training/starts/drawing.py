"""Where a run starts: the values of all variables under a seed, and the order of its rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.keras_access.private_modules import ArrayDataAdapter
from pytest_kerasequiv.training.data import Split
from pytest_kerasequiv.training.digests import digests_of, start_digest
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.starts.replay import Replay, recorded_build
from pytest_kerasequiv.training.starts.reuse import blueprint, training_state
from pytest_kerasequiv.weights.variables import values_of, variables_of


@dataclass(frozen=True, eq=False)
class Start:
    """A freshly built model under one seed, as plain data.

    Attributes:
        values: the values of all variables, in the order of `models.variables.variables_of`.
        trainable: which of them are ``trainable_variables``, in that order.
        others: which of them are ``non_trainable_variables``, in that order.
        blueprint: its settings, see `reuse.blueprint`.
        orders: the rows in the order of each epoch, where the plan shuffles.
    """

    values: list[NDArray[np.generic]]
    trainable: list[int]
    others: list[int]
    blueprint: str
    orders: list[NDArray[np.int64]]

    @cached_property
    def weights(self) -> list[NDArray[np.generic]]:
        """The values of ``trainable_variables``."""
        return [self.values[index] for index in self.trainable]

    @cached_property
    def digests(self) -> list[bytes]:
        """A digest of each variable's value."""
        return digests_of(self.values)

    @property
    def digest(self) -> str:
        """A digest of all values."""
        return start_digest(self.digests)

    @cached_property
    def state(self) -> list[NDArray[np.generic]]:
        """The values of ``non_trainable_variables``."""
        return [self.values[index] for index in self.others]


class Starts:
    """Tells where a twin starts under each seed.

    The first model is built and recorded, see `replay`; where redrawing the second gives what building it
    gives, the
    others are redrawn.
    """

    def __init__(self, source: Source, plan: Training) -> None:
        self._source = source
        self._plan = plan
        self._known: dict[int, Start] = {}
        self._digests: dict[int, str] = {}
        self._first: Start | None = None
        self._replay: Replay | None = None
        self._trusted = False
        self._shuffles = plan.shuffle and plan.fit is None and isinstance(plan.train, Split)

    def of(self, seed: int) -> Start:
        """Return the start under ``seed`` and keep it until it is taken."""
        if seed not in self._known:
            self._known[seed] = self._find(seed)
            self._digests[seed] = self._known[seed].digest
        return self._known[seed]

    def digest(self, seed: int) -> str:
        """Return the digest of the start under ``seed``, known also after the start was taken."""
        if seed not in self._digests:
            self.take(seed)
        return self._digests[seed]

    def repeats(self, seed: int) -> bool:
        """Tell whether building twice under ``seed`` gives one start, as all that compares runs assumes."""
        return self._built(seed).digest == self._built(seed).digest

    def take(self, seed: int) -> Start:
        """Return the start under ``seed`` and forget it."""
        start = self.of(seed)
        del self._known[seed]
        return start

    def forget(self) -> None:
        """Drop the starts that nobody has taken."""
        self._known.clear()

    def _find(self, seed: int) -> Start:
        if self._first is None:
            self._first = self._recorded(seed)
            return self._first
        if self._replay is None:
            return self._built(seed)
        redrawn = self._redrawn(seed, self._replay, self._first)
        if self._trusted:
            return redrawn
        built = self._built(seed)
        self._trusted = _same(built, redrawn)
        self._replay = self._replay if self._trusted else None
        return built

    def _recorded(self, seed: int) -> Start:
        with training_state(seed):
            model, self._replay = recorded_build(self._source, seed)
            return self._start(model)

    def _built(self, seed: int) -> Start:
        with training_state(seed):
            return self._start(self._source.build())

    def _redrawn(self, seed: int, replay: Replay, first: Start) -> Start:
        with training_state(seed):
            return replace(first, values=replay.values(), orders=self._orders())

    def _start(self, model: keras.Model) -> Start:
        place = {id(variable): index for index, variable in enumerate(variables_of(model))}
        return Start(
            values_of(model),
            [place[id(variable)] for variable in model.trainable_variables],
            [place[id(variable)] for variable in model.non_trainable_variables],
            blueprint(model),
            self._orders(),
        )

    def _orders(self) -> list[NDArray[np.int64]]:
        return epoch_orders(self._plan.train.samples, self._plan.epochs) if self._shuffles else []


def _same(built: Start, redrawn: Start) -> bool:
    """Tell whether two starts are equal bit by bit."""
    pairs = zip([*built.values, *built.orders], [*redrawn.values, *redrawn.orders], strict=True)
    return built.blueprint == redrawn.blueprint and all(a.tobytes() == b.tobytes() for a, b in pairs)


def epoch_orders(rows: int, epochs: int) -> list[NDArray[np.int64]]:
    """Return the shuffled order of each epoch, shape (rows,), as ``fit(shuffle=True)`` draws it.

    It runs Keras's own pipeline, with row numbers as the data and one batch an epoch.
    """
    adapter = ArrayDataAdapter(np.arange(rows), batch_size=rows, shuffle=True)
    dataset = adapter.get_tf_dataset()
    return [keras.tree.flatten(next(iter(dataset)))[0].numpy() for _ in range(epochs)]
