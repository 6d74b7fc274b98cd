"""Generated inputs for a model: chosen by the dtype of each input and by the layers that consume it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.running.input_layout import InputSpec
from pytest_kerasequiv.surface.surveys import Consumer, NoProbes, Survey, joined, survey

Array = NDArray[np.generic]
Random = np.random.Generator


__all__ = ["Consumer", "NoProbes", "Probe", "Survey", "joined", "probes_for", "survey", "training_batch"]

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


def probes_for(found: Survey, seed: int) -> tuple[Probe, ...]:
    """Return generated batches that cover what a model's inputs can be.

    Floats: normal at the scales 1, 0.1, 10 and 100 and zeros; images (four axes, 1, 3 or 4 channels) also
    as 0..255 and 0..1. Ids of an Embedding: uniform over the valid ones, the first and the last always
    among them. What a lookup layer takes: tokens of its vocabulary and one it does not know. Where a layer
    makes a mask: rows padded at the right, and one row that is all padding. Where an axis is free: a batch of
    another size of it. Batch sizes 1, 2 and odd ones.

    Args:
        found: what the model takes.
        seed: equal seeds give equal probes.
    """
    plans = [plan for plan in _PLANS if plan.fits(found)]
    return tuple(_draw(plan, found, _random(seed, plan.name)) for plan in plans)


def training_batch(found: Survey, seed: int, *, size: int = 6) -> Probe:
    """Return one generic batch for training mode: standard normal floats and valid ids."""
    plan = _Plan("normal, scale 1", size, _normal(1.0))
    return _draw(plan, found, _random(seed, "training"))


@dataclass(frozen=True)
class _Plan:
    """How one probe is drawn: the batch size, what floats are, and when it makes sense."""

    name: str
    size: int
    floats: Callable[[Random, tuple[int, ...]], Array]
    fits: Callable[[Survey], bool] = lambda _found: True
    padded: bool = False
    other: bool = False


def _normal(scale: float) -> Callable[[Random, tuple[int, ...]], Array]:
    return lambda rng, shape: scale * rng.standard_normal(shape)


def _has_floats(found: Survey) -> bool:
    pairs = zip(found.layout.specs, found.consumers, strict=True)
    return any(_is_float(spec) and consumer.ids is None for spec, consumer in pairs)


def _has_images(found: Survey) -> bool:
    return any(
        _is_float(s) and len(s.shape) == 4 and (s.shape[-1] in {1, 3, 4} or s.shape[1] in {1, 3})
        for s in found.layout.specs
    )


def _has_masks(found: Survey) -> bool:
    return found.masks or any(consumer.mask_value is not None for consumer in found.consumers)


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
    _Plan("another length", 2, _normal(1.0), lambda found: found.other is not None, other=True),
)


def _zeros(shape: tuple[int, ...]) -> Array:
    return np.zeros(shape)


def _random(seed: int, name: str) -> Random:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _draw(plan: _Plan, found: Survey, rng: Random) -> Probe:
    layout = found.other if plan.other and found.other is not None else found.layout
    large = max(prod(_sample_shape(spec)) for spec in layout.specs) > LARGE_SAMPLE
    size = min(plan.size, 2) if large else plan.size
    drawn = []
    for spec, consumer in zip(layout.specs, found.consumers, strict=True):
        shape = (spec.shape[0] or size, *_sample_shape(spec))
        array = _values(plan, spec, consumer, rng, shape)
        drawn.append(_padded(array, _padding(found, spec, consumer)) if plan.padded else array)
    named_by_scale = plan.name.startswith("normal") and not _has_floats(found)
    return Probe("ids" if named_by_scale else plan.name, tuple(drawn))


def _padding(found: Survey, spec: InputSpec, consumer: Consumer) -> float | None:
    """Return what rows are padded with; 0 where some layer, not known which, may mask what it makes of it."""
    if consumer.mask_value is None and found.masks and ("float" in spec.dtype or "int" in spec.dtype):
        return 0.0
    return consumer.mask_value


def _values(plan: _Plan, spec: InputSpec, consumer: Consumer, rng: Random, shape: tuple[int, ...]) -> Array:
    if spec.dtype == "string":
        return random_texts(rng, shape, consumer.tokens)
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
    if ids.size:  # an axis may be of size 0
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
    return tuple(int(size or 0) for size in spec.shape[1:])  # no axis of a survey is free


TEXTS = ("a", "the cat", "equivalence of two models", "")


def random_texts(
    rng: np.random.Generator, shape: tuple[int, ...], tokens: Sequence[Any]
) -> NDArray[np.generic]:
    """Return an array of texts: plain ones, tokens, and, but for a single text, two that need tidying.

    The two have capitals, digits and repeated blanks, and punctuation: models that standardise otherwise
    look up other tokens in them.

    Args:
        rng: draws.
        shape: shape of the array.
        tokens: what a lookup layer knows; the texts that need tidying are made of them.
    """
    drawn = np.asarray(rng.choice(np.array([*TEXTS, *tokens], dtype=object), shape), dtype=object)
    if drawn.size > 2:
        drawn.flat[0], drawn.flat[1] = untidy_texts([str(token) for token in tokens])
    return drawn


def untidy_texts(tokens: Sequence[str]) -> tuple[str, str]:
    """Return two texts of known tokens: one in other capitals, one with punctuation."""
    first, second, *_ = [*(token for token in tokens if token.strip()), "the", "cat"]
    return f"{first.swapcase()}  {second} 7", f"{first}, {second}! {first}-{second}. {second.swapcase()}"
