"""``Flatten()``, ``Reshape((-1,))`` and ``keras.ops.reshape`` to the same shape move no number."""

from __future__ import annotations

import math
from typing import Any

from pytest_kerasequiv.layers.layer_graph import Edge, LayerNode
from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of

NAME = "reshape form"


def apply(work: Work, index: int) -> None:
    """Write a reshaping layer or operation as ``Reshape`` to the static shape, with one -1 at most."""
    node = work.nodes[index]
    target = _target(work, node)
    if target is None or len(node.inputs) != 1:
        return
    config: dict[str, Any] = {"target_shape": target, "dtype": node.outputs[0][1]}
    config |= {k: v for k, v in node.config.items() if k == "activity_regularizer"}
    edge = Edge(node.inputs[0].source, node.inputs[0].output, "inputs")
    if node.kind == "Reshape" and node.config.get("target_shape") == target:
        work.set(index, config=config)
    else:
        work.change(index, NAME, kind="Reshape", config=config, inputs=(edge,), constants={})


def _target(work: Work, node: LayerNode) -> list[int] | None:
    made = node.outputs[0][0][1:] if node.outputs else ()
    given = work.spec(node.inputs[0])[0] if node.inputs else ()
    if is_call_of(node, "Flatten"):
        plain = node.config.get("data_format") == "channels_last" or len(given) <= 2
        return _static(made) if plain else None
    if is_call_of(node, "Reshape"):
        return _static(made)
    if is_call_of(node, "ops.Reshape") and _keeps_batch(node, given):
        return _static(made)
    return None


def _static(shape: tuple[int | None, ...]) -> list[int] | None:
    if sum(size is None for size in shape) > 1:
        return None
    return [-1 if size is None else size for size in shape]


def _keeps_batch(node: LayerNode, given: tuple[int | None, ...]) -> bool:
    """Tell whether an operation's new shape can only keep the batch axis as it is."""
    new = node.config.get("newshape")
    if not isinstance(new, list) or not new or new[0] != -1 or any(size is None for size in given[1:]):
        return False
    sizes = [size for size in given[1:] if size is not None]
    return math.prod(sizes) == math.prod(new[1:])
