"""Which loss the twins are differentiated with, and the targets for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.workbench import loss_settings
from pytest_kerasequiv.checks.numeric.views import sides_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.running.running import output_names
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.surface.targets import targets_for
from pytest_kerasequiv.verdict import Finding

Array = NDArray[np.generic]


@dataclass(frozen=True)
class LossPlan:
    """The loss of both sides and the fixed targets.

    Attributes:
        names: the names of the flattened outputs.
        targets: for each probe, one target for each output.
        reference: settings that compile the reference's loss; ``None`` for a mean square.
        candidate: the same for the candidate.
        missing: the side without a compiled loss, where the other has one.
    """

    names: tuple[str, ...]
    targets: tuple[tuple[Array, ...], ...]
    reference: Mapping[str, Any] | None
    candidate: Mapping[str, Any] | None
    missing: str | None = None

    @property
    def compiled(self) -> bool:
        """Whether a compiled loss is used."""
        return self.reference is not None

    def settings_of(self, model: keras.Model) -> Mapping[str, Any] | None:
        """Return what to compile a side (or its float64 twin) with: its own loss, else the other's."""
        return loss_settings(model) or self.reference

    def notes(self, check: str) -> list[Finding]:
        """Return what a reader should know about the loss."""
        if self.missing is not None:
            message = f"only one side is compiled with a loss; the {self.missing} was given the other's"
            return [Finding(check, None, None, "loss", None, None, message, "note")]
        if self.reference is None:
            message = "the twins are not compiled with a loss: a mean square against fixed targets was used"
            return [Finding(check, None, None, "loss", None, None, message, "note")]
        return []


def plan_loss(pair: Pair, probes: Sequence[Probe]) -> LossPlan:
    """Return the loss plan of a pair: each side's compiled loss; one side's for both; else a mean square."""
    own = loss_settings(pair.reference), loss_settings(pair.candidate)
    missing = None
    if (own[0] is None) != (own[1] is None):
        missing = "reference" if own[0] is None else "candidate"
    reference, candidate = own[0] or own[1], own[1] or own[0]
    side = sides_of(pair)[0]
    shapes = [side.runner().output_shapes(probe.inputs) for probe in probes]
    names = output_names(pair.reference, side.runner().sample)
    loss = None if reference is None else reference["loss"]
    targets = tuple(tuple(targets_for(s, names, loss, pair.seed + i)) for i, s in enumerate(shapes))
    return LossPlan(names, targets, reference, candidate, missing)
