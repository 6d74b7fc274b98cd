"""The one exception for bad input."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING


class InputError(ValueError):
    """An argument cannot be used: one paragraph names the argument, the value and the remedy."""

    __module__ = "pytest_kerasequiv"  # the name that a trace shows is the one to import it by
    if not TYPE_CHECKING:
        __init__ = Exception.__init__  # what tf.function asks for, to raise it as what it is


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_KERAS_TAIL = "Arguments received by"


def error_in_words(error: BaseException, limit: int = 400) -> str:
    """Return an error's class and what it `said`."""
    return f"{type(error).__name__}: {said(error, limit)}".rstrip(": ")


def said(error: BaseException, limit: int = 400) -> str:
    """Return an error's text in one line, without colours and Keras's list of call arguments."""
    text = _COLOURS.sub("", str(error)).partition(_KERAS_TAIL)[0]
    line = " ".join(text.split()).removesuffix(".")
    return line if len(line) <= limit else f"{line[:limit]} ..."
