"""The layers that a model holds, at any depth."""

from __future__ import annotations

import functools
from typing import Any

import keras

from pytest_kerasequiv.keras_access.random_state import fresh_names


def layers_within(layer: Any, *, itself: bool = False) -> list[Any]:
    """Return the layers inside a model or layer at any depth, each once; with ``itself``, it comes first."""
    return list(layer._flatten_layers(include_self=itself))


def held_layers(layer: Any) -> list[Any]:
    """Return the layers that a model or layer holds directly, those of no graph among them."""
    return list(getattr(layer, "_layers", ()))


def state_within(model: Any) -> set[int]:
    """Return the identities of the variables that are state (statistics, seeds), not frozen weights."""
    layers = layers_within(model, itself=True)
    weights = {id(variable) for layer in layers for variable in layer._trainable_variables}
    return {id(variable) for variable in model.variables if id(variable) not in weights}


def own_variables(layer: Any) -> list[Any]:
    """Return the variables that a layer owns itself, states of its seed generators last."""
    own = [*getattr(layer, "_trainable_variables", ()), *getattr(layer, "_non_trainable_variables", ())]
    return own + [generator.state for generator in getattr(layer, "_seed_generators", ())]


def build_shapes(layer: Any) -> dict[str, Any]:
    """Return the shapes that a layer was first called or built with, by argument."""
    return getattr(layer, "_build_shapes_dict", None) or {}


def carry_switches(layer: Any, copy: Any) -> None:
    """Give a copy of a layer what is switched on or off on it."""
    for name in ("_trainable", "autocast", "_supports_masking", "supports_jit"):
        if name in vars(layer):
            vars(copy)[name] = vars(layer)[name]


def takes_training(layer: Any) -> bool:
    """Whether the ``call`` of a layer takes ``training``."""
    return bool(layer._call_has_training_arg)


def usual_attributes(cls: type) -> frozenset[str]:
    """Return the attributes that every layer of Keras has, or every model that was compiled and run."""
    return _usual_of_models() if issubclass(cls, keras.Model) else _usual_of_layers()


@functools.cache
def _usual_of_layers() -> frozenset[str]:
    with fresh_names():
        plain = vars(keras.layers.Layer())
    return frozenset(plain) | {"_build_shapes_dict", "_losses_override", "call", "output_names"}


@functools.cache
def _usual_of_models() -> frozenset[str]:
    with fresh_names():
        inputs = keras.Input((1,))
        made = [keras.Model(), keras.Sequential([inputs]), keras.Model(inputs, inputs)]
        for model in made:
            model.compile("sgd", "mse", metrics=["mae"])
    names = frozenset().union(*map(vars, made))
    run = {"history", "inputs", "outputs", "train_function", "test_function", "predict_function"}
    return _usual_of_layers() | names | run | {"stop_training", "stop_predicting", "stop_evaluating"}
