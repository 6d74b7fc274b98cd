"""What a model takes, found out by running it: sizes of free axes, who consumes an input, what is masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.running.input_layout import InputLayout, InputSpec, input_layout
from pytest_kerasequiv.running.layer_calls import Recording, record
from pytest_kerasequiv.surface.masking import masked_inputs, masks_somewhere
from pytest_kerasequiv.surface.ranges import bounds, highest_taken
from pytest_kerasequiv.surface.sizes import FREE_AXIS_SIZES, free_axes, other_layouts, settled_layouts
from pytest_kerasequiv.weights.vocabularies import tokens_of


@dataclass(frozen=True)
class Consumer:
    """What one input feeds.

    Attributes:
        ids: the highest valid id, told by a layer; or the highest integer that the model takes; ``None``
            where it takes all.
        mask_value: the value that is masked.
        tokens: what is looked up.
        negative: whether the model takes an integer below zero, as far as it is known.
    """

    ids: int | None = None
    mask_value: float | None = None
    tokens: tuple[Any, ...] = ()
    negative: bool = True


class NoProbes(Exception):  # noqa: N818 - an answer, not a fault
    """No input could be generated that the model takes; the message says what to pass."""


@dataclass(frozen=True)
class Survey:
    """What a model takes, found out by running it once.

    Attributes:
        layout: the inputs with all axes settled.
        consumers: what each input feeds.
        masks: whether a layer anywhere in the model makes a mask, of whatever it is given.
        other: the inputs with the free axes of other sizes; ``None`` where no axis is free or no other sizes
            are taken.
        near: constants over which the twins part, see `checks.numeric.aiming`.
        lengths: the inputs with free axes as long as these constants.
        batches: batch sizes that a twin compares sizes with.
        signed: whether integers may be negative.
        large: whether the twins calculate otherwise with integers, and none of them is a size.
        beyond: whether one twin alone narrows integers of 64 bits to 32.
        missing: whether a twin looks for missing numbers, NaN.
        infinite: whether a twin looks for infinite numbers.
    """

    layout: InputLayout
    consumers: tuple[Consumer, ...]
    masks: bool = False
    other: InputLayout | None = None
    near: tuple[float, ...] = ()
    lengths: tuple[InputLayout, ...] = ()
    batches: tuple[int, ...] = ()
    signed: bool = False
    large: bool = False
    beyond: bool = False
    missing: bool = False
    infinite: bool = False


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
    consumers = _with_ranges(model, sized, _consumers(recording, sized))
    return Survey(sized, tuple(consumers), masks_somewhere(model), _other(model, layout, sized))


def joined(reference: Survey, candidate: Survey, *, guarded: bool = False) -> Survey:
    """Return what the reference takes, with what only the candidate tells of it added.

    The ids and sizes that the reference takes are the contract; where it tells none, those of the candidate.

    Args:
        reference: what the reference takes.
        candidate: what the candidate takes.
        guarded: whether the reference sees to it that it takes any integer.
    """
    masks = reference.masks or candidate.masks
    if len(candidate.consumers) != len(reference.consumers):
        return replace(reference, masks=masks)
    both = zip(reference.consumers, candidate.consumers, strict=True)
    taken = tuple(_union(*pair, guarded=guarded) for pair in both)
    layout = _as_wide_as(reference.layout, candidate.layout)
    other = None if reference.other is None else _as_wide_as(reference.other, candidate.layout)
    return replace(reference, layout=layout, other=other, consumers=taken, masks=masks)


def _as_wide_as(ours: InputLayout, theirs: InputLayout) -> InputLayout:
    """Return inputs of dtypes that hold what either side takes: floats where one alone drops fractions."""
    specs = tuple(
        replace(mine, dtype=wider(mine.dtype, its.dtype))
        for mine, its in zip(ours.specs, theirs.specs, strict=True)
    )
    return replace(ours, specs=specs)


def wider(ours: str, theirs: str) -> str:
    """Return the dtype whose numbers hold those of both."""
    if ours == theirs or {ours, theirs} & {"string", "bool"}:
        return ours
    return str(keras.backend.result_type(ours, theirs))


def _union(ours: Consumer, theirs: Consumer, *, guarded: bool) -> Consumer:
    return Consumer(
        theirs.ids if ours.ids is None and not guarded else ours.ids,
        theirs.mask_value if ours.mask_value is None else ours.mask_value,
        tuple(dict.fromkeys((*ours.tokens, *theirs.tokens))),
        ours.negative and (theirs.negative or guarded),
    )


def _first_that_runs(model: keras.Model, layout: InputLayout) -> tuple[InputLayout, Recording]:
    """Settle the free axes: the smallest sizes with which the model runs, also as a graph; and the run."""
    error: Exception | None = None
    eagerly: tuple[InputLayout, Recording] | None = None
    for start in FREE_AXIS_SIZES if free_axes(layout) else (0,):
        for sized in settled_layouts(layout, start):
            try:
                found = sized, record(model, sized.pack([_trial(spec) for spec in sized.specs]))
            except Exception as failure:  # whatever a model raises, the next sizes may do
                error = failure
                continue
            if not free_axes(layout) or _shapes_fit(model, sized):
                return found
            eagerly = eagerly or found
    if eagerly is None:
        raise NoProbes(
            f"the model takes no generated input ({error}): pass inputs=, a batch it does take"
        ) from error
    return eagerly


def _shapes_fit(model: keras.Model, layout: InputLayout) -> bool:
    """Tell whether a graph of the model can be made for inputs of these sizes.

    Run eagerly, a convolution whose window is longer than its input may return memory that nobody wrote.
    """
    specs = [tf.TensorSpec(_trial_shape(spec), spec.dtype) for spec in layout.specs]
    try:
        tf.function(lambda inputs: model(inputs, training=False), autograph=False).get_concrete_function(
            layout.pack(specs)
        )
    except Exception:  # what a model refuses it need not be asked
        return False
    return True


def _other(model: keras.Model, layout: InputLayout, settled: InputLayout) -> InputLayout | None:
    """Return the inputs with second sizes of the free axes, the first that the model takes."""
    for sized in other_layouts(layout, settled):
        if _takes(model, sized) and (_shapes_fit(model, sized) or not _shapes_fit(model, settled)):
            return sized
    return None


def _takes(model: keras.Model, layout: InputLayout, filled: Mapping[int, int] | None = None) -> bool:
    """Tell whether a model takes inputs of zeros; ``filled``: by position, what is given instead."""
    trials = [_trial(spec) for spec in layout.specs]
    for position, value in (filled or {}).items():
        trials[position] = tf.fill(tf.shape(trials[position]), tf.cast(value, trials[position].dtype))
    try:
        model(layout.pack(trials), training=False)
    except Exception:  # what a model refuses it need not be asked
        return False
    return True


def _with_ranges(
    model: keras.Model, layout: InputLayout, consumers: Sequence[Consumer]
) -> Iterator[Consumer]:
    """Add which integers the model takes where no layer tells which ids are valid."""
    for position, (spec, consumer) in enumerate(zip(layout.specs, consumers, strict=True)):
        if "int" not in spec.dtype or consumer.ids is not None or consumer.tokens:
            yield consumer
            continue
        takes = partial(_takes_value, model, layout, position)
        yield replace(
            consumer, ids=highest_taken(takes, spec.dtype), negative=takes(max(-1, bounds(spec.dtype)[0]))
        )


def _takes_value(model: keras.Model, layout: InputLayout, position: int, value: int) -> bool:
    return _takes(model, layout, {position: value})


def _trial(spec: InputSpec) -> Any:
    """Return a harmless batch of one: zeros are valid ids everywhere."""
    shape = _trial_shape(spec)
    if spec.dtype == "string":
        return tf.constant(np.full(shape, "a", dtype=object))
    return tf.zeros(shape, spec.dtype)


def _trial_shape(spec: InputSpec) -> tuple[int, ...]:
    return (spec.shape[0] or 1, *(int(size or 0) for size in spec.shape[1:]))


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
    return Consumer(min(ids, default=None), mask_value, tokens_of(layers), negative=not ids)
