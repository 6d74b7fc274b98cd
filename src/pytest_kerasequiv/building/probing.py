"""One batch through a model and its copy: both must give the same bits, under values that neither has."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.copies import REMEDY
from pytest_kerasequiv.building.specs import Spec, Specs, input_specs
from pytest_kerasequiv.errors import InputError, said
from pytest_kerasequiv.keras_access.layers import takes_training
from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.weights.variables import values_of, variables_of

BATCH = 2
LENGTHS = (8, 64)
"""What is tried for axes of any length."""

Values = list[NDArray[np.generic]]


def refuse_other_results(model: keras.Model, fresh: keras.Model) -> None:
    """Refuse a copy that computes something else than the model.

    Both are called in both modes, without a change to either, under values that neither has: so a copy shows
    which holds a function that still reads the layers of the model.

    Raises:
        InputError: an output, a loss or a new state differs, or the model cannot be called on the batch.
    """
    specs = input_specs(model)
    if specs is None:
        return
    values = _other_values(values_of(model))
    inputs, expected = _first_results(model, specs, values)
    try:
        found = _results(fresh, inputs, values)
    except Exception as error:
        raise _refused(model, f"it raises {type(error).__name__}: {said(error)}") from error
    if len(expected) != len(found) or not all(map(_same_bits, expected, found)):
        raise _refused(
            model,
            "it gives other numbers; it may hold an attribute that no config tells, or a function that still "
            "reads the layers of the model",
        )


def _same_bits(ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    floats = ours.dtype.kind == "f"
    return ours.dtype == theirs.dtype and bool(np.array_equal(ours, theirs, equal_nan=floats))


def _first_results(model: keras.Model, specs: Specs, values: Values) -> tuple[Any, Values]:
    """Return a made-up batch that the model takes, and its results."""
    errors = []
    for length in LENGTHS:
        inputs = _made_up(specs, length)
        try:
            return inputs, _results(model, inputs, values)
        except Exception as error:
            errors.append(error)
    raise InputError(
        f"the model {model.name!r} cannot be called on a made-up batch ({type(errors[0]).__name__}: "
        f"{said(errors[0])}), so whether a copy of it does the same is not known; {REMEDY}"
    ) from errors[0]


def _results(model: keras.Model, inputs: Any, values: Values) -> Values:
    """Return the outputs in both modes, the losses and the new states, as one list of arrays."""
    given = {id(variable): value for variable, value in zip(variables_of(model), values, strict=True)}
    states = [
        [given[id(v)] for v in listed]
        for listed in (model.trainable_variables, model.non_trainable_variables)
    ]
    modes: list[dict[str, bool]] = [{}]
    if takes_training(model):
        modes = [{"training": False}, {"training": True}]
    with preserved_state():
        results = [model.stateless_call(*states, inputs, return_losses=True, **mode) for mode in modes]
    return [np.asarray(leaf) for leaf in keras.tree.flatten(results)]


def _other_values(values: Values) -> Values:
    rng = np.random.default_rng(0)
    return [_moved(value, rng) if value.dtype.kind == "f" else value for value in values]


def _moved(value: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Return values of the same sign, so that a variance stays one; zeros move too."""
    share = rng.uniform(0.1, 0.4, value.shape).astype(value.dtype)
    moved: NDArray[Any] = np.asarray(value * (1 + share) + share * (value == 0), value.dtype)
    return moved


def _made_up(specs: Specs, length: int) -> Any:
    rng = np.random.default_rng(1)

    def batch(spec: Spec) -> Any:
        shape = (BATCH, *(length if size is None else size for size in spec.shape[1:]))
        dtype = spec.dtype or keras.config.floatx()
        if dtype == "string":
            return keras.ops.convert_to_tensor(np.full(shape, "a"))
        drawn = rng.normal(size=shape) if "float" in dtype else rng.integers(0, 2, shape)
        return keras.ops.convert_to_tensor(drawn, dtype)

    return keras.tree.map_structure(batch, specs)


def _refused(model: keras.Model, what: str) -> InputError:
    return InputError(
        f"the model {model.name!r} ({type(model).__name__}) cannot be copied faithfully: made again from its "
        f"get_config() and called on one batch, {what}; {REMEDY}"
    )
