"""Shapes and dtypes of a model's inputs as plain data: given by the user, read off a model, built from."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.functional import (
    call_behind,
    function_within,
    input_layer_of,
    inputs_structure,
    is_symbolic,
)
from pytest_kerasequiv.keras_access.layers import build_shapes, layers_within, takes_training

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
    """Read ``Twins(input_shape=...)``: one input without the batch axis, or a list or dict of inputs.

    An input is a shape, ``(60, 2)``, a shape with a dtype, ``((60,), "int32")``, or a ``keras.Input``, which
    has both. Without a dtype it is floating-point, unless the model or ``inputs=`` tells.

    Raises:
        InputError: it is no such thing.
    """
    __tracebackhide__ = True
    if input_shape is None:
        return None
    if isinstance(input_shape, Mapping) and input_shape:
        return {str(name): _one_input(given, input_shape) for name, given in input_shape.items()}
    if _is_list(input_shape) and input_shape and all(map(_is_input, input_shape)):
        return [_one_input(item, input_shape) for item in input_shape]
    return _one_input(input_shape, input_shape)


def _is_input(given: Any) -> bool:
    return _is_list(given) or _is_declared(given)


def _one_input(given: Any, whole: Any) -> Spec:
    __tracebackhide__ = True
    if _is_declared(given):
        return Spec((None, *given.shape[1:]), str(getattr(given.dtype, "name", given.dtype)))
    shape, dtype = given if _has_dtype(given) else (given, None)
    if not _is_list(shape) or not all(_is_length(length) for length in shape):
        raise InputError(
            f"input_shape={reprlib.repr(whole)} is no shape: pass the lengths of the axes without "
            "the batch axis, for example input_shape=(60, 2), or a list or dict of such tuples for several "
            "inputs (None = any length); a dtype goes beside the shape: ((60,), 'int32')"
        )
    lengths = (None if length is None else int(length) for length in shape)
    return Spec((None, *lengths), None if dtype is None else _dtype(dtype, whole))


def _has_dtype(given: Any) -> bool:
    """Whether an input is given as its shape and its dtype."""
    return _is_list(given) and len(given) == 2 and _is_list(given[0]) and _names_dtype(given[1])


def _names_dtype(value: Any) -> bool:
    return isinstance(value, str | type | tf.DType | np.dtype)


def _is_declared(value: Any) -> bool:
    return (
        isinstance(value, keras.KerasTensor | keras.layers.InputSpec | tf.TensorSpec)
        and value.shape is not None
    )


def _dtype(dtype: Any, whole: Any) -> str:
    __tracebackhide__ = True
    try:
        return str(keras.backend.standardize_dtype(dtype))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"input_shape={reprlib.repr(whole)} names the dtype {dtype!r}, which Keras does not know; write "
            "for example ((60,), 'int32')"
        ) from error


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_length(length: Any) -> bool:
    if length is None:
        return True
    try:
        return not isinstance(length, bool) and operator.index(length) > 0
    except TypeError:
        return False


def specs_of_example(inputs: Any) -> Specs | None:
    """Return the inputs that the user's own ``inputs=`` are an example of; ``None`` where they do not tell.

    Floating-point arrays say nothing of the dtype: Keras casts them to that of the model.
    """
    if isinstance(inputs, Mapping):
        parts = {str(name): specs_of_example(item) for name, item in inputs.items()}
        return None if not parts or None in parts.values() else parts
    if isinstance(inputs, list | tuple):
        listed = [specs_of_example(item) for item in inputs]
        return None if not listed or None in listed else listed
    shape, dtype = getattr(inputs, "shape", None), getattr(inputs, "dtype", None)
    if not shape or dtype is None:
        return None
    name = str(getattr(dtype, "name", dtype))
    known = "string" if getattr(dtype, "kind", "") in "OSU" or name == "string" else name
    return Spec((None, *map(int, shape[1:])), None if "float" in known else known)


def with_dtypes(specs: Specs, example: Specs | None) -> Specs:
    """Return inputs with the dtypes of an example where their own are not known."""
    if isinstance(specs, Spec):
        if specs.dtype is None and isinstance(example, Spec) and compatible(specs.shape, example.shape):
            return replace(specs, dtype=example.dtype)
        return specs
    if isinstance(specs, Mapping):
        named = example if isinstance(example, Mapping) else {}
        return {name: with_dtypes(item, named.get(name)) for name, item in specs.items()}
    listed = example if isinstance(example, list) and len(example) == len(specs) else [None] * len(specs)
    return type(specs)(with_dtypes(item, other) for item, other in zip(specs, listed, strict=True))


def tell_inputs(model: keras.Model, example: Specs | None) -> None:
    """Let a built model know what an example tells of its inputs and its code does not."""
    own = input_specs(model)
    told = example if own is None else with_dtypes(own, example)
    if told is not None and told != own:
        setattr(model, _STASH, _Stash(told, output_count(model)))


def input_specs(model: keras.Model) -> Specs | None:
    """Return the inputs of a built model; ``None`` where nothing tells (a subclassed model built by hand)."""
    stash = getattr(model, _STASH, None)
    if stash is not None:
        return stash.specs
    struct = inputs_structure(model)
    if struct is None:
        return _specs_of_input_layer(model) or _specs_of_first_call(model)
    return keras.tree.map_structure(
        lambda tensor: Spec(tuple(tensor.shape), str(tensor.dtype), is_optional(tensor)), struct
    )


def is_optional(tensor: Any) -> bool:
    """Whether a functional model that takes a symbolic tensor takes ``None`` in its place."""
    return is_symbolic(tensor) and bool(getattr(call_behind(tensor)[0], "optional", False))


def _specs_of_input_layer(model: keras.Model) -> Specs | None:
    first = input_layer_of(model)
    return None if first is None else Spec(first.batch_shape, str(first.dtype))


def _specs_of_first_call(model: keras.Model) -> Specs | None:
    """Return the shapes that a subclassed model was first called or built with, if it took one argument."""
    shapes = build_shapes(model)
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
    """Build a model for the given inputs: a Sequential by ``build``, any other by symbolic calls.

    A Sequential takes one bare tensor, whatever structure of one input is given. Layers that only training
    uses are built too. Code that needs real arrays cannot be called symbolically and gets zeros.

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
        if not is_built(model) and takes_training(model):
            model(_map(_symbolic, specs), training=True)
        done = is_built(model)
    except (TypeError, NotImplementedError, AttributeError):
        done = False
    if not done:
        specs, outputs = _called(model, specs)
    setattr(model, _STASH, _Stash(specs, len(keras.tree.flatten(outputs))))


