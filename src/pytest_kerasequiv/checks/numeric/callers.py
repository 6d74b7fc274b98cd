"""What callers meet beside the numbers: keys of inputs and outputs, and the dtypes of layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from pytest_kerasequiv.checks.numeric.views import sides_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF, least_precise_dtype
from pytest_kerasequiv.running.input_layout import input_layout
from pytest_kerasequiv.verdict import Finding
from pytest_kerasequiv.weights.variables import variables_of

KeyPath = tuple[Any, ...]


def caller_findings(pair: Pair, check: str, *, given: tuple[float | None, float | None]) -> list[Finding]:
    """Return what differs for callers beside the numbers.

    Both sides must have been observed: what they return is looked at.

    Args:
        pair: the twins.
        check: name of the check on whose behalf.
        given: rtol and atol of the user; either allows other compute dtypes.
    """
    layouts = [input_layout(model) for model in (pair.reference, pair.candidate)]
    found = []
    if all(layout.known for layout in layouts):
        found += input_findings(check, layouts[0].structure, layouts[1].structure)
    found += output_findings(check, *(side.runner().sample for side in sides_of(pair)))
    return found + (layer_dtype_findings(pair, check) if given == (None, None) else [])


def input_findings(check: str, reference: Any, candidate: Any) -> list[Finding]:
    """Return a difference where dicts of inputs have other keys, a note where inputs are nested otherwise.

    Names of the inputs of a model that takes a tensor or a list are no keys.
    """
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
    return [Finding(check, None, None, "input structure", ours, theirs, message, "note")]


def _other_names(check: str, reference: Any, candidate: Any) -> Finding:
    ours, theirs = _written(reference), _written(candidate)
    message = (
        f"the reference takes inputs by the names {ours}, the candidate by {theirs}: callers of one cannot "
        "call the other"
    )
    return Finding(check, None, None, "input names", ours, theirs, message)


def output_findings(check: str, reference: Any, candidate: Any) -> list[Finding]:
    """Return a difference where nested outputs have other keys; `key_problems` sees to flat dicts."""
    if reference is None or candidate is None or not (_is_nested(reference) or _is_nested(candidate)):
        return []
    paths = [key_paths(structure) for structure in (reference, candidate)]
    keyed = any(isinstance(key, str) for side in paths for path in side for key in path)
    if not keyed or set(paths[0]) == set(paths[1]):
        return []
    ours, theirs = _written(reference), _written(candidate)
    message = f"the reference returns {ours}, the candidate {theirs}"
    return [Finding(check, None, None, "outputs", ours, theirs, message)]


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


def layer_dtype_findings(pair: Pair, check: str) -> list[Finding]:
    """Return a difference for each layer whose partner, found by their weights, computes in another dtype.

    Partners are told by the map of weights, so a rewrite that merges or splits layers changes nothing.
    """
    models = pair.reference, pair.candidate
    if len({least_precise_dtype(model) for model in models}) > 1:
        return []  # told already
    if all(len(_dtypes(model)) < 2 for model in models):
        return []
    ours, theirs = (owners_of(model) for model in models)
    found: dict[tuple[str, str], Finding] = {}
    for index, other in pair.variable_map.pairs:
        if index in ours and other in theirs:
            (path, dtype), (their_path, their_dtype) = ours[index], theirs[other]
            if dtype != their_dtype and {dtype, their_dtype} <= set(UNIT_ROUNDOFF):
                finding = _finding(check, path, their_path, dtype, their_dtype)
                found.setdefault((path, their_path), finding)
    return list(found.values())


def _finding(check: str, path: str, their_path: str, dtype: str, their_dtype: str) -> Finding:
    message = (
        f"{path} computes in {dtype} in the reference, {their_path} in {their_dtype} in the candidate; pass "
        "rtol or atol where that is meant"
    )
    return Finding(check, path, their_path, "dtype", dtype, their_dtype, message)


def _dtypes(model: keras.Model) -> set[str]:
    return {str(layer.compute_dtype) for layer in model._flatten_layers()} & set(UNIT_ROUNDOFF)


def owners_of(model: keras.Model) -> dict[int, tuple[str, str]]:
    """Map the index of each weight to the Keras path and the compute dtype of the layer that holds it."""
    index_of = {id(variable): index for index, variable in enumerate(variables_of(model))}
    found: dict[int, tuple[str, str]] = {}
    waiting = [(model, model.name)]
    while waiting:
        layer, path = waiting.pop()
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            if id(variable) in index_of:
                found.setdefault(index_of[id(variable)], (path, str(layer.compute_dtype)))
        below = layer._flatten_layers(include_self=False, recursive=False)
        waiting.extend((child, f"{path}/{child.name}") for child in below)
    return found
