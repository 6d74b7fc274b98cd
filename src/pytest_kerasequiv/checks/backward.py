"""Blame in training mode, forward: layers whose outputs differ there on the reference's tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kerasequiv.checks.blame import Traced, blame

if TYPE_CHECKING:
    from pytest_kerasequiv.checks.pair import Pair
    from pytest_kerasequiv.models.probes import Probe


def blame_training(pair: Pair, check: str, probe: Probe, *, blaming: bool) -> Traced:
    """Follow one batch through both models in training mode."""
    return blame(pair, check, probe, blaming=blaming, training=True)
