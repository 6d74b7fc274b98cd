"""The code of a function as a digest that layout, comments and local names do not change; and in words."""

from __future__ import annotations

import dis
import functools
import hashlib
import linecache
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from types import CodeType
from typing import Any

_SEEN: dict[str, CodeType] = {}
"""Code by its digest, to tell two digests apart in words."""

_LEARNT: dict[str, list[tuple[str, str, str]]] = {}
"""Instructions by the digest of their code, as another process told them."""

_DIGEST = re.compile(r"\b[0-9a-f]{16}\b")

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


@functools.lru_cache(maxsize=4096)
def globals_read(code: CodeType) -> tuple[str, ...]:
    """Return the names of the globals that code reads, functions within included, in order."""
    found: dict[str, None] = {}
    for step in dis.get_instructions(code):
        if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            found[step.argval] = None
        elif isinstance(step.argval, CodeType):
            found |= dict.fromkeys(globals_read(step.argval))
    return tuple(found)


def attributes_set(code: CodeType) -> dict[str, None]:
    """Return the names of the attributes that code assigns to, in order."""
    return {step.argval: None for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"}


Step = tuple[str, str, str]
"""One instruction: as it is compared, the line of source it stands in, and what it does, in words."""


def code_in_words(reference: str, candidate: str) -> str:
    """Say where the code of two digests parts: the two lines of source, or the two constants.

    Where the source is not at hand or is the same line (two lambdas in one), the instructions are told.
    """
    sides = _steps(reference), _steps(candidate)
    found = None if None in sides else _first_parting(*sides)  # type: ignore[arg-type]
    if found is None:
        return "its code differs"
    (_, ours, mine), (_, theirs, other) = found
    if ours and theirs and ours != theirs:
        return f"`{ours}` in the reference is `{theirs}` in the candidate"
    return f"{mine} in the reference is {other} in the candidate"


def steps_within(text: str) -> dict[str, list[Step]]:
    """Return the instructions of all code of this process whose digest a text names, and of code within."""
    found: dict[str, list[Step]] = {}
    waiting = set(_DIGEST.findall(text))
    while waiting:
        digest = waiting.pop()
        steps = None if digest in found else _steps(digest)
        if steps is not None:
            found[digest] = steps
            waiting |= {inner for step, _, _ in steps for inner in _DIGEST.findall(step)}
    return dict(sorted(found.items()))


def learn(steps: Mapping[str, Sequence[Sequence[str]]]) -> None:
    """Remember instructions that another process told, so that its code can be told apart in words.

    Raises:
        ValueError: they are of another form.
    """
    for digest, told in steps.items():
        if not all(len(step) == 3 and all(isinstance(part, str) for part in step) for step in told):
            raise ValueError("code is told in another form")
        _LEARNT[digest] = [(text, line, what) for text, line, what in told]


def _steps(digest: str) -> list[Step] | None:
    code = _SEEN.get(digest)
    return _LEARNT.get(digest) if code is None else _told(code)


def _first_parting(reference: Sequence[Step], candidate: Sequence[Step]) -> tuple[Step, Step] | None:
    """Return, for each side, the instruction at which two codes part; of functions within, theirs."""
    matcher = SequenceMatcher(None, [s[0] for s in reference], [s[0] for s in candidate], autojunk=False)
    for tag, a, _, c, _ in matcher.get_opcodes():
        if tag != "equal":
            ours, theirs = reference[min(a, len(reference) - 1)], candidate[min(c, len(candidate) - 1)]
            inner = [_steps(text.rpartition(" ")[2]) for text, _, _ in (ours, theirs)]
            if inner[0] is not None and inner[1] is not None:
                return _first_parting(inner[0], inner[1])
            return ours, theirs
    return None


def _told(code: CodeType) -> list[Step]:
    """Return the instructions that statements are made of, without those that begin a function."""
    found, line = [], code.co_firstlineno
    for text, step in _instructions(code):
        line = _line_of(step) or line
        if step.opname not in _BEGINNINGS:
            what = repr(step.argval) if step.argrepr else step.opname.lower().replace("_", " ")
            found.append((text, linecache.getline(code.co_filename, line).strip(), what))
    return found


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
