from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kerasequiv.reporting.printable import printable, printable_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dense_1/kernel\t\n", "dense_1/kernel\t\n"),
        ("Schicht größer 層", "Schicht größer 層"),
        ("\x1b[2J\x9b", "\\x1b[2J\\x9b"),
        ("a\u202eb\u2028", "a\\u202eb\\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_steers_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_every_text_can_be_written_and_is_one_line(text: str) -> None:
    shown = printable_line(text)
    assert len(shown.splitlines()) <= 1
    assert shown.encode().decode() == shown
    assert printable_line(shown) == shown
