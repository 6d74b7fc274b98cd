"""The float64 oracle: one side of the twins built again to compute in float64, and the world to run it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf
from keras.layers import InputLayer

from pytest_kerasequiv.building.compiling import compile_fresh, compile_settings, custom_objects
from pytest_kerasequiv.building.copies import carry_attributes, carry_flags, pair_layers, refuse_unlike
from pytest_kerasequiv.building.left_behind import as_left, carry_settings
from pytest_kerasequiv.building.rebuild import live_config, rebuild_lambda, remade
from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.building.specs import Spec, build_from, input_specs
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.initialising import nothing_drawn
from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.keras_access.private_modules import random
from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.weights.adapted import adapt_like, adapted_of
from pytest_kerasequiv.weights.variables import variables_of


class Float64Unavailable(Exception):  # noqa: N818 - an answer, not a fault
    """The side cannot be built to compute in float64; the message says why."""


@contextmanager
def float64_mode(drawn_in: str = "float32") -> Iterator[None]:
    """Run a block with floatx and dtype policy float64; random numbers are drawn in ``drawn_in``, then cast.

    The same seed gives other bits in another dtype, so without that no dropout mask of a float64 model
    would be that of its float32 original. All settings are as before afterwards.
    """
    with preserved_state(), _drawing_in(drawn_in):
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        yield


def build_float64(source: Source, seed: int, *, like: keras.Model | None = None) -> keras.Model:
    """Return one side built to compute in float64, with the same variables in the same order.

    A builder is run again under float64. Where that leaves layers in another dtype (the builder names a
    dtype), and for model instances and files, the built model is made again from its config with every
    float dtype replaced. The values of the variables are not copied. Run the model inside `float64_mode`.

    Args:
        source: the side.
        seed: seed under which it is built.
        like: the side as built before; saves building it anew.

    Raises:
        Float64Unavailable: a layer is quantised or its config cannot be used, or the result is no float64
            twin.
    """
    original = like if like is not None else source.build_as_given(seed)
    _refuse_quantised(original)
    if source.kind == "builder":
        model = _built_again(source, seed)
        if model is not None and _why_unlike(original, model) is None:
            return model
    with as_left(original), float64_mode(), nothing_drawn():
        model = _from_config(original)
    carry_settings(original, model)
    reason = _why_unlike(original, model)
    if reason is not None:
        raise Float64Unavailable(reason)
    _copy_learned(original, model)
    return model


def _copy_learned(original: keras.Model, model: keras.Model) -> None:
    """Copy what a config does not tell: attributes, flags, and what preprocessing layers have learned."""
    try:
        pairs = pair_layers(original, model)
        carry_flags(pairs, original, model)
        for pair in pairs:
            if hasattr(pair.original, "adapt"):
                adapt_like(pair.copy, adapted_of(pair.original))
        carry_attributes(pairs, widened=True)
        refuse_unlike(pairs, widened=True)
    except InputError as error:
        raise Float64Unavailable(str(error)) from error


def _refuse_quantised(model: keras.Model) -> None:
    for layer in layers_within(model, itself=True):
        mode = getattr(layer, "quantization_mode", None)
        if mode is not None:
            raise Float64Unavailable(f"layer {layer.name!r} is quantised ({mode})")


def _built_again(source: Source, seed: int) -> keras.Model | None:
    try:
        with float64_mode(), nothing_drawn(), _inputs_in_float64():  # the values are the original's
            return source.build(seed)
    except Exception:  # a builder that insists on its own dtypes; its config is tried next
        return None


@contextmanager
def _inputs_in_float64() -> Iterator[None]:
    """Let every ``keras.Input`` that a builder declares as float32 take float64."""
    original = InputLayer.__init__

    def widened(self: Any, *args: Any, **kwargs: Any) -> None:
        dtype = kwargs.get("dtype")
        if dtype is not None and keras.backend.standardize_dtype(dtype) == "float32":
            kwargs["dtype"] = "float64"
        original(self, *args, **kwargs)

    InputLayer.__init__ = widened
    try:
        yield
    finally:
        InputLayer.__init__ = original


def _why_unlike(original: keras.Model, model: keras.Model) -> str | None:
    """Return why ``model`` is no float64 twin of ``original``; ``None`` if it is one."""
    for layer in layers_within(model, itself=True):
        if layer.compute_dtype and "float" in str(layer.compute_dtype) and layer.compute_dtype != "float64":
            return f"layer {layer.name!r} computes in {layer.compute_dtype} however it is built"
    old, new = variables_of(original), variables_of(model)
    if [(v.name, tuple(v.shape)) for v in old] != [(v.name, tuple(v.shape)) for v in new]:
        return f"built in float64 the model has {len(new)} variables, not the same as the {len(old)} it has"
    narrow = [v.path for v in new if "float" in str(v.dtype) and str(v.dtype) != "float64"]
    return f"variable {narrow[0]!r} stays in a narrower dtype however it is built" if narrow else None


def _from_config(model: keras.Model) -> keras.Model:
    try:
        with keras.saving.custom_object_scope(custom_objects(model)):
            fresh = remade(model, _layer_in_float64)
            specs = input_specs(model)
            if not fresh.built and specs is not None:
                build_from(fresh, _specs_in_float64(specs))
    except Exception as error:
        first = str(error).strip().splitlines() or [""]
        raise Float64Unavailable(
            f"its config cannot be used to build it: {type(error).__name__}: {first[0]}"
        ) from error
    settings = compile_settings(model)
    if settings is not None:
        compile_fresh(fresh, settings, like=model)
    return fresh


def _layer_in_float64(layer: keras.Layer) -> keras.Layer:
    if type(layer) is keras.layers.Lambda:
        return rebuild_lambda(layer)
    return type(layer).from_config(in_float64(live_config(layer)))


def _specs_in_float64(specs: Any) -> Any:
    if isinstance(specs, Spec):
        return replace(specs, dtype=_widened(specs.dtype)) if specs.dtype else specs
    if isinstance(specs, Mapping):
        return {name: _specs_in_float64(item) for name, item in specs.items()}
    return [_specs_in_float64(item) for item in specs]


_FLOATS = frozenset({"float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"})


def _widened(dtype: Any) -> Any:
    return "float64" if dtype in _FLOATS else dtype


def in_float64(config: Any) -> Any:
    """Return a config in which every float dtype and dtype policy, at any depth, is float64."""
    if isinstance(config, Mapping):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {"name": _widened(config["config"].get("name"))}}
        return {
            key: _widened(value) if key == "dtype" and isinstance(value, str) else in_float64(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(in_float64(item) for item in config)
    return config


@contextmanager
def _drawing_in(dtype: str) -> Iterator[None]:
    originals = {
        name: getattr(random, name) for name in ("normal", "uniform", "truncated_normal", "gamma", "beta")
    }
    originals |= {"dropout": random.dropout, "binomial": random.binomial}
    for name, function in originals.items():
        setattr(random, name, _dropping(function, dtype) if name == "dropout" else _drawing(function, dtype))
    try:
        yield
    finally:
        for name, function in originals.items():
            setattr(random, name, function)


def _drawing(function: Any, drawn_in: str) -> Any:
    """Draw in a narrower dtype what is asked for in float64."""

    def draw(*args: Any, dtype: Any = None, **kwargs: Any) -> Any:
        wanted = keras.backend.standardize_dtype(dtype or keras.config.floatx())
        if wanted != "float64":
            return function(*args, dtype=dtype, **kwargs)
        return tf.cast(function(*args, dtype=drawn_in, **kwargs), "float64")

    return draw


def _dropping(function: Any, drawn_in: str) -> Any:
    """Drop those elements of a float64 tensor that a narrower one would lose."""

    def drop(inputs: Any, rate: Any, noise_shape: Any = None, seed: Any = None) -> Any:
        if inputs.dtype != tf.float64 or rate in {0.0, 1.0}:
            return function(inputs, rate, noise_shape, seed)
        kept = function(tf.ones_like(inputs, dtype=drawn_in), rate, noise_shape, seed) > 0
        return tf.where(kept, inputs / tf.constant(1 - rate, tf.float64), tf.zeros_like(inputs))

    return drop
