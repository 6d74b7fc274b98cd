"""Generated inputs for a model: chosen by the dtype of each input and by the layers that consume it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.running.input_layout import InputSpec
from pytest_kerasequiv.surface.ranges import BEYOND, LARGE, WIDE, bounds, drawn_integers
from pytest_kerasequiv.surface.surveys import Consumer, NoProbes, Survey, joined, survey

Array = NDArray[np.generic]
Random = np.random.Generator


__all__ = ["Consumer", "NoProbes", "Probe", "Survey", "joined", "probes_for", "survey", "training_batch"]

MOST_SCALED = 1e6
"""Largest constant to whose scale floats are drawn."""

LARGE_SAMPLE = 50_000
"""Numbers in one sample from which on (images of 130 pixels a side) smaller batches are drawn."""

AIMED_NUMBERS = 20_000
"""Most numbers of the batch about constants, but for its least size."""

MIXED = 4
"""Size of a batch from which on it keeps a second sample then, so that what mixes samples shows."""


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

    Floats: normal at the scales 1, 0.1, 10 and 100 and zeros, at 0.1 all positive in one row and all negative
    in the next; images (four axes, 1, 3 or 4 channels) also as 0..255 and 0..1. Integers: small ones and such
    over the whole range of the dtype (up to `ranges.WIDE`, up to `ranges.LARGE` where the twins calculate
    otherwise with them, up to `ranges.BEYOND` where one alone narrows them), or over the ids that a layer or
    a gather takes, the first and the last always among them. What a lookup layer takes: tokens of its
    vocabulary and one it does not know. Constants over which the twins part: values just below, at and above
    them, floats of their scale, and free axes of such sizes. NaN and infinite numbers where a twin looks for
    them. Where an axis may be time: rows padded at the right, at the left and in between, and one row that is
    all padding. Where axes are free: each of its own size, and a batch of other sizes. Batch sizes 1, 2 and
    odd.

    Args:
        found: what the model takes.
        seed: equal seeds give equal probes.
    """
    plans = [plan for plan in _PLANS if plan.fits(found)]
    drawn = [_draw(plan, found, _random(seed, plan.name)) for plan in plans]
    for layout in found.lengths:
        sizes = " and ".join("x".join(map(str, spec.shape[1:])) for spec in layout.specs)
        plan = _Plan(f"of size {sizes}", 1, _normal(1.0))
        drawn.append(_draw(plan, replace(found, layout=layout), _random(seed, plan.name)))
    for size in found.batches:
        plan = _Plan(f"of {size} samples", size, _normal(1.0))
        drawn.append(_draw(plan, found, _random(seed, plan.name)))
    return tuple(drawn)


def training_batch(found: Survey, seed: int, *, size: int = 6) -> Probe:
    """Return one generic batch for training mode: standard normal floats and valid ids."""
    plan = _Plan("normal, scale 1", size, _normal(1.0))
    return _draw(plan, found, _random(seed, "training"))


@dataclass(frozen=True)
class _Plan:
    """How one probe is drawn: the batch size, what floats are, and when it makes sense."""

    name: str
    size: int
    floats: Callable[[Random, tuple[int, ...], Survey], Array]
    fits: Callable[[Survey], bool] = lambda _found: True
    padded: bool = False
    other: bool = False
    large: bool = False
    rows: Callable[[Survey], int] | None = None


def _normal(scale: float) -> Callable[[Random, tuple[int, ...], Survey], Array]:
    return lambda rng, shape, _: scale * rng.standard_normal(shape)


def _of_one_sign(rng: Random, shape: tuple[int, ...], _: Survey) -> Array:
    """Draw small numbers, all positive in one row and all negative in the next."""
    signs = np.resize([1.0, -1.0], (shape[0], *[1] * (len(shape) - 1)))
    return np.asarray(0.1 * signs * np.abs(rng.standard_normal(shape)))


def _near(rng: Random, shape: tuple[int, ...], found: Survey) -> Array:
    """Draw half of the numbers about the constants, each at every place where there are rows enough."""
    return _at_every_place(rng, _about(found), rng.standard_normal(shape))


