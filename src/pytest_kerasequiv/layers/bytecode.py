"""The code of a function as a digest that layout, comments and local names do not change; and in words."""

from __future__ import annotations

import dis
import functools
import hashlib
import linecache
from collections.abc import Iterator
from difflib import SequenceMatcher
from types import CodeType
from typing import Any

_SEEN: dict[str, CodeType] = {}
"""Code by its digest, to tell two digests of this process apart in words."""

_BEGINNINGS = {"RESUME", "COPY_FREE_VARS", "MAKE_CELL", "NOP"}
"""Instructions that stand for no statement."""


@functools.lru_cache(maxsize=4096)
def code_digest(code: CodeType) -> str:
    """Return a digest of what code does: equal digests, equal code, wherever it stands."""
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    texts = [repr((arguments, code.co_flags & 0x0C, getattr(code, "co_exceptiontable", b"")))]
    texts += [text for text, _ in _instructions(code)]
    found = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    _SEEN.setdefault(found, code)
    return found


def globals_read(code: CodeType) -> dict[str, None]:
    """Return the names of the globals that code reads, functions within included, in order."""
    found: dict[str, None] = {}
    for step in dis.get_instructions(code):
        if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            found[step.argval] = None
        elif isinstance(step.argval, CodeType):
            found |= globals_read(step.argval)
    return found


def attributes_set(code: CodeType) -> dict[str, None]:
    """Return the names of the attributes that code assigns to, in order."""
    return {step.argval: None for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"}


def code_in_words(reference: str, candidate: str) -> str:
    """Say where the code of two digests parts: the two lines of source, or the two constants.

    Where the source is not at hand or is the same line (two lambdas in one), the instructions are told.
    """
    codes = _SEEN.get(reference), _SEEN.get(candidate)
    if codes[0] is None or codes[1] is None:
        return "its code differs"
    found = _first_parting(codes[0], codes[1])
    if found is None:
        return "its code differs"
    (ours, mine), (theirs, other) = found
    if ours and theirs and ours != theirs:
        return f"`{ours}` in the reference is `{theirs}` in the candidate"
    return f"{mine} in the reference is {other} in the candidate"


def _first_parting(
    reference: CodeType, candidate: CodeType
) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """Return, for each side, the line and the instruction at which two codes part."""
    ours, theirs = (_statements(code) for code in (reference, candidate))
    matcher = SequenceMatcher(None, [text for text, _ in ours], [text for text, _ in theirs], autojunk=False)
    for tag, a, _, c, _ in matcher.get_opcodes():
        if tag != "equal":
            inner = [steps[i][1].argval if i < len(steps) else None for steps, i in ((ours, a), (theirs, c))]
            if isinstance(inner[0], CodeType) and isinstance(inner[1], CodeType):
                return _first_parting(inner[0], inner[1])
            return _told(reference, ours, a), _told(candidate, theirs, c)
    return None


def _statements(code: CodeType) -> list[tuple[str, Any]]:
    """Return the instructions that statements are made of, without those that begin a function."""
    return [one for one in _instructions(code) if one[1].opname not in _BEGINNINGS]


def _told(code: CodeType, steps: list[tuple[str, Any]], index: int) -> tuple[str, str]:
    step = steps[min(index, len(steps) - 1)][1]
    line = code.co_firstlineno
    for _, earlier in steps[: index + 1]:
        line = _line_of(earlier) or line
    what = repr(step.argval) if step.argrepr else step.opname.lower().replace("_", " ")
    return linecache.getline(code.co_filename, line).strip(), what


def _line_of(step: Any) -> int | None:
    """Return the line at which an instruction's statement begins (3.13 calls it otherwise)."""
    positions = getattr(step, "positions", None)
    if positions is not None and positions.lineno:
        return int(positions.lineno)
    return step.starts_line if type(step.starts_line) is int else None


def _instructions(code: CodeType) -> Iterator[tuple[str, Any]]:
    """Yield the instructions as texts that do not tell the names of locals, nor places."""
    steps = list(dis.get_instructions(code))
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        named = isinstance(step.argval, str) and after is not None and after.opname == "MAKE_FUNCTION"
        if not named:  # before Python 3.11 a function's qualified name is loaded: where it stands
            yield f"{step.opname} {_argument(step)}", step


def _argument(step: Any) -> str:
    if isinstance(step.argval, CodeType):
        return code_digest(step.argval)
    if step.opcode in dis.haslocal or step.opcode in dis.hasjrel or step.opcode in dis.hasjabs:
        return str(step.arg)
    if isinstance(step.argval, frozenset):
        return repr(sorted(step.argval, key=repr))
    return repr(step.argval)
