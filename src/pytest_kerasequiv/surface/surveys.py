"""What a model takes, found out by running it: sizes of free axes, who consumes an input, what is masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.running.input_layout import InputLayout, InputSpec, input_layout
from pytest_kerasequiv.running.layer_calls import Recording, record
from pytest_kerasequiv.surface.entries import sizes
from pytest_kerasequiv.surface.masking import masked_inputs, masks_somewhere
from pytest_kerasequiv.weights.vocabularies import tokens_of

FREE_AXIS_SIZES = (16, 32, 64, 128, 256)
"""Sizes tried, smallest first, for an axis that a model leaves free."""

OTHER_LENGTHS = (7, 8, 16)
"""What is added, tried in this order, for the second size of a free axis; a U-Net takes even ones only."""


@dataclass(frozen=True)
class Consumer:
    """What one input feeds: the highest valid id, the value that is masked, the tokens looked up, if any."""

    ids: int | None = None
    mask_value: float | None = None
    tokens: tuple[Any, ...] = ()


class NoProbes(Exception):  # noqa: N818 - an answer, not a fault
    """No input could be generated that the model takes; the message says what to pass."""


@dataclass(frozen=True)
class Survey:
    """What a model takes, found out by running it once.

    Attributes:
        layout: the inputs with all axes settled.
        consumers: what each input feeds.
        masks: whether a layer anywhere in the model makes a mask, of whatever it is given.
        other: the inputs with the free axes of another size; ``None`` where no axis is free or no other size
            is taken.
    """

    layout: InputLayout
    consumers: tuple[Consumer, ...]
    masks: bool = False
    other: InputLayout | None = None


def survey(model: keras.Model) -> Survey:
    """Run a model once on zeros, on the smallest inputs it takes, and look at who consumes them.

    Where axes are free it is run on a second size of them too. The runs may advance the model's seed states;
    it is for the caller to put them back.

    Raises:
        NoProbes: the model's inputs are not known, or it takes none that can be generated.
    """
    layout = input_layout(model)
    if not layout.known:
        raise NoProbes(
            "the model does not know the shape of its inputs: pass inputs=, a batch as Model.predict takes it"
        )
    sized, recording = _first_that_runs(model, layout)
    return Survey(
        sized, tuple(_consumers(recording, sized)), masks_somewhere(model), _other(model, layout, sized)
    )


def joined(reference: Survey, candidate: Survey) -> Survey:
    """Return what the reference takes, with what only the candidate tells of it added.

    The ids and sizes that the reference takes are the contract; where it tells none, those of the candidate.
    """
    masks = reference.masks or candidate.masks
    if len(candidate.consumers) != len(reference.consumers):
        return replace(reference, masks=masks)
    both = zip(reference.consumers, candidate.consumers, strict=True)
    return replace(reference, consumers=tuple(_union(*pair) for pair in both), masks=masks)


def _union(ours: Consumer, theirs: Consumer) -> Consumer:
    return Consumer(
        theirs.ids if ours.ids is None else ours.ids,
        theirs.mask_value if ours.mask_value is None else ours.mask_value,
        tuple(dict.fromkeys((*ours.tokens, *theirs.tokens))),
    )


def _sized(layout: InputLayout, base: int, step: int) -> list[InputLayout]:
    """Return the inputs with their free axes settled, unlike ones first; see `entries.sizes`."""
    if not _is_free(layout):
        return [layout]
    return [InputLayout(tuple(specs), layout.structure) for specs in sizes(list(layout.specs), base, step)]


def _is_free(layout: InputLayout) -> bool:
    return any(None in spec.shape[1:] for spec in layout.specs)


def _first_that_runs(model: keras.Model, layout: InputLayout) -> tuple[InputLayout, Recording]:
    """Settle the free axes: the smallest sizes, unlike ones first, at which the model runs; and that run."""
    error: Exception | None = None
    tried = [sized for size in FREE_AXIS_SIZES for sized in _sized(layout, size, size)]
    for sized in tried if _is_free(layout) else tried[:1]:
        try:
            return sized, record(model, sized.pack([_trial(spec) for spec in sized.specs]))
        except Exception as failure:  # whatever a model raises, the next size may do
            error = failure
    raise NoProbes(
        f"the model takes no generated input ({error}): pass inputs=, a batch it does take"
    ) from error


def _other(model: keras.Model, layout: InputLayout, settled: InputLayout) -> InputLayout | None:
    """Return the inputs with a second size of the free axes, the first that the model takes."""
    first = _free_size(layout, settled)
    tried = [sized for more in OTHER_LENGTHS for sized in _sized(layout, first + more, first)]
    for sized in tried if _is_free(layout) else ():
        try:
            model(sized.pack([_trial(spec) for spec in sized.specs]), training=False)
        except Exception:  # what a model refuses it need not be asked
            continue
        return sized
    return None


def _free_size(layout: InputLayout, settled: InputLayout) -> int:
    """Return the size that was settled for the first free axis."""
    for free, spec in zip(layout.specs, settled.specs, strict=True):
        for axis, size in zip(free.shape[1:], spec.shape[1:], strict=True):
            if axis is None and size is not None:
                return size
    return 0


def _trial(spec: InputSpec) -> Any:
    """Return a harmless batch of one: zeros are valid ids everywhere."""
    shape = (spec.shape[0] or 1, *(int(size or 0) for size in spec.shape[1:]))
    if spec.dtype == "string":
        return tf.constant(np.full(shape, "a", dtype=object))
    return tf.zeros(shape, spec.dtype)


def _consumers(recording: Recording, layout: InputLayout) -> list[Consumer]:
    """Find out what each input feeds, from the calls that took it first hand."""
    masked = masked_inputs(recording)
    found = []
    for position in range(len(layout.specs)):
        layers = recording.consumers[position] if position < len(recording.consumers) else ()
        found.append(_consumer(layers, masked.get(position)))
    return found


def _consumer(layers: Sequence[Any], mask_value: float | None) -> Consumer:
    ids = [layer.input_dim - 1 for layer in layers if isinstance(layer, keras.layers.Embedding)]
    ids += [layer.num_tokens - 1 for layer in layers if isinstance(layer, keras.layers.CategoryEncoding)]
    return Consumer(min(ids, default=None), mask_value, tokens_of(layers))