def _about(found: Survey) -> list[float]:
    """Return numbers just below, at and above the constants, their halves, doubles and opposites."""
    about = [factor * c + d for c in found.near for factor in (1, -1) for d in (-1, 0, 1)]
    return about + [factor * c for c in found.near for factor in (0.5, 0.99, 1.01, 2)]


def _at_every_place(rng: Random, about: Sequence[float], others: Array) -> Array:
    """Put numbers in half of the rows of each place of a sample: all of them, if there are rows enough."""
    rows = len(others)
    half = np.array(rng.choice(about, (rows // 2, *others.shape[1:])))
    if len(about) <= len(half):
        half[: len(about)] = np.reshape(about, (-1, *[1] * (others.ndim - 1)))
    others[: len(half)] = half
    return rng.permuted(others, axis=0)


def _rows_about(found: Survey) -> int:
    """Return how many rows bring each number about the constants to every place, as far as that is cheap."""
    sample = max(prod(_sample_shape(spec)) for spec in found.layout.specs)
    return min(2 * len(_about(found)), max(AIMED_NUMBERS // max(sample, 1), MIXED))


def _as_large(rng: Random, shape: tuple[int, ...], found: Survey) -> Array:
    """Draw normal numbers of a scale at which what the model makes of them reaches the largest constant."""
    return 10 * _largest(found) * rng.standard_normal(shape)


def _with_missing(rng: Random, shape: tuple[int, ...], _: Survey) -> Array:
    """Draw normal numbers, a third of which is missing."""
    return np.where(rng.integers(0, 3, shape) == 0, np.nan, rng.standard_normal(shape))


def _with_infinite(rng: Random, shape: tuple[int, ...], _: Survey) -> Array:
    """Draw normal numbers, a third of which is infinite, of either sign."""
    infinite = rng.choice([-np.inf, np.inf], shape)
    return np.where(rng.integers(0, 3, shape) == 0, infinite, rng.standard_normal(shape))


def _largest(found: Survey) -> float:
    return max((abs(c) for c in found.near if abs(c) <= MOST_SCALED), default=0.0)


def _has_floats(found: Survey) -> bool:
    pairs = zip(found.layout.specs, found.consumers, strict=True)
    return any(_is_float(spec) and consumer.ids is None for spec, consumer in pairs)


def _has_integers(found: Survey) -> bool:
    """Whether an input takes integers that are no ids."""
    pairs = zip(found.layout.specs, found.consumers, strict=True)
    return any(one.ids is None and "int" in spec.dtype for spec, one in pairs)


def _has_numbers(found: Survey) -> bool:
    """Whether an input takes numbers that are no ids."""
    pairs = zip(found.layout.specs, found.consumers, strict=True)
    return any(one.ids is None and spec.dtype not in {"string", "bool"} for spec, one in pairs)


def _has_images(found: Survey) -> bool:
    return any(
        _is_float(s) and len(s.shape) == 4 and (s.shape[-1] in {1, 3, 4} or s.shape[1] in {1, 3})
        for s in found.layout.specs
    )


def _has_steps(found: Survey) -> bool:
    """Whether a layer makes a mask, or an axis may be time, so that code may make one."""
    return found.masks or any(_steps(spec) for spec in found.layout.specs)


def _steps(spec: InputSpec) -> bool:
    return len(spec.shape) == (3 if _is_float(spec) else 2) and spec.dtype not in {"string", "bool"}


_PLANS = (
    _Plan("normal, scale 1", 5, _normal(1.0)),
    _Plan("one sample", 1, _normal(1.0)),
    _Plan("normal, scale 0.1", 2, _of_one_sign, _has_floats),
    _Plan("normal, scale 10", 3, _normal(10.0), _has_floats),
    _Plan("normal, scale 100", 3, _normal(100.0), _has_floats),
    _Plan("zeros", 2, lambda _rng, shape, _: np.zeros(shape), _has_floats),
    _Plan("image, 0..255", 3, lambda rng, shape, _: rng.integers(0, 256, shape), _has_images),
    _Plan("image, 0..1", 2, lambda rng, shape, _: rng.uniform(0, 1, shape), _has_images),
    _Plan(
        "near constants", 4, _near, lambda found: bool(found.near) and _has_numbers(found), rows=_rows_about
    ),
    _Plan("as large as constants", 3, _as_large, lambda found: _largest(found) > 30 and _has_floats(found)),
    _Plan(
        "whole numbers of any size",
        5,
        _normal(1.0),
        lambda found: found.large and _has_integers(found),
        large=True,
    ),
    _Plan("with NaN", 5, _with_missing, lambda found: found.missing and _has_floats(found)),
    _Plan("with infinite numbers", 5, _with_infinite, lambda found: found.infinite and _has_floats(found)),
    _Plan("padded rows", 5, _normal(1.0), _has_steps, padded=True),
    _Plan("other lengths", 2, _normal(1.0), lambda found: found.other is not None, other=True),
)


def _random(seed: int, name: str) -> Random:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _draw(plan: _Plan, found: Survey, rng: Random) -> Probe:
    layout = found.other if plan.other and found.other is not None else found.layout
    large = max(prod(_sample_shape(spec)) for spec in layout.specs) > LARGE_SAMPLE
    size = plan.size if plan.rows is None else plan.rows(found)
    size = (2 if size >= MIXED else 1) if large else size
    drawn = []
    for spec, consumer in zip(layout.specs, found.consumers, strict=True):
        shape = (spec.shape[0] or size, *_sample_shape(spec))
        array = _values(plan, found, (spec, consumer), rng, shape)
        drawn.append(_padded(array, _padding(found, spec, consumer)) if plan.padded else array)
    named_by_scale = plan.name.startswith("normal") and not _has_floats(found)
    return Probe("ids" if named_by_scale else plan.name, tuple(drawn))


def _padding(found: Survey, spec: InputSpec, consumer: Consumer) -> float | None:
    """Return what rows are padded with; 0 where a layer or code, not known which, may make a mask of it."""
    if consumer.mask_value is None and (_steps(spec) or found.masks) and not consumer.tokens:
        return 0.0 if "float" in spec.dtype or "int" in spec.dtype else None
    return consumer.mask_value


def _values(
    plan: _Plan, found: Survey, taken: tuple[InputSpec, Consumer], rng: Random, shape: tuple[int, ...]
) -> Array:
    spec, consumer = taken
    if spec.dtype == "string":
        return random_texts(rng, shape, consumer.tokens)
    if spec.dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if consumer.tokens and not _is_float(spec):
        known = np.array(consumer.tokens)
        return rng.choice(np.append(known, known.max() + 1), shape).astype(spec.dtype)
    if consumer.ids is not None or not _is_float(spec):
        low, high = _range(found, spec, consumer, large=plan.large)
        drawn = drawn_integers(rng, shape, low, high, found.near)
        about = [round(value) for value in _about(found) if low <= value <= high] if plan.rows else []
        return (_at_every_place(rng, about, drawn) if about else drawn).astype(spec.dtype)
    values = plan.floats(rng, shape, found)
    return values.astype("float32" if spec.dtype in {"bfloat16", "float16"} else spec.dtype)


def _range(found: Survey, spec: InputSpec, consumer: Consumer, *, large: bool) -> tuple[int, int]:
    """Return the least and the greatest integer for an input."""
    if consumer.ids is not None:
        low, high = (0 if "uint" in spec.dtype else -consumer.ids - 1), consumer.ids
    else:
        low, high = bounds(spec.dtype, (BEYOND if found.beyond else LARGE) if large else WIDE)
    return (low if found.signed and consumer.negative else max(low, 0)), high


def _padded(array: Array, mask_value: float | None) -> Array:
    """Pad rows in turn at the right, at the left and in between, by ever more steps, the last row wholly."""
    if mask_value is None or array.ndim < 2:
        return array
    padded = array.copy()
    rows, steps = array.shape[:2]
    for row in range(rows):
        count = (row + 1) * steps // rows
        start = (steps - count, 0, (steps - count) // 2)[row % 3]
        padded[row, start : start + count] = mask_value
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
