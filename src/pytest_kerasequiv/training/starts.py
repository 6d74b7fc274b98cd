"""Where a run starts: the values of all variables under a seed, and the order of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_kerasequiv.models.variables import values_of, variables_of
from pytest_kerasequiv.training.orders import epoch_orders
from pytest_kerasequiv.training.reuse import blueprint
from pytest_kerasequiv.training.worlds import training_world

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytest_kerasequiv.models.sources import Source
    from pytest_kerasequiv.training.plan import Training


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
    def state(self) -> list[NDArray[np.generic]]:
        """The values of ``non_trainable_variables``."""
        return [self.values[index] for index in self.others]


class Starts:
    """Builds a twin under each seed once, for all who want to know where it starts."""

    def __init__(self, source: Source, plan: Training) -> None:
        self._source = source
        self._plan = plan
        self._known: dict[int, Start] = {}

    def of(self, seed: int) -> Start:
        """Return the start under ``seed`` and keep it until it is taken."""
        if seed not in self._known:
            self._known[seed] = self._build(seed)
        return self._known[seed]

    def take(self, seed: int) -> Start:
        """Return the start under ``seed`` and forget it."""
        start = self.of(seed)
        del self._known[seed]
        return start

    def _build(self, seed: int) -> Start:
        with training_world(seed):
            model = self._source.build()
            place = {id(variable): index for index, variable in enumerate(variables_of(model))}
            return Start(
                values_of(model),
                [place[id(variable)] for variable in model.trainable_variables],
                [place[id(variable)] for variable in model.non_trainable_variables],
                blueprint(model),
                epoch_orders(self._plan.train.samples, self._plan.epochs) if self._plan.shuffle else [],
            )
