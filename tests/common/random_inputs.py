"""Kinds of input for random models: shape, dtype, and batches of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

INPUTS: dict[str, tuple[tuple[int, ...], str]] = {
    "vector": ((6,), "float32"),
    "sequence": ((8, 4), "float32"),
    "image": ((8, 8, 3), "float32"),
    "pixels": ((8, 8, 3), "float32"),
    "volume": ((4, 4, 4, 2), "float32"),
    "frames": ((3, 4, 4, 2), "float32"),
    "rows": ((3, 6, 2), "float32"),
    "clips": ((2, 3, 3, 3, 1), "float32"),
    "ids": ((7,), "int32"),
    "audio": ((64, 1), "float32"),
    "wave": ((64,), "float32"),
    "words": ((7,), "string"),
    "text": ((1,), "string"),
}
"""Kind of input -> shape of one sample, dtype."""

WORDS = ("a", "b", "c", "A", "d.")
"""What is in strings; the first three are what lookups hold."""


def batch(kind: str, seed: int, size: int = 5) -> Any:
    """Return a random batch of a kind of input."""
    shape, dtype = INPUTS[kind]
    rng = np.random.default_rng(seed)
    if dtype == "string":
        words = rng.choice(WORDS, (size, *shape, 7 if kind == "text" else 1))
        return keras.ops.convert_to_tensor(np.apply_along_axis(" ".join, -1, words).astype(object))
    if dtype == "int32":
        return rng.integers(0, 11, (size, *shape)).astype(dtype)
    if kind == "pixels":
        return rng.integers(0, 256, (size, *shape)).astype(dtype)
    scale = 255 if kind == "image" and seed % 2 else 1
    return (scale * rng.standard_normal((size, *shape))).astype(dtype)
