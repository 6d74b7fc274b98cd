"""The layers that a model holds, at any depth."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from pytest_kerasequiv.keras_access.random_state import fresh_names


def layers_within(layer: Any, *, itself: bool = False) -> list[Any]:
    """Return the layers inside a model or layer at any depth, each once; with ``itself``, it comes first."""
    return list(layer._flatten_layers(include_self=itself))


def direct_layers(layer: Any) -> list[Any]:
    """Return the layers right inside a model or layer, as Keras walks them."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


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
    return weights_held(layer) + [generator.state for generator in seed_generators(layer)]


def weights_held(layer: Any) -> list[Any]:
    """Return the weights that a layer owns itself, those that are trained first."""
    return [*getattr(layer, "_trainable_variables", ()), *getattr(layer, "_non_trainable_variables", ())]


def seed_generators(layer: Any) -> list[Any]:
    """Return the seed generators that a layer owns itself."""
    return list(getattr(layer, "_seed_generators", ()))


def keeps_state(layer: Any) -> bool:
    """Tell whether a layer itself draws random numbers or keeps what is not trained."""
    return bool(layer._seed_generators or layer._non_trainable_variables)


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
    return bool(getattr(layer, "_call_has_training_arg", False))


def place_of_training(layer: Any) -> int:
    """Return which of the arguments of a layer's ``call`` is ``training``."""
    return list(layer._call_signature.parameters).index("training")


def inherited_training(layer: Any) -> Any:
    """Return what ``training`` is in the calls around a layer's present call; ``None`` where none says it."""
    return getattr(layer._get_call_context(), "training", None)


def stated_output_shape(layer: Any) -> Any:
    """Return the output shape that a Lambda was given."""
    return layer._output_shape


@contextmanager
def collected_losses(model: keras.Model) -> Iterator[None]:
    """Put back the losses that the layers collected in the caller's last call; tracing replaces them."""
    layers = list(layers_within(model, itself=True))
    before = [(list(layer._losses), set(layer._loss_ids), layer._parent_path) for layer in layers]
    try:
        yield
    finally:
        for layer, (losses, ids, path) in zip(layers, before, strict=True):
            layer._losses[:] = losses
            layer._loss_ids.clear()
            layer._loss_ids.update(ids)
            if path is None:
                layer._parent_path = None


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
        # Version switch: Keras 3.10 refuses Model(inputs, inputs). Goes when the floor is Keras 3.11.
        functional = keras.Model(inputs, keras.layers.Identity()(inputs))
        made = [keras.Model(), keras.Sequential([inputs]), functional]
        for model in made:
            model.compile("sgd", "mse", metrics=["mae"])
    names = frozenset().union(*map(vars, made))
    run = {"history", "inputs", "outputs", "train_function", "test_function", "predict_function"}
    return _usual_of_layers() | names | run | {"stop_training", "stop_predicting", "stop_evaluating"}
