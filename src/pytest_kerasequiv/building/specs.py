"""Shapes and dtypes of a model's inputs as plain data: given by the user, read off a model, built from."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from pytest_kerasequiv.errors import InputError

Dims = tuple[int | None, ...]

_STASH = "_kerasequiv_input_specs"


@dataclass(frozen=True)
class Spec:
    """One input: its shape with the batch axis first (``None`` = any length), and its dtype where known.

    ``optional``: whether ``None`` may be given for it.
    """

    shape: Dims
    dtype: str | None = None
    optional: bool = False


Specs = Any
"""A `Spec`, or a list, tuple or dict of them: the structure in which the model takes its inputs."""


def parse_input_shape(input_shape: Any) -> Specs | None:
    """Read ``Twins(input_shape=...)``: one shape without the batch axis, or a list or dict of shapes.

    Raises:
        InputError: it is no such thing.
    """
    __tracebackhide__ = True
    if input_shape is None:
        return None
    if isinstance(input_shape, Mapping) and input_shape:
        return {str(name): _one_shape(shape, input_shape) for name, shape in input_shape.items()}
    if _is_list(input_shape) and input_shape and all(_is_list(item) for item in input_shape):
        return [_one_shape(shape, input_shape) for shape in input_shape]
    return _one_shape(input_shape, input_shape)


def _one_shape(shape: Any, whole: Any) -> Spec:
    __tracebackhide__ = True
    if not _is_list(shape) or not all(_is_length(length) for length in shape):
        raise InputError(
            f"input_shape={reprlib.repr(whole)} is no shape: pass the lengths of the axes without "
            "the batch axis, for example input_shape=(60, 2), or a list or dict of such tuples for several "
            "inputs (None = any length)"
        )
    return Spec((None, *(None if length is None else int(length) for length in shape)))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_length(length: Any) -> bool:
    if length is None:
        return True
    try:
        return not isinstance(length, bool) and operator.index(length) > 0
    except TypeError:
        return False


def input_specs(model: keras.Model) -> Specs | None:
    """Return the inputs of a built model; ``None`` where nothing tells (a subclassed model built by hand)."""
    stash = getattr(model, _STASH, None)
    if stash is not None:
        return stash.specs
    struct = getattr(getattr(model, "_functional", None) or model, "_inputs_struct", None)
    if struct is None:
        return _specs_of_input_layer(model) or _specs_of_first_call(model)
    return keras.tree.map_structure(
        lambda tensor: Spec(tuple(tensor.shape), str(tensor.dtype), is_optional(tensor)), struct
    )


def is_optional(tensor: Any) -> bool:
    """Whether a functional model that takes a symbolic tensor takes ``None`` in its place."""
    history = getattr(tensor, "_keras_history", None)
    return bool(getattr(getattr(history, "operation", None), "optional", False))


def _specs_of_input_layer(model: keras.Model) -> Specs | None:
    first = next(iter(getattr(model, "_layers", [])), None)
    return Spec(first.batch_shape, str(first.dtype)) if isinstance(first, keras.layers.InputLayer) else None


def _specs_of_first_call(model: keras.Model) -> Specs | None:
    """Return the shapes that a subclassed model was first called or built with, if it took one argument."""
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    return _as_specs(next(iter(shapes.values()))) if len(shapes) == 1 else None


def _as_specs(shapes: Any) -> Specs | None:
    if isinstance(shapes, Mapping):
        return {name: _as_specs(shape) for name, shape in shapes.items()}
    if all(length is None or isinstance(length, int) for length in shapes):
        return Spec((None, *shapes[1:]))
    return [_as_specs(shape) for shape in shapes]


def flat_specs(specs: Specs) -> list[Spec]:
    """Return the inputs in Keras's flat order (dicts by sorted key)."""
    if isinstance(specs, Spec):
        return [specs]
    if isinstance(specs, Mapping):
        return [spec for name in sorted(specs) for spec in flat_specs(specs[name])]
    return [spec for item in specs for spec in flat_specs(item)]


def single(specs: Specs) -> Spec | None:
    """Return the one input of a structure that holds one; ``None`` where there are several."""
    flat = flat_specs(specs)
    return flat[0] if len(flat) == 1 else None


def build_from(model: keras.Model, specs: Specs) -> None:
    """Build an unbuilt model for the given inputs: a Sequential by ``build``, any other by a symbolic call.

    A Sequential takes one bare tensor, whatever structure of one input is given.

    Raises:
        Exception: whatever Keras raises where the model does not take such inputs.
    """
    alone = single(specs)
    if isinstance(model, keras.Sequential) and alone is not None:
        specs = alone
        model.build(alone.shape)
        if is_built(model):
            return
    try:
        outputs = model(_map(_symbolic, specs))
        done = all(layer.built for layer in model._flatten_layers())
    except (TypeError, NotImplementedError, AttributeError):
        done = False
    if not done:
        outputs = model(_map(_zeros, specs))  # code that needs real arrays cannot be called symbolically
    setattr(model, _STASH, _Stash(specs, len(keras.tree.flatten(outputs))))


def is_built(model: keras.Model) -> bool:
    """Whether all variables of a model exist.

    A Sequential whose layers cannot infer their shapes says ``built`` although they are not.
    """
    if isinstance(model, keras.Sequential) and model._functional is None:
        return bool(model.layers) and all(layer.built for layer in model.layers)
    return bool(model.built)


@dataclass(frozen=True)
class _Stash:
    """What a symbolic call told; an object of its own, since Keras tracks (and changes) lists and dicts."""

    specs: Specs
    outputs: int


def output_count(model: keras.Model) -> int | None:
    """Return the number of output tensors of a built model; ``None`` where it cannot be told."""
    stash = getattr(model, _STASH, None)
    if stash is not None:
        return int(stash.outputs)
    outputs = getattr(model, "outputs", None)
    return None if outputs is None else len(outputs)


def _symbolic(spec: Spec) -> Any:
    return keras.KerasTensor(spec.shape, dtype=spec.dtype or keras.config.floatx())


def _zeros(spec: Spec) -> Any:
    shape = tuple(1 if length is None else length for length in spec.shape)
    return keras.ops.zeros(shape, dtype=spec.dtype or keras.config.floatx())


def _map(function: Any, specs: Specs) -> Any:
    if isinstance(specs, Spec):
        return function(specs)
    if isinstance(specs, Mapping):
        return {name: _map(function, item) for name, item in specs.items()}
    return type(specs)(_map(function, item) for item in specs)


def compatible(one: Dims, other: Dims) -> bool:
    """Whether an array can have both shapes."""
    return len(one) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(one, other, strict=True)
    )


def show(specs: Specs) -> str:
    """Return the inputs as ``input_shape`` is written, without the batch axis: ``(60, 2)``."""
    return str(_map(lambda spec: spec.shape[1:], specs))
