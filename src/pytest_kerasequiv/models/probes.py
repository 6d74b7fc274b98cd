"""Generated inputs for a model: chosen by the dtype of each input and by the layers that consume it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.input_layout import InputLayout, InputSpec, input_layout
from pytest_kerasequiv.models.layer_calls import record
from pytest_kerasequiv.models.vocabularies import tokens_of

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from pytest_kerasequiv.models.layer_calls import Recording

    Array = NDArray[np.generic]
    Random = np.random.Generator

FREE_AXIS_SIZES = (16, 32, 64, 128, 256)
"""Sizes tried, smallest first, for an axis that a model leaves free."""

LARGE_SAMPLE = 50_000
"""Numbers in one sample from which on (images of 130 pixels a side) fewer and smaller batches are drawn."""


@dataclass(frozen=True)
class Probe:
    """One batch: its name in reports, and the flattened inputs in the reference's order.

    ``generic``: whether it is run under generic weights instead of the twins' own, see `generic_values`.
    """

    name: str
    inputs: tuple[Array, ...]
    generic: bool = False

    @property
    def batch_size(self) -> int:
        """The number of samples."""
        return len(self.inputs[0])


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
    """What a model takes, found out by running it once: inputs with all axes settled, and what each feeds."""

    layout: InputLayout
    consumers: tuple[Consumer, ...]


def survey(model: keras.Model) -> Survey:
    """Run a model once on zeros, on the smallest inputs it takes, and look at who consumes them.

    The run may advance the model's seed states; it is for the caller to put them back.

    Raises:
        NoProbes: the model's inputs are not known, or it takes none that can be generated.
    """
    layout = input_layout(model)
    if not layout.known:
        raise NoProbes(
            "the model does not know the shape of its inputs: pass inputs=, a batch as Model.predict takes it"
        )
    sized, recording = _first_that_runs(model, layout)
    return Survey(sized, tuple(_consumers(recording, sized)))


def probes_for(found: Survey, seed: int) -> tuple[Probe, ...]:
    """Return generated batches that cover what a model's inputs can be.

    Floats: normal at the scales 1, 0.1, 10 and 100 and zeros; images (four axes, 1, 3 or 4 channels) also
    as 0..255 and 0..1. Ids of an Embedding: uniform over the valid ones, the first and the last always
    among them. What a lookup layer takes: tokens of its vocabulary and one it does not know. Where a layer
    makes a mask: rows padded at the right, and one row that is all padding. Batch sizes 1, 2 and odd ones.

    Args:
        found: what the model takes.
        seed: equal seeds give equal probes.
    """
    specs, consumers = found.layout.specs, found.consumers
    large = max(prod(_sample_shape(spec)) for spec in specs) > LARGE_SAMPLE
    plans = [plan for plan in _PLANS if plan.fits(specs, consumers)]
    return tuple(_draw(plan, specs, consumers, _random(seed, plan.name), large=large) for plan in plans)


def training_batch(found: Survey, seed: int, *, size: int = 6) -> Probe:
    """Return one generic batch for training mode: standard normal floats and valid ids."""
    plan = _Plan("normal, scale 1", size, _normal(1.0))
    large = max(prod(_sample_shape(spec)) for spec in found.layout.specs) > LARGE_SAMPLE
    rng = _random(seed, "training")
    return _draw(plan, found.layout.specs, found.consumers, rng, large=large)


@dataclass(frozen=True)
class _Plan:
    """How one probe is drawn: the batch size, what floats are, and when it makes sense."""

    name: str
    size: int
    floats: Callable[[Random, tuple[int, ...]], Array]
    fits: Callable[[Sequence[InputSpec], Sequence[Consumer]], bool] = lambda _specs, _consumers: True
    padded: bool = False


def _normal(scale: float) -> Callable[[Random, tuple[int, ...]], Array]:
    return lambda rng, shape: scale * rng.standard_normal(shape)


def _has_floats(specs: Sequence[InputSpec], consumers: Sequence[Consumer]) -> bool:
    return any(
        _is_float(spec) and consumer.ids is None for spec, consumer in zip(specs, consumers, strict=True)
    )


def _has_images(specs: Sequence[InputSpec], _consumers: Sequence[Consumer]) -> bool:
    return any(
        _is_float(s) and len(s.shape) == 4 and (s.shape[-1] in {1, 3, 4} or s.shape[1] in {1, 3})
        for s in specs
    )


def _has_masks(_specs: Sequence[InputSpec], consumers: Sequence[Consumer]) -> bool:
    return any(consumer.mask_value is not None for consumer in consumers)


_PLANS = (
    _Plan("normal, scale 1", 5, _normal(1.0)),
    _Plan("one sample", 1, _normal(1.0)),
    _Plan("normal, scale 0.1", 2, _normal(0.1), _has_floats),
    _Plan("normal, scale 10", 3, _normal(10.0), _has_floats),
    _Plan("normal, scale 100", 3, _normal(100.0), _has_floats),
    _Plan("zeros", 2, lambda _rng, shape: _zeros(shape), _has_floats),
    _Plan("image, 0..255", 3, lambda rng, shape: rng.integers(0, 256, shape), _has_images),
    _Plan("image, 0..1", 2, lambda rng, shape: rng.uniform(0, 1, shape), _has_images),
    _Plan("padded rows", 5, _normal(1.0), _has_masks, padded=True),
)


_TEXTS = ("a", "the cat", "equivalence of two models", "")


def _zeros(shape: tuple[int, ...]) -> Array:
    import numpy as np

    return np.zeros(shape)


def _random(seed: int, name: str) -> Random:
    import zlib

    import numpy as np

    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _draw(
    plan: _Plan, specs: Sequence[InputSpec], consumers: Sequence[Consumer], rng: Random, *, large: bool
) -> Probe:
    size = min(plan.size, 2) if large else plan.size
    drawn = []
    for spec, consumer in zip(specs, consumers, strict=True):
        shape = (spec.shape[0] or size, *_sample_shape(spec))
        array = _values(plan, spec, consumer, rng, shape)
        drawn.append(_padded(array, consumer.mask_value) if plan.padded else array)
    named_by_scale = plan.name.startswith("normal") and not _has_floats(specs, consumers)
    return Probe("ids" if named_by_scale else plan.name, tuple(drawn))


def _values(plan: _Plan, spec: InputSpec, consumer: Consumer, rng: Random, shape: tuple[int, ...]) -> Array:
    import numpy as np

    if spec.dtype == "string":
        return rng.choice(np.array([*_TEXTS, *consumer.tokens], dtype=object), shape)
    if spec.dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if consumer.tokens and not _is_float(spec):
        known = np.array(consumer.tokens)
        return rng.choice(np.append(known, known.max() + 1), shape).astype(spec.dtype)
    if consumer.ids is not None or not _is_float(spec):
        return _ids(rng, shape, consumer.ids).astype(spec.dtype)
    values = plan.floats(rng, shape)
    return values.astype("float32" if spec.dtype in {"bfloat16", "float16"} else spec.dtype)


def _ids(rng: Random, shape: tuple[int, ...], last: int | None) -> Array:
    """Draw valid ids, with the last and 0 among them; up to 1 where the number of valid ids is not known."""
    last = 1 if last is None else last
    ids = rng.integers(0, last + 1, shape)
    ids.flat[0] = last
    ids.flat[-1] = 0
    return ids


def _padded(array: Array, mask_value: float | None) -> Array:
    """Pad rows at the right by ever more steps, the last row wholly."""
    if mask_value is None or array.ndim < 2:
        return array
    padded = array.copy()
    rows, steps = array.shape[:2]
    for row in range(rows):
        kept = steps - (row + 1) * steps // rows
        padded[row, kept:] = mask_value
    return padded


def _is_float(spec: InputSpec) -> bool:
    return "float" in spec.dtype


def _sample_shape(spec: InputSpec) -> tuple[int, ...]:
    return tuple(int(size or FREE_AXIS_SIZES[0]) for size in spec.shape[1:])


def _first_that_runs(model: keras.Model, layout: InputLayout) -> tuple[InputLayout, Recording]:
    """Settle the free axes: the smallest size with which the model runs; and the recorded run."""
    free = any(None in spec.shape[1:] for spec in layout.specs)
    error: Exception | None = None
    for size in FREE_AXIS_SIZES if free else (0,):
        specs = tuple(
            InputSpec(s.name, (s.shape[0], *(axis or size for axis in s.shape[1:])), s.dtype)
            for s in layout.specs
        )
        sized = InputLayout(specs, layout.structure)
        try:
            return sized, record(model, sized.pack([_trial(spec) for spec in specs]))
        except Exception as failure:  # whatever a model raises, the next size may do
            error = failure
    raise NoProbes(
        f"the model takes no generated input ({error}): pass inputs=, a batch it does take"
    ) from error


def _trial(spec: InputSpec) -> Any:
    """Return a harmless batch of one: zeros are valid ids everywhere."""
    import numpy as np
    import tensorflow as tf

    shape = (spec.shape[0] or 1, *_sample_shape(spec))
    if spec.dtype == "string":
        return tf.constant(np.full(shape, "a", dtype=object))
    return tf.zeros(shape, spec.dtype)


def _consumers(recording: Recording, layout: InputLayout) -> list[Consumer]:
    """Find out what each input feeds, from the calls that took it first hand."""
    found = []
    for position in range(len(layout.specs)):
        layers = recording.consumers[position] if position < len(recording.consumers) else ()
        found.append(_consumer(layers))
    return found


def _consumer(layers: Sequence[Any]) -> Consumer:
    import keras

    ids = [layer.input_dim - 1 for layer in layers if isinstance(layer, keras.layers.Embedding)]
    ids += [layer.num_tokens - 1 for layer in layers if isinstance(layer, keras.layers.CategoryEncoding)]
    masks = [float(layer.mask_value) for layer in layers if isinstance(layer, keras.layers.Masking)]
    masks += [0.0 for layer in layers if isinstance(layer, keras.layers.Embedding) and layer.mask_zero]
    return Consumer(min(ids, default=None), masks[0] if masks else None, tokens_of(layers))
