"""How a test's results travel to the process that ends the session: on ``item.user_properties``, as text.

This module is what every session loads, so it holds no more than the names; `ledger` does the work.
"""

from __future__ import annotations

from typing import Any

import pytest

PREFIX = "kerasequiv_"
"""How the names of this plugin's properties begin."""

RECORD = "kerasequiv_record"
"""The property that carries a whole report; the controller takes it off before others read the properties."""

RENEWAL = "kerasequiv-recording"
"""The property that tells of a recording that a test has written or renewed, for the same controller."""

NEW = "kerasequiv-new"
"""The property that tells of a builder that the revision compared with does not have."""

ENTRIES = pytest.StashKey[list[Any]]()
"""What a test has looked at."""


def forget(item: pytest.Item) -> None:
    """Start a run of a test with a clean slate: plugins that repeat failed tests run it several times."""
    item.stash[ENTRIES] = []
    item.user_properties[:] = [entry for entry in item.user_properties if not entry[0].startswith(PREFIX)]


def carries_record(report: pytest.TestReport) -> bool:
    """Tell whether results travel with a report."""
    return any(name in {RECORD, RENEWAL, NEW} for name, _ in report.user_properties)
