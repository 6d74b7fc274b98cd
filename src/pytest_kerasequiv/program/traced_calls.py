"""Tracing calls of a model: inference, and calls with other arguments or shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.keras_access.functional import mask_beside
from pytest_kerasequiv.layers.fixed_training import phase
from pytest_kerasequiv.program.assembling import Traced
from pytest_kerasequiv.program.logits import keep_lasts, last_operation
from pytest_kerasequiv.program.tracing_functions import Results, traced
from pytest_kerasequiv.surface.entries import Entry, Given

MODES = {None: "plain", False: "inference", True: "training"}


@dataclass(frozen=True)
class Outputs:
    """What a model returns: the structure of ``tf.TensorSpec``, and of each flattened output more.

    Attributes:
        specs: the structure.
        masks: the specs of the masks.
        lasts: what makes it, see `last_operation`.
    """

    specs: Any
    masks: tuple[Any, ...]
    lasts: tuple[str, ...]

    @property
    def weights(self) -> Any:
        """Specs of sample weights, as Keras takes them: one a sample, with an axis for each of a loss's.

        Where steps are masked it takes one a step only.
        """
        flat = zip(keras.tree.flatten(self.specs), self.masks, strict=True)
        shapes = [_one_a_sample(spec) if mask is None else mask.shape for spec, mask in flat]
        if all(len(shape) == 1 for shape in shapes):
            return tf.TensorSpec((None,), tf.float32)
        return keras.tree.pack_sequence_as(self.specs, [tf.TensorSpec(s, tf.float32) for s in shapes])


def _one_a_sample(spec: tf.TensorSpec) -> tuple[int | None, ...]:
    """Return the shape of sample weights; a loss has one axis less than the output."""
    return (None, *[1] * ((spec.shape.rank or 2) - 2))


def trace_inference(model: keras.Model, signature: Any) -> tuple[Traced, Outputs]:
    """Trace a model as ``predict`` and ``evaluate`` call it; returns also what its outputs are."""
    seen: list[Outputs] = []

    def body(results: Results, given: Mapping[str, Any]) -> None:
        outputs = model(given["Input"], **phase(model, training=False))
        seen.append(_described(outputs))
        _note(results, "inference", model, outputs)

    function = traced(body, {"Input": signature})
    keep_lasts(model, seen[-1].lasts)
    return function, seen[-1]


def trace_calls(model: keras.Model, entry: Entry, signature: Any) -> Traced:
    """Trace the calls of an entry one after the other: each in its mode, with its arguments."""
    tensors = {
        name: _argument_spec(value, signature) for name, value in entry.arguments if isinstance(value, Given)
    }
    plain = {name: value for name, value in entry.arguments if name not in tensors}

    def body(results: Results, given: Mapping[str, Any]) -> None:
        arguments = plain | {name: given[f"Argument {name}"] for name in tensors}
        for mode in entry.modes:
            told = {} if mode is None else phase(model, training=mode)
            outputs = model(given["Input"], **told, **arguments)
            _note(results, f"{entry.name}, {MODES[mode]}", model, outputs)

    groups = {f"Argument {name}": spec for name, spec in tensors.items()}
    return traced(body, {"Input": signature, **groups})


def _note(results: Results, what: str, model: keras.Model, outputs: Any) -> None:
    """Note what a call returned, and the losses that its layers added."""
    results.add_outputs(f"{what} output", outputs)
    for loss in model.losses:
        results.add(f"added loss in {what}", loss)


def _described(outputs: Any) -> Outputs:
    flat = keras.tree.flatten(outputs)
    masks = map(mask_beside, flat)
    return Outputs(
        keras.tree.map_structure(_spec, outputs),
        tuple(None if mask is None else _spec(mask) for mask in masks),
        tuple(map(last_operation, flat)),
    )


def _spec(tensor: Any) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype)


def _argument_spec(given: Given, signature: Any) -> tf.TensorSpec:
    """Return what is given for a tensor argument, from the first input."""
    first = keras.tree.flatten(signature)[0]
    if given is Given.LIKE_INPUT:
        return first
    steps = first.shape[:-1] if first.shape.rank > 2 else first.shape
    return tf.TensorSpec(steps, tf.bool)
