"""Naming a variable by the layer that owns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_kerasequiv.models.variables import variables_of

if TYPE_CHECKING:
    import keras

    from pytest_kerasequiv.checks.pair import Pair
    from pytest_kerasequiv.models.graph import LayerGraph


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
