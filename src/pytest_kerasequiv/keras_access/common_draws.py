"""Random draws that are the same on every backend: each follows from its law and its shape alone.

No seed gives two backends the same numbers. So that one pass in training mode can be compared between them,
Keras's random functions are replaced on both sides: what is drawn with one law in one shape is always the
same, whatever the order of the draws. What is drawn otherwise (``tf.random``, ``jax.random``) is not.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import ndtri

from pytest_kerasequiv.keras_access.private_modules import random

Array = NDArray[Any]
OTHERS = ("categorical", "randint", "shuffle", "gamma", "binomial", "beta")
"""Random functions of Keras that are not drawn in common; code that calls one fails, and is not compared."""

TAIL = 0.022750131948179195
"""The share of a normal law below two standard deviations, where Keras cuts it off."""


class NotInCommon(Exception):  # noqa: N818 - an answer, not a fault
    """A model draws what no other backend can draw alike; the message names it."""


@contextmanager
def common_draws() -> Iterator[None]:
    """Run a block in which Keras draws the same numbers on every backend."""
    drawn = {"uniform": _uniform, "normal": _normal, "truncated_normal": _truncated, "dropout": _dropout}
    replaced: dict[str, Any] = {**drawn, **{name: _refusing(name) for name in OTHERS}}
    originals = {name: getattr(random, name) for name in replaced}
    for name, function in replaced.items():
        setattr(random, name, function)
    try:
        yield
    finally:
        for name, function in originals.items():
            setattr(random, name, function)


def _uniform(shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:  # noqa: ARG001
    drawn = _drawn("uniform", shape, lambda u: u, dtype)
    return drawn * keras.ops.cast(maxval - minval, drawn.dtype) + keras.ops.cast(minval, drawn.dtype)


def _normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:  # noqa: ARG001
    return _scaled(_drawn("normal", shape, ndtri, dtype), mean, stddev)


def _truncated(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:  # noqa: ARG001
    drawn = _drawn("truncated", shape, lambda u: ndtri(TAIL + u * (1 - 2 * TAIL)), dtype)
    return _scaled(drawn, mean, stddev)


def _dropout(inputs: Any, rate: Any, noise_shape: Any = None, seed: Any = None) -> Any:  # noqa: ARG001
    """Keep what is drawn at or above the rate, as Keras does."""
    sizes = keras.ops.shape(inputs)
    noise = sizes if noise_shape is None else noise_shape
    shape = [size if one is None else one for one, size in zip(noise, sizes, strict=True)]
    drawn = _drawn("dropout", shape, lambda u: u, "float32")
    kept = keras.ops.greater_equal(drawn, keras.ops.cast(rate, "float32"))
    scale = keras.ops.cast(1.0 / (1.0 - rate), inputs.dtype)
    return keras.ops.where(kept, inputs * scale, keras.ops.zeros_like(inputs))


def _scaled(drawn: Any, mean: Any, stddev: Any) -> Any:
    return drawn * keras.ops.cast(stddev, drawn.dtype) + keras.ops.cast(mean, drawn.dtype)


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotInCommon(f"keras.random.{name} draws other numbers on each backend")

    return refuse


def _drawn(law: str, shape: Any, quantile: Callable[[Array], Array], dtype: Any) -> Any:
    """Return what a law gives in a shape."""
    wanted = keras.backend.standardize_dtype(dtype or keras.config.floatx())

    def values(sizes: Any) -> Array:
        rng = np.random.default_rng([zlib.crc32(law.encode()), *map(int, sizes)])
        drawn = quantile(rng.uniform(2.0**-30, 1.0 - 2.0**-30, tuple(map(int, sizes))))
        return np.asarray(drawn, "float32").astype(wanted)  # no cast is left for the graph of a float64 twin

    if all(isinstance(size, int | np.integer) for size in shape):
        return keras.ops.convert_to_tensor(values(shape), wanted)
    return _in_graph(values, shape, wanted)


def _in_graph(values: Callable[[Any], Array], shape: Any, dtype: str) -> Any:
    """Return what is drawn in a shape that is known only when TensorFlow runs the graph."""
    sizes = tf.stack([tf.cast(size, "int64") for size in shape])
    drawn = tf.numpy_function(values, [sizes], tf.as_dtype(dtype))
    drawn.set_shape([size if isinstance(size, int) else None for size in shape])
    return drawn
