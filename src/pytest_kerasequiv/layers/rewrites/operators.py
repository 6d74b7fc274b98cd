"""``a + b`` is ``Add()([a, b])`` on tensors of one shape and dtype, ``Add()([a, b, c])`` is ``a + b + c``.

Likewise for the other operators. Sums, products, maxima and minima may also be taken in another order, which
changes a sum or product by rounding only. Not where tensors are broadcast: layers and operators do it by
different rules. The masks that ``Multiply``, ``Maximum`` and ``Minimum`` read are inputs of theirs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_kerasequiv.layers.layer_graph import Edge, LayerNode
from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of, mask_edges

NAME = "operator"
MERGES = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
ASSOCIATIVE = ("Add", "Multiply", "Maximum", "Minimum")


def apply(work: Work, index: int) -> None:
    """Write an operator as the merging layer, and merges of merges as one."""
    _as_layer(work, index)
    _flatten(work, index)


def _as_layer(work: Work, index: int) -> None:
    node = work.nodes[index]
    name = node.kind.removeprefix("ops.")
    if not is_call_of(node, *MERGES, *(f"ops.{merge}" for merge in MERGES), "Concatenate", "ops.Concatenate"):
        return
    if node.constants or len(node.inputs) < 2 or mask_edges(node) or not _alike(work, node, name):
        return
    config: dict[str, Any] = {"dtype": node.outputs[0][1]}
    config |= {k: v for k, v in node.config.items() if k in ("axis", "activity_regularizer")}
    inputs = tuple(replace(edge, slot=f"inputs.{place}") for place, edge in enumerate(node.inputs))
    if node.kind == name:
        work.set(index, config=config, inputs=inputs)
    else:
        work.change(index, NAME, kind=name, config=config, inputs=inputs)


def _alike(work: Work, node: LayerNode, name: str) -> bool:
    """Tell whether all tensors have one dtype and, but for a concatenation, one shape."""
    specs = [work.spec(edge) for edge in node.inputs]
    one_dtype = {dtype for _, dtype in specs} == {node.outputs[0][1]}
    return one_dtype and (name == "Concatenate" or len({shape for shape, _ in specs}) == 1)


def _flatten(work: Work, index: int) -> None:
    """Take the inputs of a merge that only this merge reads for its own."""
    node = work.nodes[index]
    if not is_call_of(node, *ASSOCIATIVE) or mask_edges(node) or "dtype" not in node.config:
        return
    inputs: list[Edge] = []
    inner = [edge.source for edge in node.inputs if _can_be_taken(work, node, edge)]
    for edge in node.inputs:
        inputs += work.nodes[edge.source].inputs if edge.source in inner else [edge]
    if not inner:
        return
    numbered = tuple(replace(edge, slot=f"inputs.{place}") for place, edge in enumerate(inputs))
    used = [rewrite for source in inner for rewrite in work.nodes[source].rewrites]
    work.change(index, NAME, inputs=numbered, rewrites=(*node.rewrites, *used, (NAME, node.path, node.label)))
    work.drop(inner)


def _can_be_taken(work: Work, node: LayerNode, edge: Edge) -> bool:
    source = work.nodes[edge.source]
    return (
        source.kind == node.kind
        and source.config == node.config
        and "activity_regularizer" not in source.config
        and not mask_edges(source)
        and not work.is_returned(edge.source)
        and len(work.readers(edge.source)) == 1
        and sum(own.source == edge.source for own in node.inputs) == 1
    )
