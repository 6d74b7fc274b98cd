"""Losses and metrics as plain data: two spellings of one loss or metric read the same."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import keras
from keras.src.utils.naming import to_snake_case

from pytest_kerasequiv.layers.configs import canonical
from pytest_kerasequiv.layers.fingerprints import is_keras

_BY_SHAPE = {"acc": "accuracy", "accuracy": "accuracy", "ce": "crossentropy", "crossentropy": "crossentropy"}
"""Names for which Keras chooses a function by the shapes of the first batch."""


def described_loss(loss: Any) -> tuple[str, dict[str, Any]]:
    """Return the function behind a loss, so that ``"mse"`` is ``MeanSquaredError()``, and its settings."""
    if isinstance(loss, str) and loss.lower() in _BY_SHAPE:
        return _BY_SHAPE[loss.lower()], {"reduction": "sum_over_batch_size"}
    resolved = keras.losses.get(loss) if isinstance(loss, str) else loss
    function = getattr(resolved, "fn", None) or resolved
    config: dict[str, Any] = dict(resolved.get_config()) if hasattr(resolved, "get_config") else {}
    config = {"reduction": "sum_over_batch_size", **config, **_arguments(resolved)}
    return _name(function), _defaults(function) | _comparable(config)


def described_metric(metric: Any) -> Any:
    """Return a metric's name, the function it averages or its class, with its settings where it has any."""
    if isinstance(metric, str) and metric.lower() in _BY_SHAPE:
        return _BY_SHAPE[metric.lower()]
    resolved = keras.metrics.get(metric) if isinstance(metric, str) else metric
    function = getattr(resolved, "_fn", None)
    if hasattr(resolved, "get_config") and (function is None or not is_keras(type(resolved))):
        name, config = type(resolved).__name__, _comparable(resolved.get_config())
    else:
        name = _name(function or resolved)
        config = _defaults(function or resolved) | _comparable(_arguments(resolved))
    return {"class": name, **config} if config else name


def logged_name(metric: Any) -> str:
    """Return the name that Keras logs a metric under, without the number that makes it unique."""
    if isinstance(metric, str):
        return metric
    name = str(getattr(metric, "name", None) or _name(metric))
    numbered = re.fullmatch(r"(.+)_\d+", name)
    automatic = numbered is not None and numbered[1] == _snake_case(type(metric).__name__)
    return numbered[1] if numbered is not None and automatic else name


def _snake_case(name: str) -> str:
    return str(to_snake_case(name))


def _arguments(wrapper: Any) -> dict[str, Any]:
    """Return the settings that a wrapper passes to its function: Huber's config leaves ``delta`` out."""
    return dict(getattr(wrapper, "_fn_kwargs", None) or {})


def _comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as canonical data, without names and objects that are known by their address only."""
    given = {k: canonical(v) for k, v in config.items() if k not in {"name", "fn", "dtype"}}
    return {k: value for k, value in given.items() if not (isinstance(value, str) and " at 0x" in value)}


def _defaults(function: Any) -> dict[str, Any]:
    """Return the default arguments of a function: a setting at its default is the same as none."""
    if inspect.isclass(function) or not inspect.isroutine(function):
        return {}
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    known = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {k: canonical(v) for k, v in known.items() if v is None or isinstance(v, bool | int | float | str)}


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", None) or type(function).__name__)
