"""Counting what a test and its fixtures compare by plain `compare` and `assert_equivalent`."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kerasequiv.counting import counted_comparisons
from pytest_kerasequiv.plugin.ledger import Entry, enter
from pytest_kerasequiv.plugin.records import ENTRIES
from pytest_kerasequiv.plugin.settings import settings_of

if TYPE_CHECKING:
    from pytest_kerasequiv.comparison import Comparison

RECORDED = pytest.StashKey[list["Comparison"]]()
"""What the running phase of a test has compared so far."""

BY_FIXTURE = pytest.StashKey[dict[str, list[int]]]()
"""On the node of a fixture's scope: fixture name -> the numbers of what its set-up compared."""

FIRST = pytest.StashKey[dict[int, "Entry"]]()
"""On the session: a comparison's number -> the entry of the test that made it."""


def recording_phase(item: pytest.Item) -> Generator[None, Any, Any]:
    """Enter what a phase of a test compares as that test's."""
    settings = settings_of(item.config)
    with counted_comparisons(everything=settings.all, timeout=settings.timeout) as recorded:
        item.config.stash[RECORDED] = recorded
        try:
            return (yield)
        finally:
            enter(item, recorded)
            first = item.session.stash.setdefault(FIRST, {})
            for entry in item.stash[ENTRIES]:
                first.setdefault(entry.number, entry)


def recording_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Enter what a test's fixtures compare, also where an earlier test has set them up.

    A test that fails over the report of a module's fixture fails over that pair, whoever came first.
    """
    try:
        return (yield from recording_phase(item))
    finally:
        first, entries = item.session.stash[FIRST], item.stash[ENTRIES]
        known = {entry.number for entry in entries}
        entries += [first[new] for new in _of_fixtures(item) if new not in known]


def recording_fixture(request: pytest.FixtureRequest, name: str) -> Generator[None, Any, Any]:
    """Note which comparisons a fixture's set-up makes."""
    recorded = request.config.stash.get(RECORDED, [])
    before = len(recorded)
    try:
        return (yield)
    finally:
        request.node.stash.setdefault(BY_FIXTURE, {})[name] = [one.number for one in recorded[before:]]


def _of_fixtures(item: pytest.Item) -> list[int]:
    """Return what the fixtures of a test compared; of two with the same name the inner one is the test's."""
    made: dict[str, list[int]] = {}
    for node in item.listchain():
        of_node: dict[str, list[int]] = node.stash.get(BY_FIXTURE, {})
        made |= of_node
    names: list[str] = getattr(item, "fixturenames", [])
    return [number for name in names for number in made.get(name, [])]
