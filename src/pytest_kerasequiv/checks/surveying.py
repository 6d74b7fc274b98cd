"""What both twins tell of the inputs that the reference takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_kerasequiv.checks.sides import sides_of
from pytest_kerasequiv.models.masking import masks_somewhere
from pytest_kerasequiv.models.probes import NoProbes, Survey, joined

if TYPE_CHECKING:
    from pytest_kerasequiv.checks.pair import Pair


def survey_of(pair: Pair) -> Survey:
    """Return what the reference takes, with the masks, ids and tokens that only the candidate tells of.

    Where both are proved one program the candidate is not asked: it has nothing else to tell.

    Raises:
        NoProbes: the reference takes nothing that can be generated.
    """
    reference, candidate = sides_of(pair)
    found = reference.survey()
    if pair.program_match.proved:
        return found
    try:
        return joined(found, candidate.survey())
    except NoProbes:  # it may yet take what the reference takes
        return replace(found, masks=found.masks or masks_somewhere(pair.candidate))
