"""Refusing windows that find no place on their input, as newer Keras does.

Version switch: up to Keras 3.13 a convolution, up to 3.14 a pooling, that is one step wider than its input
is built all the same: its result has length zero, and TensorFlow refuses to run it. Goes when the floor is
Keras 3.15.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from pytest_kerasequiv.keras_access.supported import is_before

_ShapeOf = Callable[..., tuple[int | None, ...]]


def _modules_with(name: str) -> list[Any]:
    """Return the modules of Keras that know a function by this name: most have imported it by its name."""
    modules = [module for key, module in list(sys.modules.items()) if key.startswith("keras.src.")]
    return [module for module in modules if name in vars(module)]


_SHAPES = ("compute_conv_output_shape", "compute_pooling_output_shape") if is_before(keras, 3, 15) else ()
_PLACES = [(module, name) for name in _SHAPES for module in _modules_with(name)]


@contextmanager
def zero_lengths_refused() -> Iterator[None]:
    """Let Keras refuse a convolution or pooling whose result would have length zero, in every version.

    Raises:
        ValueError: in the block, as newer Keras raises it.
    """
    before = [(module, name, getattr(module, name)) for module, name in _PLACES]
    for module, name, original in before:
        setattr(module, name, _refusing(original))
    try:
        yield
    finally:
        for module, name, original in before:
            setattr(module, name, original)


def _refusing(shape_of: _ShapeOf) -> _ShapeOf:
    def refusing(input_shape: Any, *args: Any, **kwargs: Any) -> tuple[int | None, ...]:
        shape = shape_of(input_shape, *args, **kwargs)
        if 0 in shape[1:] and 0 not in input_shape[1:]:
            raise ValueError(
                f"Computed output size would be zero or negative. Received: `inputs.shape={input_shape}`, "
                f"of which comes {shape}."
            )
        return shape

    return refusing
