"""Putting one compiled model back to the start of another seed, so that nothing is traced twice.

A run of a reused model is the run of the fresh one if all that the run depends on is the same: the values of
all
variables (weights, seed states, optimizer), the settings baked into the traced program, and Python-side
state.
The first is copied from a model that is freshly built under the seed, the second is compared, the third is
either
absent (Keras's own classes keep their state in variables) or looked for, and then checked against a fresh
run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.keras_access.compile_state import compile_record
from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.keras_access.random_state import seeded
from pytest_kerasequiv.weights.variables import variables_of

# Keras's own layers that keep state elsewhere than in variables, or that run the user's code.
_WITH_OTHER_STATE = (
    "keras.src.layers.preprocessing",
    "keras.src.layers.core.lambda_layer",
    "keras.src.utils",
)
_SETTINGS_THAT_RUN = ("activation", "recurrent_activation", "regularizer", "constraint")
_RENAMED = {"name", "seed", "build_config", "registered_name", "shared_object_id"}
_KEPT_BY_KERAS = {
    *("built", "history", "inputs", "name", "outputs", "stop_evaluating", "stop_predicting", "stop_training"),
    *("predict_function", "test_function", "train_function"),
}
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class CannotReuse(Exception):  # noqa: N818 - an answer, not an error
    """The model cannot be put back to a start; the message says why."""


def copy_start(fresh: keras.Model, reused: keras.Model) -> None:
    """Give ``reused`` all the state of ``fresh``: weights, seed states and optimizer.

    Raises:
        CannotReuse: their variables do not correspond.
    """
    _copy(variables_of(fresh), variables_of(reused), "variables")
    if reused.optimizer is not None:
        for model in (fresh, reused):
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
        _copy(fresh.optimizer.variables, reused.optimizer.variables, "optimizer variables")
    reused.reset_metrics()


def _copy(sources: list[Any], targets: list[Any], what: str) -> None:
    if [(tuple(v.shape), v.dtype) for v in sources] != [(tuple(v.shape), v.dtype) for v in targets]:
        raise CannotReuse(f"its {what} differ between seeds or are made while training")
    for source, target in zip(sources, targets, strict=True):
        target.assign(source.value)


def blueprint(model: keras.Model) -> str:
    """Describe what a traced program holds beside variables: configs of layers and compiled settings.

    Two models with one blueprint, built by one builder, trace to the same program. Names and seeds are left
    out:
    seeds live in variables.
    """
    try:
        config = model.get_config()
    except Exception:  # a subclassed model need not have one; its attributes still count
        config = {}
    try:
        compiled = model.get_compile_config()
    except Exception:
        compiled = {}
    return json.dumps(
        [_canonical(config), _canonical(compiled), python_state(model)], sort_keys=True, default=repr
    )


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in value.items() if key not in _RENAMED}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    return value


def python_state(model: keras.Model) -> list[Any]:
    """Return the plain public attributes of the user's own layers: state that no variable holds."""
    found = []
    for index, layer in enumerate(_parts(model)):
        if not is_keras(layer):
            own = {k: v for k, v in vars(layer).items() if k[0] != "_" and k not in _KEPT_BY_KERAS}
            found.append([index, {name: _plain(value) for name, value in own.items() if _is_plain(value)}])
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, (list, tuple, set)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, (*_PLAIN, np.ndarray, np.generic))


def _plain(value: Any) -> str:
    return value.tobytes().hex() if isinstance(value, np.ndarray) else repr(value)


def foreign_part(model: keras.Model) -> str | None:
    """Name a part that is the user's own code, whose state Keras does not vouch for, or ``None``."""
    for layer in _parts(model):
        if not is_keras(layer) or type(layer).__module__.startswith(_WITH_OTHER_STATE):
            return f"layer class {type(layer).__name__}"
        for name, value in vars(layer).items():
            if name.endswith(_SETTINGS_THAT_RUN) and value is not None and not is_keras(value):
                return f"{name} of layer {layer.name!r}"
    if not is_keras(model.optimizer):
        return f"optimizer class {type(model.optimizer).__name__}"
    for what, value in compiled_parts(model):
        if not isinstance(value, str) and not is_keras(value):
            return f"{what} {getattr(value, '__name__', type(value).__name__)}"
    return None


def _parts(model: keras.Model) -> list[Any]:
    return [model, *layers_within(model)]


def compiled_parts(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yield the losses and metrics that a model was compiled with."""
    config = compile_record(model)
    given = dict(config.config) if config is not None else {}
    for what in ("loss", "metrics", "weighted_metrics"):
        for value in keras.tree.flatten(given.get(what)):
            if value is not None:
                yield what, value


@contextmanager
def training_state(seed: int) -> Iterator[None]:
    """Run a training under a seed and leave the caller's world as it was.

    On a CPU, Keras training repeats bit by bit as it is, so the op-determinism flag stays as the caller has
    it and
    the results are those of the caller's own loop. Kernels of a GPU repeat only under op determinism.
    """
    with seeded(seed):
        if tf.config.list_logical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
        yield
