"""A fresh model like a given instance: same layers, own variables. The instance is read, never changed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import keras

from pytest_kerasequiv.building.compiling import (
    compile_fresh,
    compile_settings,
    custom_objects,
)
from pytest_kerasequiv.building.copies import (
    Pair,
    carry_attributes,
    carry_flags,
    overridden,
    pair_layers,
    refuse_unlike,
)
from pytest_kerasequiv.building.probing import refuse_other_results
from pytest_kerasequiv.building.specs import build_from, input_specs, is_built
from pytest_kerasequiv.errors import InputError, said
from pytest_kerasequiv.keras_access.functional import (
    Functional,
    functional_like_constructor,
    input_layer_of,
)
from pytest_kerasequiv.keras_access.layers import layers_within, stated_output_shape
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.weights.adapted import adapt_like, adapted_of
from pytest_kerasequiv.weights.variables import assign, values_of, variables_of


def rebuild(model: keras.Model, *, with_weights: bool) -> keras.Model:
    """Return a model with the same layers and compile settings as ``model``, and variables of its own.

    Args:
        model: a Sequential or functional model, or a subclassed one with a complete ``get_config``.
        with_weights: whether to copy the values of weights and seed states; otherwise they are drawn afresh.

    Raises:
        InputError: a layer or the model cannot be made again from its config.
    """
    with keras.saving.custom_object_scope(custom_objects(model)), _looking_uncompiled(model):
        fresh = remade(model, _rebuild_layer)
    if is_built(model) and not is_built(fresh):
        _build_like(model, fresh)
    pairs = pair_layers(model, fresh)
    _copy_state(model, fresh, pairs, with_weights=with_weights)
    _copy_compilation(model, fresh)
    carry_attributes(pairs)
    refuse_unlike(pairs)
    if with_weights:
        refuse_other_results(model, fresh)
    return fresh


def _build_like(model: keras.Model, fresh: keras.Model) -> None:
    """Build a subclassed model for the inputs that ``model`` was first called with."""
    try:
        build_from(fresh, input_specs(model))
    except Exception as error:
        raise InputError(
            f"the model {model.name!r} ({type(model).__name__}) does not tell which inputs it was built for; "
            "pass a builder, a function that returns a new model each time, and input_shape=(...) instead of "
            "the model"
        ) from error


def remade(model: keras.Model, make_layer: Callable[[Any], Any]) -> keras.Model:
    """Return a model of the same structure and class, in which ``make_layer`` has made each layer again.

    A model whose class has a ``call`` or other methods of its own keeps its class, so that it computes alike;
    where that cannot be done from its layers it is given to ``make_layer`` as a whole.
    """
    return _remade(model, make_layer, {})


def _remade(model: keras.Model, make_layer: Callable[[Any], Any], made: dict[int, Any]) -> keras.Model:
    def make(layer: Any) -> Any:
        if id(layer) not in made:  # a layer may be shared, also between models
            nested = isinstance(layer, keras.Sequential | Functional)
            made[id(layer)] = _remade(layer, make_layer, made) if nested else make_layer(layer)
        return made[id(layer)]

    kind = keras.Sequential if isinstance(model, keras.Sequential) else Functional
    plain = isinstance(model, kind) and not overridden(type(model), kind)
    if isinstance(model, Functional) and (plain or functional_like_constructor(type(model))):
        return keras.models.clone_model(model, _inputs(model, make), make)
    if plain:
        first = input_layer_of(model)
        given = None if first is None else make(first).output
        return keras.models.clone_model(model, given, make)
    if isinstance(model, keras.Sequential) and type(model).__init__ is keras.Sequential.__init__:
        return _remade_sequence(model, make)
    copy: keras.Model = make_layer(model)
    return copy


def _inputs(model: Functional, make: Callable[[Any], Any]) -> Any:
    """Make the input layers again too: ``clone_model`` would give each the dtype that it had."""
    layers = {id(one.output): one for one in model.layers if isinstance(one, keras.layers.InputLayer)}
    return keras.tree.map_structure(lambda tensor: make(layers[id(tensor)]).output, model.input)


def _remade_sequence(model: Any, make: Callable[[Any], Any]) -> keras.Model:
    """Make a model of a subclass of Sequential again: ``clone_model`` returns a plain Sequential."""
    first = input_layer_of(model)
    inputs = []
    if first is not None:
        optional = {"optional": True} if getattr(first, "optional", False) else {}
        inputs = [keras.Input(batch_shape=first.batch_shape, dtype=first.dtype, name=first.name, **optional)]
    made = [*inputs, *map(make, model.layers)]
    copy: keras.Model = type(model)(made, name=model.name, trainable=model.trainable)
    return copy


def _rebuild_layer(layer: Any) -> Any:
    try:
        if type(layer) is keras.layers.Lambda:
            return rebuild_lambda(layer)
        copy = type(layer).from_config(live_config(layer))
    except Exception as error:
        role = "the model" if isinstance(layer, keras.Model) else "layer"
        raise InputError(
            f"{role} {layer.name!r} ({type(layer).__name__}) cannot be made again from its get_config(): "
            f"{type(error).__name__}: {said(error, 200)}; pass a builder, a function that returns a new "
            "model each time, instead of the model"
        ) from error
    return copy


def live_config(layer: keras.Layer) -> dict[str, Any]:
    """Return the layer's config with Python functions as objects: written down they lose their closures."""
    with warnings.catch_warnings():
        # a lambda is passed on as the object it is, so that it cannot be read back safely does not matter
        warnings.filterwarnings("ignore", message="The object being serialized includes a `lambda`")
        config: dict[str, Any] = layer.get_config()
    for name in config:
        value = getattr(layer, name, None)
        if isinstance(value, FunctionType) and not is_keras(value):
            config[name] = value
    return config


def rebuild_lambda(layer: Any) -> keras.Layer:
    """Make a Lambda again around the same function object: its config would need unsafe deserialization."""
    return type(layer)(
        layer.function,
        output_shape=stated_output_shape(layer),
        mask=layer.mask,
        arguments=layer.arguments,
        name=layer.name,
        dtype=layer.dtype_policy,
        trainable=layer.trainable,
    )


def _copy_state(model: keras.Model, fresh: keras.Model, pairs: list[Pair], *, with_weights: bool) -> None:
    old, new = variables_of(model), variables_of(fresh)
    if [(v.shape, v.dtype) for v in old] != [(v.shape, v.dtype) for v in new]:
        raise InputError(
            f"the model {model.name!r} has {len(old)} variables, made again from its config it has "
            f"{len(new)} or others: a layer creates state that its get_config does not tell; pass a builder "
            "instead of the model"
        )
    carry_flags(pairs, model, fresh)
    if with_weights:
        assign(fresh, values_of(model))
    for pair in pairs:
        if hasattr(pair.original, "adapt"):
            adapt_like(pair.copy, adapted_of(pair.original))


def _copy_compilation(model: keras.Model, fresh: keras.Model) -> None:
    settings = compile_settings(model)
    if settings is not None:
        compile_fresh(fresh, settings, like=model)


@contextmanager
def _looking_uncompiled(model: keras.Model) -> Iterator[None]:
    """Keep ``clone_model`` from writing down the compile settings; they are copied as objects."""
    compiled = [m for m in _models_in(model) if m.compiled]
    for each in compiled:
        each.compiled = False
    try:
        yield
    finally:
        for each in compiled:
            each.compiled = True


def _models_in(model: keras.Model) -> list[keras.Model]:
    return [layer for layer in layers_within(model, itself=True) if isinstance(layer, keras.Model)]
