"""Losses and metrics as plain data: two spellings of one loss or metric read the same."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from types import FunctionType
from typing import Any

import keras

from pytest_kerasequiv.keras_access.compile_state import wrapped_arguments, wrapped_function
from pytest_kerasequiv.keras_access.origin import is_keras, is_library
from pytest_kerasequiv.keras_access.private_modules import to_snake_case
from pytest_kerasequiv.layers.configs import canonical
from pytest_kerasequiv.layers.own_code import own_label, own_name

_BY_SHAPE = {"acc": "accuracy", "accuracy": "accuracy", "ce": "crossentropy", "crossentropy": "crossentropy"}
"""Names for which Keras chooses a function by the shapes of the first batch."""


def described_loss(loss: Any) -> tuple[str, dict[str, Any]]:
    """Return the function behind a loss, so that ``"mse"`` is ``MeanSquaredError()``, and its settings.

    A function or class of the user's is described by its code, closure and attributes.
    """
    if isinstance(loss, str) and loss.lower() in _BY_SHAPE:
        return _BY_SHAPE[loss.lower()], {"reduction": "sum_over_batch_size"}
    resolved = keras.losses.get(loss) if isinstance(loss, str) else loss
    if not is_library(resolved) and isinstance(resolved, keras.losses.Loss):
        return own_name(resolved), _own_object(resolved)
    function = getattr(resolved, "fn", None) or resolved
    known = resolved is function and hasattr(resolved, "get_config")
    config = dict(resolved.get_config()) if known else _arguments(resolved)
    config["reduction"] = getattr(resolved, "reduction", "sum_over_batch_size")
    return _name(function), _own_or_defaults(function) | _comparable(config)


def described_metric(metric: Any) -> Any:
    """Return a metric's name, the function it averages or its class, with its settings where it has any."""
    if isinstance(metric, str) and metric.lower() in _BY_SHAPE:
        return _BY_SHAPE[metric.lower()]
    resolved = keras.metrics.get(metric) if isinstance(metric, str) else metric
    function = wrapped_function(resolved)
    if isinstance(resolved, keras.metrics.Metric) and not is_library(resolved):
        return {"class": own_name(resolved), **_own_object(resolved)}
    if hasattr(resolved, "get_config") and function is None:
        name, config = type(resolved).__name__, _comparable(resolved.get_config())
    else:
        name = _name(function or resolved)
        config = _own_or_defaults(function or resolved) | _comparable(_arguments(resolved))
    return {"class": name, **config} if config else name


def logged_name(metric: Any) -> str:
    """Return the name that Keras logs a metric under, without the number that makes it unique."""
    if isinstance(metric, str):
        return metric
    name = str(getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__))
    numbered = re.fullmatch(r"(.+)_\d+", name)
    automatic = numbered is not None and numbered[1] == str(to_snake_case(type(metric).__name__))
    return numbered[1] if numbered is not None and automatic else name


def _arguments(wrapper: Any) -> dict[str, Any]:
    """Return the settings that a wrapper passes to its function: Huber's config leaves ``delta`` out."""
    return wrapped_arguments(wrapper)


def _comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as canonical data, without names."""
    return {k: canonical(v) for k, v in config.items() if k not in {"name", "fn", "dtype"}}


def _own_object(thing: Any) -> dict[str, Any]:
    """Return the config of an object of a user's class, and what it does not tell."""
    try:
        config = _comparable(thing.get_config())
    except Exception:  # it need not be written to a file
        config = {}
    return {"code": own_label(thing, without=config.keys()), **config}


def _own_or_defaults(function: Any) -> dict[str, Any]:
    """Return what a user's function computes with; of Keras's, its defaults, at which it is as without."""
    if not (is_keras(function) and isinstance(function, FunctionType)):
        return {"code": own_label(function)}
    known = {
        p.name: p.default for p in inspect.signature(function).parameters.values() if p.default is not p.empty
    }
    return {k: canonical(v) for k, v in known.items() if v is None or isinstance(v, bool | int | float | str)}


def _name(function: Any) -> str:
    """Return what a function is called: Keras's by its own name, the user's with where it was made."""
    return (
        str(function.__name__) if is_keras(function) and hasattr(function, "__name__") else own_name(function)
    )
