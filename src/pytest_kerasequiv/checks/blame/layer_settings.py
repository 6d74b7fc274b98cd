"""Settings and wiring of layers that differ, as causes of what numbers show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_kerasequiv.checks.blame.wording import ONLY_TRAINING, WITHOUT_EFFECT
from pytest_kerasequiv.checks.graph import grouped
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.verdict import Finding


def settings_apart(pair: Pair, check: str, *, training: bool) -> Iterator[Finding]:
    """Yield what differs in the layers as configured and wired, and can matter to a check.

    Args:
        pair: the twins; none differ where one of them has no layer graph.
        check: name of the check on whose behalf.
        training: whether it runs the models in training mode.
    """
    if pair.layer_match is None:
        return
    left_out = [word for word in WITHOUT_EFFECT if not training or word not in ONLY_TRAINING]
    for finding in grouped(pair.layer_match.edits):
        if not any(word in finding.field for word in left_out):
            yield replace(finding, check=check)
