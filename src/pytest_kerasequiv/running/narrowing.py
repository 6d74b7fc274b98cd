"""Finding code inside a float64 model that rounds to a narrower dtype: its results are not float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.running.running import Runner

RESIZERS = frozenset({"ResizeBilinear", "ResizeBicubic", "ResizeArea", "CropAndResize", "ScaleAndTranslate"})
"""TensorFlow operations that return float32 whatever they are given."""


def narrowing_step(runner: Runner) -> str | None:
    """Return which step of a float64 model rounds to a narrower dtype; ``None`` if none does.

    Only models with code outside Keras's own layers, or with a layer that resizes, are looked at: their
    inference is traced, and every cast from float64 to a narrower float is such a step.

    Args:
        runner: a runner of the float64 twin.
    """
    if not _may_narrow(runner.model) or not runner.layout.known:
        return None
    try:
        graph = runner.graph_def()
    except Exception:  # code that cannot be traced is run eagerly; it cannot be looked into
        return None
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    for node in nodes:
        if _narrows(node):
            return f"{node.name!r} rounds to {_target(node)} inside the model"
    return None


def _may_narrow(model: keras.Model) -> bool:
    resizing = (
        keras.layers.Resizing,
        keras.layers.UpSampling2D,
        keras.layers.Lambda,
        keras.layers.CenterCrop,
    )
    return any(
        isinstance(part, resizing)
        or not isinstance(part, keras.layers.Layer)
        or not type(part).__module__.startswith("keras.")
        for part in _parts(model)
    )


def _parts(model: keras.Model) -> Iterator[Any]:
    for layer in layers_within(model, itself=True):
        yield layer
        yield from getattr(layer, "operations", ())


def _narrows(node: Any) -> bool:
    if node.op in RESIZERS:
        return True
    if node.op != "Cast":
        return False
    narrow = {tf.float32.as_datatype_enum, tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum}
    return node.attr["SrcT"].type == tf.float64.as_datatype_enum and node.attr["DstT"].type in narrow


def _target(node: Any) -> str:
    return "float32" if node.op in RESIZERS else str(tf.dtypes.as_dtype(node.attr["DstT"].type).name)
