"""What callers meet beside the numbers: keys of inputs and outputs, and the dtypes of layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_kerasequiv.checks.numeric.observing import Observation
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF
from pytest_kerasequiv.verdict import Finding

KeyPath = tuple[Any, ...]


def input_findings(check: str, reference: Any, candidate: Any) -> list[Finding]:
    """Return a difference where dicts of inputs have other keys, a note where inputs are nested otherwise.

    Names of the inputs of a model that takes a tensor or a list are no keys.
    """
    if reference is None or candidate is None:  # not known
        return []
    reference, candidate = _plain(reference), _plain(candidate)
    if isinstance(reference, Mapping) and isinstance(candidate, Mapping):
        alike = set(key_paths(reference)) == set(key_paths(candidate))
        return [] if alike else [_other_names(check, reference, candidate)]
    if _kinds(reference) == _kinds(candidate):
        return []
    ours, theirs = _shown(reference), _shown(candidate)
    message = (
        f"the inputs are structured otherwise: {ours} in the reference, {theirs} in the candidate; they are "
        "compared leaf by leaf"
    )
    return [Finding.note(check, "input structure", message, values=(ours, theirs))]


def _other_names(check: str, reference: Any, candidate: Any) -> Finding:
    ours, theirs = _written(reference), _written(candidate)
    message = (
        f"the reference takes inputs by the names {ours}, the candidate by {theirs}: callers of one cannot "
        "call the other"
    )
    return Finding.difference(check, "input names", message, values=(ours, theirs))


def output_findings(check: str, reference: Any, candidate: Any) -> list[Finding]:
    """Return a difference where outputs have other keys or are nested otherwise.

    A list of one is as good as its element. Flat outputs by position are left to the comparison of shapes.
    """
    reference, candidate = _plain(reference), _plain(candidate)
    structured = any(isinstance(side, Mapping) or _is_nested(side) for side in (reference, candidate))
    if not structured or _kinds(reference) == _kinds(candidate):
        return []
    ours, theirs = _described(reference), _described(candidate)
    message = f"the reference returns {ours}, the candidate {theirs}"
    return [Finding.difference(check, "outputs", message, values=(ours, theirs))]


def _described(outputs: Any) -> str:
    if isinstance(outputs, Mapping):
        return f"a dict of {_written(outputs)}"
    if _is_nested(outputs):
        return f"outputs nested as {_shown(outputs)}"
    return f"{len(outputs)} outputs by position" if isinstance(outputs, list) else "one output"


def key_paths(structure: Any) -> list[KeyPath]:
    """Return the path of each leaf: keys of dicts, positions in lists and tuples."""
    return list(_paths(structure, ()))


def _paths(structure: Any, above: KeyPath) -> Iterator[KeyPath]:
    if isinstance(structure, Mapping):
        for key in sorted(structure, key=str):
            yield from _paths(structure[key], (*above, str(key)))
    elif isinstance(structure, list | tuple):
        for place, item in enumerate(structure):
            yield from _paths(item, (*above, place))
    else:
        yield above


def _plain(structure: Any) -> Any:
    """Take lists of one for their element: callers may pass either."""
    if isinstance(structure, Mapping):
        return {key: _plain(item) for key, item in structure.items()}
    if isinstance(structure, list | tuple):
        return _plain(structure[0]) if len(structure) == 1 else [_plain(item) for item in structure]
    return structure


def _kinds(structure: Any) -> Any:
    """Return the structure with its keys and nothing in its leaves; a tuple may be passed for a list."""
    if isinstance(structure, Mapping):
        return {key: _kinds(item) for key, item in structure.items()}
    return [_kinds(item) for item in structure] if isinstance(structure, list | tuple) else None


def _is_nested(structure: Any) -> bool:
    items = structure.values() if isinstance(structure, Mapping) else structure
    flat = not isinstance(structure, Mapping | list | tuple)
    return not flat and any(isinstance(item, Mapping | list | tuple) for item in items)


def _written(structure: Any) -> list[str]:
    return ["/".join(map(str, path)) for path in key_paths(structure)]


def _shown(structure: Any) -> str:
    if isinstance(structure, Mapping):
        return "{" + ", ".join(f"{key!r}: {_shown(structure[key])}" for key in structure) + "}"
    if isinstance(structure, list | tuple):
        return "[" + ", ".join(map(_shown, structure)) + "]"
    return "*"


def layer_dtype_findings(
    check: str, reference: Observation[Any], candidate: Observation[Any], pairs: Iterable[tuple[int, int]]
) -> list[Finding]:
    """Return a difference for each layer whose partner, found by their weights, computes in another dtype.

    Partners are told by the map of weights, so a rewrite that merges or splits layers changes nothing.
    """
    if reference.dtype != candidate.dtype:
        return []  # told already
    found: dict[tuple[str, str], Finding] = {}
    for index, other in pairs:
        ours, theirs = reference.variables[index], candidate.variables[other]
        if ours.computes != theirs.computes and {ours.computes, theirs.computes} <= set(UNIT_ROUNDOFF):
            finding = _finding(check, ours.layer, theirs.layer, ours.computes, theirs.computes)
            found.setdefault((ours.layer, theirs.layer), finding)
    return list(found.values())


def _finding(check: str, path: str, their_path: str, dtype: str, their_dtype: str) -> Finding:
    message = (
        f"{path} computes in {dtype} in the reference, {their_path} in {their_dtype} in the candidate; pass "
        "rtol or atol where that is meant"
    )
    return Finding.difference(check, "dtype", message, layers=(path, their_path), values=(dtype, their_dtype))