def _called(model: keras.Model, specs: Specs) -> tuple[Specs, Any]:
    """Call a model with zeros, or with texts where it takes no numbers; return also what its inputs are."""
    try:
        return specs, model(_map(_zeros, specs))
    except tf.errors.UnimplementedError:  # of a cast between numbers and texts
        texts = _map(lambda spec: spec if spec.dtype else replace(spec, dtype="string"), specs)
        if texts == specs:
            raise
        return texts, model(_map(_zeros, texts))


def is_built(model: keras.Model) -> bool:
    """Whether all variables of a model exist: it and all layers within are built.

    A Sequential whose layers cannot infer their shapes says ``built`` although they are not, and so does a
    model whose own ``build`` leaves that to its layers.
    """
    if function_within(model) is not None:
        return bool(model.built)
    return bool(model.built) and all(layer.built for layer in layers_within(model))


def parts_without_call(model: keras.Model) -> list[str] | None:
    """Return the attributes that hold the layers of a model without ``call``; ``None`` where it has one."""
    if type(model).call not in (keras.Model.call, keras.Layer.call):
        return None
    return [name for name, value in vars(model).items() if isinstance(value, keras.Layer)]


@dataclass(frozen=True)
class _Stash:
    """What a symbolic call told; an object of its own, since Keras tracks (and changes) lists and dicts."""

    specs: Specs
    outputs: int | None


def output_count(model: keras.Model) -> int | None:
    """Return the number of output tensors of a built model; ``None`` where it cannot be told."""
    stash = getattr(model, _STASH, None)
    if stash is not None and stash.outputs is not None:
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
