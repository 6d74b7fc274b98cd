"""In which ways of its own a model can be called."""

from __future__ import annotations

import keras

from pytest_kerasequiv.surface.entries import Entry, Kind, entries_of


def called_ways(model: keras.Model) -> tuple[str, ...]:
    """Return the names of the entries of a model's surface that another model need not have.

    What every model has, what compiling adds, and settled sizes of free axes are not among them.
    """
    return tuple(entry.name for entry in entries_of(model) if _of_its_own(entry))


def _of_its_own(entry: Entry) -> bool:
    settles = entry.tentative and not entry.arguments
    return entry.kind is Kind.STEP or (entry.kind is Kind.CALL and not settles)
