"""Pooling over the whole of every spatial axis is global pooling.

Without a mask only: ``GlobalAveragePooling1D`` leaves masked steps out, ``AveragePooling1D`` does not.
"""

from __future__ import annotations

from typing import Any

from pytest_kerasequiv.layers.layer_graph import LayerNode
from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of, mask_edges

NAME = "global pooling"
GLOBAL = {
    f"{kind}Pooling{rank}D": f"Global{kind}Pooling{rank}D"
    for kind in ("Average", "Max")
    for rank in (1, 2, 3)
}


def apply(work: Work, index: int) -> None:
    """Write a pooling over everything as a global one; take the reshape that drops its unit axes into it."""
    node = work.nodes[index]
    if is_call_of(node, *GLOBAL) and _covers_all(work, node):
        kept = {k: v for k, v in node.config.items() if k in ("data_format", "dtype", "activity_regularizer")}
        work.change(index, NAME, kind=GLOBAL[node.kind], config={**kept, "keepdims": True})
        node = work.nodes[index]
    if is_call_of(node, *GLOBAL.values()) and node.config.get("keepdims") and not mask_edges(node):
        _take_reshape(work, index, node)


def _covers_all(work: Work, node: LayerNode) -> bool:
    shape, made = work.spec(node.inputs[0])[0], node.outputs[0][0]
    pool: Any = node.config.get("pool_size")
    return (
        node.config.get("data_format") == "channels_last"
        and list(shape[1:-1]) == list(pool)
        and all(size == 1 for size in made[1:-1])
        and "activity_regularizer" not in node.config
    )


def _take_reshape(work: Work, index: int, node: LayerNode) -> None:
    """Pull a reshape to (batch, channels) into the pooling in front of it."""
    channels = node.outputs[0][0][-1]
    readers = work.readers(index)
    if len(readers) != 1 or work.is_returned(index) or "activity_regularizer" in node.config:
        return
    reshape = work.nodes[readers[0]]
    if reshape.kind != "Reshape" or reshape.outputs[0][0][1:] != (channels,) or channels is None:
        return
    if "activity_regularizer" in reshape.config:
        return
    work.change(
        readers[0],
        NAME,
        kind=node.kind,
        config={**node.config, "keepdims": False},
        layer=node.layer,
        inputs=node.inputs,
        rewrites=(*node.rewrites, *reshape.rewrites, (NAME, reshape.path, reshape.label)),
    )
    work.drop([index])
