"""Are two traced programs the same? A map of the variables is proposed, then checked node by node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.program.explaining import first_difference
from pytest_kerasequiv.program.node_colours import fold
from pytest_kerasequiv.program.nodes import Program, ProgramMatch, ProgramVariable
from pytest_kerasequiv.program.refining import refiner_of, search

Pairs = tuple[tuple[int, int], ...]
Starts = tuple[Sequence[str], Sequence[str]]


def match_programs(reference: Program, candidate: Program, starts: Starts | None = None) -> ProgramMatch:
    """Prove that two programs are the same, or say why that is not proved.

    The proof is `verified`, which trusts neither colours nor fingerprints.

    Args:
        reference: the reference's program.
        candidate: the candidate's.
        starts: what each variable of both starts from; those that start alike correspond, if that can be,
            where branches are interchangeable.
    """
    reasons = _reasons(reference, candidate)
    if reasons:
        return ProgramMatch(False, reason=reasons)
    obstacle = _obstacle(reference, candidate)
    if obstacle:
        return ProgramMatch(False, difference=first_difference(reference, candidate), reason=obstacle)
    proposals = (_proposal_by(starts, reference, candidate), _proposal(reference, candidate))
    pairs = next((one for one in proposals if one is not None and verified(reference, candidate, one)), None)
    if pairs is not None:
        listed = tuple((r, c) for r, c in pairs if reference.variables[r].value is None)
        return ProgramMatch(True, listed)
    difference = first_difference(reference, candidate)
    reason = (
        difference.message
        if difference
        else "the operations agree, but no order of the variables makes them equal"
    )
    return ProgramMatch(False, difference=difference, reason=reason)


def verified(reference: Program, candidate: Program, pairs: Pairs) -> bool:
    """Whether the programs are equal when their variables correspond as given.

    Both are numbered in one table: two values get one number exactly if the same op with the same attributes
    makes them from values with the same numbers. The programs are equal if the numbers of their results are.
    """
    if not _fits(reference, candidate, pairs):
        return False
    ours, theirs = _shared(reference, candidate, pairs)
    return Counter(ours) == Counter(theirs)


def _fits(reference: Program, candidate: Program, pairs: Pairs) -> bool:
    """Whether a map takes each variable once, to one of its kind."""
    count = len(reference.variables)
    if len(pairs) != count or count != len(candidate.variables):
        return False
    if {r for r, _ in pairs} != set(range(count)) or {c for _, c in pairs} != set(range(count)):
        return False
    return all(reference.variables[r].kind == candidate.variables[c].kind for r, c in pairs)


def _shared(reference: Program, candidate: Program, pairs: Pairs) -> tuple[list[int], list[int]]:
    """Number the results of both in one table."""
    count = len(reference.variables)
    table: dict[Any, int] = {}
    counterpart = {c: r for r, c in pairs}
    ours = _numbers(reference, list(range(count)), table)
    return ours, _numbers(candidate, [counterpart[index] for index in range(count)], table)


def same_entries(reference: Program, candidate: Program, pairs: Pairs) -> frozenset[str]:
    """Return the entries in which two programs, as a whole not proved, are the same under a map of variables.

    Everything that an entry comes to is compared as `verified` compares a whole program. Nothing is said
    where either can prove nothing, has states that Keras does not list, or other settings or entries.

    Args:
        reference: the reference's program.
        candidate: the candidate's.
        pairs: (reference index, candidate index) of each variable.
    """
    if _reasons(reference, candidate) or reference.settings != candidate.settings:
        return frozenset()
    if _unequal_entries(reference, candidate) or not _fits(reference, candidate, pairs):
        return frozenset()
    ours, theirs = (
        _by_entry(program, numbers)
        for program, numbers in zip((reference, candidate), _shared(reference, candidate, pairs), strict=True)
    )
    return frozenset(name for name in ours.keys() | theirs.keys() if ours.get(name) == theirs.get(name))


def _by_entry(program: Program, numbers: Sequence[int]) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = {}
    for index, value in zip(program.results, numbers, strict=True):
        found.setdefault(program.nodes[index].part, Counter())[value] += 1
    return found


def _numbers(program: Program, leaves: Sequence[int], table: dict[Any, int]) -> list[int]:
    """Number all values of a program in a shared table, and return the numbers of its results."""

    def combine(index: int, parts: list[tuple[int, str]]) -> int:
        node = program.nodes[index]
        return table.setdefault((node.op, node.attributes, tuple(parts)), len(leaves) + len(table))

    numbers, _ = fold(program.nodes, leaves, combine)
    return [numbers[index] for index in program.results]


def _reasons(reference: Program, candidate: Program) -> str:
    """Say why either program can prove nothing, once where both have one reason."""
    found: dict[str, list[str]] = {}
    for side, program in (("reference", reference), ("candidate", candidate)):
        if program.reason is not None:
            where = f" (layer {program.obstacle})" if program.obstacle else ""
            found.setdefault(program.reason, []).append(f"the {side}{where}")
    return "; ".join(f"{' and '.join(sides)} cannot be proved: {reason}" for reason, sides in found.items())


def _obstacle(reference: Program, candidate: Program) -> str:
    for (name, ours), (_, theirs) in zip(reference.settings, candidate.settings, strict=True):
        if ours != theirs:
            return f"{name} is {ours} for the reference and {theirs} for the candidate"
    return _unequal_entries(reference, candidate) or _unequal_variables(reference, candidate)


def _unequal_entries(reference: Program, candidate: Program) -> str:
    """Say whether one side can be called in a way that the other cannot, or has a step of its own."""
    for side, ours, theirs in (("reference", reference, candidate), ("candidate", candidate, reference)):
        for entry in ours.entries:
            if entry not in theirs.entries:
                return f"only the {side} has the entry {entry!r}"
    return ""


def _unequal_variables(reference: Program, candidate: Program) -> str:
    """Say whether one side has a variable, which no result depends on, without a like on the other side."""
    unused = [Counter(_unused(program)) for program in (reference, candidate)]
    for side, extra in (("reference", unused[0] - unused[1]), ("candidate", unused[1] - unused[0])):
        for variable in extra:
            return f"only the {side} has an unused {variable}"
    return ""


def _unused(program: Program) -> list[ProgramVariable]:
    used = refiner_of(program).used
    return [replace(v, path="") for i, v in enumerate(program.variables) if i not in used]


def _proposal_by(starts: Starts | None, reference: Program, candidate: Program) -> Pairs | None:
    """Pair the variables so that those correspond that start alike; ``None`` where there is no choice."""
    if starts is None or (reference.unique and candidate.unique):
        return None
    found = search(refiner_of(reference), refiner_of(candidate), starts)
    return None if found is None else _with_unused(reference, candidate, found)


def _proposal(reference: Program, candidate: Program) -> Pairs | None:
    """Pair the variables by their canonical numbers; where ties leave a choice, search."""
    if reference.fingerprint == candidate.fingerprint:
        return tuple(sorted(zip(reference.numbering, candidate.numbering, strict=True)))
    if reference.unique and candidate.unique:
        return None
    ours, theirs = refiner_of(reference), refiner_of(candidate)
    found = search(ours, theirs)
    return None if found is None else _with_unused(reference, candidate, found)


def _with_unused(reference: Program, candidate: Program, found: Sequence[tuple[int, int]]) -> Pairs | None:
    """Add the variables that no result depends on, by kind and position."""
    left = [i for i in range(len(reference.variables)) if i not in {r for r, _ in found}]
    right = [i for i in range(len(candidate.variables)) if i not in {c for _, c in found}]
    left.sort(key=lambda i: repr(reference.variables[i].kind))
    right.sort(key=lambda i: repr(candidate.variables[i].kind))
    return tuple(sorted([*found, *zip(left, right, strict=True)])) if len(left) == len(right) else None
