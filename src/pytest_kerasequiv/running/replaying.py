"""Running single layers again, on the tensors of a recorded call or on others."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.keras_access.functional import carry_mask
from pytest_kerasequiv.keras_access.layers import takes_training
from pytest_kerasequiv.running.differentiating import gradients_of
from pytest_kerasequiv.running.layer_calls import LayerCall, masks, tensors, to_array


@dataclass(frozen=True)
class Given:
    """A tensor to replay a layer on: its value and its Keras mask."""

    value: NDArray[np.generic]
    mask: NDArray[np.generic] | None = None


def given_to(call: LayerCall) -> list[Given]:
    """Return the tensors that a call was given, in the order of its ``sources``."""
    values = tensors((call.args, dict(call.kwargs)))
    return [Given(value, mask) for value, mask in zip(values, call.masks, strict=True)]


def replay(layer: keras.Layer, call: LayerCall, given: Sequence[Given] | None = None) -> tuple[Given, ...]:
    """Run one layer again, on the tensors of a recorded call or on others in their place.

    Masks travel as they did: on the tensors, and as an argument only where the caller gave one.

    Args:
        layer: the layer to run: the one that was called, or another that takes the same.
        call: the recorded call.
        given: tensors in the place of the recorded ones, in the order of ``call.sources``.

    Returns:
        The flattened outputs.
    """
    leaves = iter(given if given is not None else given_to(call))
    structure = (call.args, dict(call.kwargs))
    args, kwargs = keras.tree.map_structure(
        lambda leaf: _tensor_of(next(leaves)) if hasattr(leaf, "dtype") else leaf, structure
    )
    outputs = layer(*args, **{name: value for name, value in kwargs.items() if _takes(layer, name)})
    their_masks = masks(outputs)
    return tuple(
        Given(value, mask)
        for value, mask in zip((to_array(t) for t in tensors(outputs)), their_masks, strict=True)
        if value is not None
    )


def replay_backward(layer: keras.Layer, call: LayerCall) -> tuple[NDArray[np.generic], ...]:
    """Run one layer on a recorded call's tensors and send random cotangents back through it.

    Args:
        layer: the layer to run.
        call: the recorded call; equal calls get equal cotangents.

    Returns:
        The gradients for each float tensor it was given, then for each of its trainable weights.
    """
    given = [_tensor_of(one) for one in given_to(call)]
    floats = [tensor for tensor in given if tensor.dtype.is_floating]
    leaves = iter(given)
    args, kwargs = keras.tree.map_structure(
        lambda leaf: next(leaves) if hasattr(leaf, "dtype") else leaf, (call.args, dict(call.kwargs))
    )
    weights = list(getattr(layer, "trainable_variables", ()))
    rng = np.random.default_rng(0)
    with tf.GradientTape() as tape:
        tape.watch(floats)
        outputs = layer(*args, **{name: value for name, value in kwargs.items() if _takes(layer, name)})
        made = [tensor for tensor in tensors(outputs) if tensor.dtype.is_floating]
        total = tf.add_n(
            [
                tf.reduce_sum(tensor * tf.cast(rng.standard_normal(tensor.shape), tensor.dtype))
                for tensor in made
            ]
        )
    return tuple(gradient.numpy() for gradient in gradients_of(tape, total, [*floats, *weights]))


def _tensor_of(given: Given) -> Any:
    tensor = tf.constant(given.value)
    if given.mask is not None:
        carry_mask(tensor, tf.constant(given.mask))
    return tensor


def _takes(layer: keras.Layer, name: str) -> bool:
    if name == "training" and takes_training(layer):
        return True
    parameters = inspect.signature(layer.call).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
