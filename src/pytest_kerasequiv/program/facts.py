"""What a model says about itself: its variables, inputs, layers and settings, read without changing it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.keras_access.layers import direct_layers, layers_within
from pytest_kerasequiv.layers.plain_values import is_plain
from pytest_kerasequiv.program.attributes import array_text
from pytest_kerasequiv.program.nodes import ProgramVariable, Unprovable


def variable_facts(model: keras.Model, variables: Sequence[Any]) -> list[ProgramVariable]:
    """Return what the program knows of each variable."""
    trainable = {id(variable) for variable in model.trainable_variables}
    weights = {id(variable) for variable in model.weights}
    return [
        ProgramVariable(
            shape=tuple(variable.shape),
            dtype=str(variable.dtype),
            trainable=id(variable) in trainable,
            seed=id(variable) not in weights,
            path=variable.path,
            marks=marks_of(variable),
        )
        for variable in variables
    ]


def marks_of(variable: Any) -> str:
    """Return the plain attributes that code of the user's has set on a variable, and what optimizers ask."""
    found = {name: value for name, value in vars(variable).items() if not name.startswith("_")}
    found = {name: value for name, value in found.items() if is_plain(value)}
    if getattr(variable, "overwrite_with_gradient", False):
        found["overwrite_with_gradient"] = True
    return ", ".join(f"{name}={value!r}" for name, value in sorted(found.items()))


def unlisted_states(model: keras.Model, listed: Sequence[Any]) -> list[Any]:
    """Return the Keras variables that layers hold as attributes and ``Model.variables`` leaves out."""
    seen = {id(variable) for variable in listed}
    found = []
    for layer in layers_within(model, itself=True):
        for value in list(vars(layer).values()):
            for item in value if isinstance(value, list | tuple) else [value]:
                if isinstance(item, keras.Variable) and id(item) not in seen:
                    seen.add(id(item))
                    found.append(item)
    return found


def state_facts(variables: Sequence[Any]) -> list[ProgramVariable]:
    """Return what the program knows of states that Keras does not list: their values are part of it."""
    return [
        ProgramVariable(
            shape=tuple(variable.shape),
            dtype=str(variable.dtype),
            trainable=False,
            seed=False,
            path=variable.path,
            value=array_text(variable.numpy(), str(variable.dtype)),
        )
        for variable in variables
    ]


def handles(variables: Sequence[Any]) -> dict[int, int]:
    """Map the identity of each variable's TensorFlow handle to the variable's index.

    Raises:
        Unprovable: two variables share one handle.
    """
    found: dict[int, int] = {}
    for index, variable in enumerate(variables):
        handle = getattr(variable.value, "handle", None)
        if id(handle) in found:
            raise Unprovable(
                f"variables {variables[found[id(handle)]].path} and {variable.path} share their storage"
            )
        if handle is not None:
            found[id(handle)] = index
    return found


def settings(model: keras.Model) -> tuple[tuple[str, str], ...]:
    """Return what steers execution from outside the ops, as pairs of name and value."""
    compiled = bool(model.compiled)
    inputs = enumerate(keras.tree.flatten(getattr(model, "inputs", None) or []))
    return (
        ("places of sparse inputs", repr([i for i, one in inputs if getattr(one, "sparse", False)])),
        ("compiled", str(compiled)),
        ("jit_compile", str(bool(compiled and model.jit_compile))),
        ("the version of TensorFlow", str(tf.__version__)),
    )


def layer_paths(model: keras.Model) -> Iterator[str]:
    """Yield the Keras paths of a model and of all its layers, parents first."""
    waiting = [(model, model.name)]
    while waiting:
        layer, path = waiting.pop()
        yield path
        below = direct_layers(layer)
        waiting.extend((child, f"{path}/{child.name}") for child in below)
