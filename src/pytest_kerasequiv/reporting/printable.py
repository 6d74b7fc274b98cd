"""Text from users that must not steer a terminal or a page: names, messages, metrics."""

from __future__ import annotations

import re

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but for tab and newline
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"  # direction of writing, other line ends
    "\ud800-\udfff]"  # halves of characters, which no file can hold
)


def printable(text: str) -> str:
    r"""Return text with every character that steers written as its escape, such as ``\x1b``."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_line(text: str) -> str:
    r"""Return text as one line: newlines and tabs are written as their escapes too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def name_in(text: str, room: int) -> str:
    """Return a name as one line of so many characters at most."""
    line = printable_line(text)
    return line if len(line) <= room else f"{line[: room - 1]}…"
