"""The command line of a session as a report shows it: ready to be run again, without what is secret."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence

import pytest

HIDDEN = "***"
_SECRET = re.compile(
    r"token|secret|passw|passphrase|pwd|credential|(api|access|private|signing)[-_]?key|auth(?!or)|cookie",
    re.IGNORECASE,
)
_USER_IN_ADDRESS = re.compile(r"(\w+://)[^/\s@]+@")


def repeatable(config: pytest.Config) -> str:
    """Return the command that ran a session, with ``PYTEST_ADDOPTS``; secret-looking values are replaced."""
    words = ["pytest", *without_secrets([str(word) for word in config.invocation_params.args])]
    added = os.environ.get("PYTEST_ADDOPTS", "").strip()
    if added:
        shown = shlex.join(without_secrets(shlex.split(added)))
        return f"PYTEST_ADDOPTS={shlex.quote(shown)} {shlex.join(words)}"
    return shlex.join(words)


def without_secrets(words: Sequence[str]) -> Iterator[str]:
    """Yield words of a command line, the values of options whose names look secret replaced.

    Covered: ``--api-token=x``, ``--api-token x``, ``-o api_token=x``, ``-oapi_token=x`` and
    ``tcp://user:password@host``.
    """
    hides_next = False
    for word in words:
        if hides_next and not word.startswith("-"):
            yield HIDDEN
            hides_next = False
            continue
        name, equals, _ = word.partition("=")
        secret = _SECRET.search(name) is not None
        hides_next = secret and not equals and word.startswith("--")
        yield f"{name}={HIDDEN}" if secret and equals else without_user(word)


def without_user(text: str) -> str:
    """Return text without the user and password of addresses in it."""
    return _USER_IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)
