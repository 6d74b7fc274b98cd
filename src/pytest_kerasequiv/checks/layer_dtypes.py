"""The dtype that the layer of each weight computes in, where the coarsest of the whole models agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kerasequiv.models.dtypes import UNIT_ROUNDOFF, least_precise_dtype
from pytest_kerasequiv.models.layer_paths import owners_of
from pytest_kerasequiv.verdict import Finding

if TYPE_CHECKING:
    import keras

    from pytest_kerasequiv.checks.pair import Pair


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
