"""The rows of a model's summary as plain data: nested models expanded, InputLayers left out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from pytest_kerasequiv.keras_access.functional import core_of, levels_of
from pytest_kerasequiv.keras_access.layers import build_shapes
from pytest_kerasequiv.keras_access.random_state import preserved_state

Shapes = tuple[Any, ...]
"""Shapes of a layer's tensors, one each call and tensor, batch axis first (``None`` = any length)."""


@dataclass(frozen=True)
class Row:
    """One layer in a summary.

    Attributes:
        layer: Keras path, names only.
        kind: class name.
        output_shapes: what it returns.
        parameters: number of weights' elements, shared ones included.
        trainable: whether it is; ``None`` for a layer without weights.
        input_shapes: what it gets. Not compared: it tells whether another output is only a consequence.
    """

    layer: str
    kind: str
    output_shapes: Shapes
    parameters: int
    trainable: bool | None
    input_shapes: Shapes = ()


@dataclass(frozen=True)
class Summary:
    """The rows of one model and its totals, in which shared weights count once."""

    rows: tuple[Row, ...]
    parameters: int
    trainable_parameters: int


def summary_of(model: keras.Model) -> Summary:
    """Return the summary of a built model.

    The rows run from input to output. Where layers are as far from the output as each other, in parallel
    branches, Keras lists them in the order in which a merge names its inputs; here they are sorted by what
    they are, so that ``Add()([a, b])`` and ``Add()([b, a])`` have one summary.
    """
    with preserved_state():  # layers of a subclassed model tell their shapes by symbolic tensors, which count
        rows = tuple(_rows(model, model.name))
    return Summary(
        rows=rows,
        parameters=_elements(model.weights),
        trainable_parameters=_elements(model.trainable_weights),
    )


def _rows(model: Any, path: str) -> list[Row]:
    if not _graph(model):
        return [row for layer in model.layers for row in _expanded(layer, (), f"{path}/{layer.name}")]
    levels: list[list[list[Row]]] = []
    for operations in _levels(model):
        blocks = [_expanded(op, nodes, f"{path}/{op.name}") for op, nodes in operations]
        levels.append(sorted(blocks, key=lambda block: [_sort_key(row) for row in block]))
    return [row for blocks in levels for block in blocks for row in block]


def _expanded(operation: Any, nodes: Iterable[Any], path: str) -> list[Row]:
    if isinstance(operation, keras.layers.InputLayer):
        return []
    if isinstance(operation, keras.Model):
        return _rows(operation, path)
    return [_row(operation, list(nodes), path)]


def _row(operation: Any, nodes: list[Any], path: str) -> Row:
    weights = getattr(operation, "weights", [])
    return Row(
        layer=path,
        kind=type(operation).__name__,
        output_shapes=_shapes(t for node in nodes for t in node.output_tensors)
        if nodes
        else _told_shape(operation),
        parameters=_elements(weights),
        trainable=bool(operation.trainable) if weights else None,
        input_shapes=_shapes(t for node in nodes for t in node.input_tensors),
    )


def _sort_key(row: Row) -> tuple[str, str, int]:
    return row.kind, repr(row.output_shapes), row.parameters


def _graph(model: Any) -> Any:
    """Return the functional core of a model, ``None`` for a subclassed one."""
    core = core_of(model)
    return core if levels_of(core) else None


def _levels(model: Any) -> Iterator[list[tuple[Any, list[Any]]]]:
    """Yield the operations of a graph with their calls in it, level by level from the inputs on."""
    calls: dict[int, list[Any]] = {}
    depth: dict[int, int] = {}
    operations: dict[int, Any] = {}
    for level, nodes in levels_of(_graph(model)).items():
        for node in nodes:
            key = id(node.operation)
            operations[key] = node.operation
            calls.setdefault(key, []).append(node)
            depth[key] = max(
                level, depth.get(key, 0)
            )  # a layer called twice is listed where it is called first
    for level in sorted(set(depth.values()), reverse=True):
        yield [(operations[key], calls[key]) for key in operations if depth[key] == level]


def _shapes(tensors: Iterable[Any]) -> Shapes:
    return tuple(tuple(tensor.shape) for tensor in tensors)


def _told_shape(layer: Any) -> Shapes:
    """Return the output shape that a layer of a subclassed model tells itself; none where it cannot."""
    try:
        shapes = layer.compute_output_shape(**build_shapes(layer))
    except Exception:  # a custom layer's own code; Keras's summary shows "?" here
        return ()
    return tuple(tuple(spec.shape) for spec in keras.tree.flatten(_as_tensors(shapes)))


def _as_tensors(shapes: Any) -> Any:
    return keras.tree.map_shape_structure(keras.KerasTensor, shapes)


def _elements(variables: Iterable[Any]) -> int:
    unique = {id(variable): math.prod(variable.shape) for variable in variables}
    return sum(unique.values())
