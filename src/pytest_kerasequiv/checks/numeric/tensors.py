"""Corresponding tensors of the two twins, and what to say of those that differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.layers.layer_graph import LayerGraph
from pytest_kerasequiv.verdict import Finding
from pytest_kerasequiv.weights.variables import variables_of

Array = NDArray[np.generic]


@dataclass(frozen=True)
class VariablePairs:
    """How the variables correspond, with their labels: what `compare` needs of the models."""

    pairs: tuple[tuple[int, int], ...]
    reference: tuple[Label, ...]
    candidate: tuple[Label, ...]

    @classmethod
    def of(cls, pair: Pair) -> VariablePairs:
        """Return the mapping of a pair."""
        ours, theirs = both_labels(pair)
        return cls(pair.variable_map.pairs, tuple(ours), tuple(theirs))


@dataclass(frozen=True)
class Part:
    """One tensor on both sides: what it is, whose, and its five arrays (see `judging.judge`)."""

    what: str
    where: tuple[str | None, str | None, str]
    arrays: tuple[Array | None, ...]

    def shapes_differ(self) -> bool:
        """Whether the two cannot be compared element by element."""
        return (
            self.arrays[0] is None or self.arrays[1] is None or self.arrays[0].shape != self.arrays[1].shape
        )

    def shape_finding(self, check: str, probe: str) -> Finding:
        """Return the finding for other shapes."""
        shapes = [None if array is None else tuple(array.shape) for array in self.arrays[:2]]
        message = f"{self.what} has other shapes on {probe!r}: {shapes[0]} against {shapes[1]}"
        return Finding(check, self.where[0], self.where[1], "shape", shapes[0], shapes[1], message)


def part_of(
    what: str,
    where: tuple[str | None, str | None, str],
    passes: Sequence[Any],
    field: str,
    keys: tuple[int, int],
) -> Part:
    """Return one part of five passes, which may be missing.

    Args:
        what: which tensor, for readers.
        where: its layers and its field.
        passes: reference and candidate as computed, both in float64, the reference perturbed.
        field: the field of a pass that holds it.
        keys: its key on the reference's and on the candidate's side.
    """
    ours, theirs = keys
    every = (ours, theirs, ours, theirs, ours)
    arrays = [
        None if p is None else _item(getattr(p, field), key) for p, key in zip(passes, every, strict=True)
    ]
    shape = None if arrays[0] is None else arrays[0].shape
    return Part(what, where, tuple(like(array, shape) for array in arrays))


def _item(values: Any, key: int) -> Array | None:
    if isinstance(values, dict):
        return values.get(key)
    return values[key] if key < len(values) else None


def like(array: Array | None, shape: tuple[int, ...] | None) -> Array | None:
    """Give a candidate's array the reference's shape where a rewrite only reshapes (Dense as Conv1D)."""
    if array is None or shape is None or array.shape == shape or array.size != math.prod(shape):
        return array
    squeezed = [size for size in shape if size != 1] == [size for size in array.shape if size != 1]
    return array.reshape(shape) if squeezed else array


def explaining(settings: Sequence[Finding], found: Sequence[Finding]) -> list[Finding]:
    """Return the differing training settings whose effect was measured."""
    fields = {finding.field for finding in found}
    touched = {finding.reference_layer for finding in found}
    return [
        setting
        for setting in settings
        if ("regularizer" in setting.field and fields & {"losses", "loss"})
        or (setting.field == "trainable" and "trainable" in fields)
        or any(layer is not None and layer.startswith(str(setting.reference_layer)) for layer in touched)
    ]


def shortened(check: str, found: Sequence[Finding], causes: Sequence[Finding]) -> list[Finding]:
    """Return the worst effect and, as one note, how many more there are; all where no cause is known."""
    differences = [finding for finding in found if finding.severity == "difference"]
    if not any(cause.severity == "difference" for cause in causes) or len(differences) <= 1:
        return list(found)
    rest = ", ".join(str(f.message).split(" differs")[0].split(" on '")[0] for f in differences[1:6])
    more = " ..." if len(differences) > 6 else ""
    message = f"{len(differences) - 1} more tensors differ as a consequence: {rest}{more}"
    return [differences[0], Finding(check, None, None, "value", len(differences), None, message, "note")]


@dataclass(frozen=True)
class Label:
    """The path of a variable's layer, and its role there."""

    layer: str
    role: str

    def __str__(self) -> str:
        return f"{self.layer}/{self.role}"


def labels(model: keras.Model, graph: LayerGraph | None) -> list[Label]:
    """Return a label for each of `variables_of(model)`."""
    named: dict[int, Label] = {}
    for node in graph.nodes if graph is not None else ():
        for role, index in node.variables:
            named.setdefault(index, Label(node.path, role))
    return [named.get(i) or _from_path(model, v.path) for i, v in enumerate(variables_of(model))]


def _from_path(model: keras.Model, path: str) -> Label:
    """Read the layer from Keras's variable path, ``"block/dense/kernel"``."""
    layer, _, role = path.rpartition("/")
    inside = layer.split("/")[0] == model.name or not layer
    return Label(layer if inside else f"{model.name}/{layer}", role)


def both_labels(pair: Pair) -> tuple[list[Label], list[Label]]:
    """Return the labels of both twins' variables."""
    return labels(pair.reference, pair.reference_graph), labels(pair.candidate, pair.candidate_graph)
