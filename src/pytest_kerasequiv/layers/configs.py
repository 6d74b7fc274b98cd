"""The configuration of a layer in canonical form: what decides its behaviour, without names and seeds."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pytest_kerasequiv.keras_access.added_settings import is_as_ever
from pytest_kerasequiv.keras_access.origin import is_keras, is_library
from pytest_kerasequiv.layers.own_code import differences_in_words, function_label, own_label
from pytest_kerasequiv.layers.plain_values import array_label, is_array, number, shown

IGNORED = frozenset(
    {"name", "build_config", "shared_object_id", "registered_name", "module", "compile_config"}
)
"""Keys that name things or describe how they were built."""

SEED = "seed"


def read_config(layer: Any) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return the fields and seeds of a layer, see `fields_of`, and whether its configuration could be read.

    Where Keras cannot serialise an argument of a layer of its own (a `functools.partial`), the attributes
    that hold the arguments are read.
    """
    try:
        return *fields_of(layer.get_config()), True
    except (NotImplementedError, TypeError):  # Keras raises either
        held = _arguments_held(layer)
        return ({}, {}, False) if held is None else (*fields_of(held), True)


def _arguments_held(layer: Any) -> dict[str, Any] | None:
    """Return the arguments of a layer of Keras's as its attributes; ``None`` where one is not held."""
    if not is_keras(type(layer)):
        return None
    named = inspect.signature(type(layer).__init__).parameters.values()
    names = [one.name for one in named if one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}][1:]
    if not all(hasattr(layer, name) for name in names):
        return None
    held = {name: getattr(layer, name) for name in names}
    return held | {"trainable": layer.trainable, "dtype": layer.dtype_policy.name}


def fields_of(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a Keras config into behaviour and explicit seeds.

    Args:
        config: what ``get_config()`` returned.

    Returns:
        The fields in canonical, JSON-able form, and the seeds that are not ``None``. The fields of a layer
        inside a wrapper are dotted: ``"layer.units"``.
    """
    fields: dict[str, Any] = {}
    seeds: dict[str, Any] = {}
    for key, value in config.items():
        if key in IGNORED or is_as_ever(key, value):
            continue
        if key == SEED:
            _keep_seed(seeds, key, value)
        elif is_layer_config(value):
            fields[key] = class_label(value)
            inner_fields, inner_seeds = fields_of(value["config"])
            fields |= {f"{key}.{name}": inner for name, inner in inner_fields.items()}
            seeds |= {f"{key}.{name}": inner for name, inner in inner_seeds.items()}
        else:
            if value is not None:
                fields[key] = canonical(value)
            for name, seed in _seeds_within(value):
                _keep_seed(seeds, f"{key}.{name}", seed)
    return fields, seeds


def canonical(value: Any) -> Any:
    """Return a config value or a call constant as canonical JSON-able data.

    A serialised Keras object becomes ``{"class": ..., field: ...}``, a dtype policy its name, an array a
    digest with its shape and dtype.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return _canonical_mapping(value)
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, slice):
        return {"class": "slice", "of": [canonical(part) for part in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"class": "Ellipsis"}
    return _canonical_object(value)


def is_layer_config(value: Any) -> bool:
    """Tell whether a config value is a serialised layer (inside a wrapper)."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("config"), Mapping)
        and "class_name" in value
        and {"name", "dtype"} <= value["config"].keys()
    )


def class_label(serialised: Mapping[str, Any]) -> str:
    """Return how a serialised object's class is called: the registered name where it has one."""
    return str(serialised.get("registered_name") or serialised["class_name"])


def value_in_words(reference: Any, candidate: Any) -> str:
    """Say how a canonical value differs: both values, and of own code the lines and values that differ."""
    texts = [shown(value) for value in (reference, candidate)]
    both = f"{texts[0]} in the reference and {texts[1]} in the candidate"
    if not all(isinstance(value, Mapping) and "class" in value for value in (reference, candidate)):
        return both
    inner = [
        {name: value for name, value in side.items() if name not in {"class", "of"}}
        for side in (reference, candidate)
    ]
    own = any(name.rpartition(".")[2] == "code" for side in inner for name in side)
    words = differences_in_words(*inner) if own and reference["class"] == candidate["class"] else []
    if not words:
        return both
    name = texts[0] if texts[0] == texts[1] else f"{texts[0]} / {texts[1]}"
    return f"{name}, where {'; '.join(words)}"


def _canonical_mapping(value: Mapping[Any, Any]) -> Any:
    if "class_name" not in value:
        return {str(key): canonical(item) for key, item in value.items() if key not in IGNORED}
    inner = value.get("config")
    if value["class_name"] == "DTypePolicy" and isinstance(inner, Mapping):
        return inner["name"]
    if not isinstance(inner, Mapping):
        return {"class": class_label(value), "of": canonical(inner)}
    if "layers" in inner:  # a model inside a wrapper: its graph is compared, not its names
        return {"class": class_label(value)}
    kept = {
        key: canonical(item)
        for key, item in inner.items()
        if key not in IGNORED | {SEED} and item is not None
    }
    return {"class": class_label(value), **kept}


def _seeds_within(value: Any) -> list[tuple[str, Any]]:
    inner = value.get("config") if isinstance(value, Mapping) else None
    return [(SEED, inner[SEED])] if isinstance(inner, Mapping) and SEED in inner else []


def _keep_seed(seeds: dict[str, Any], key: str, value: Any) -> None:
    seed = canonical(value)
    if seed is not None:
        seeds[key] = seed


def _canonical_object(value: Any) -> Any:
    if is_array(value):
        return array_label(value)
    if hasattr(value, "get_config") and not is_library(type(value)):
        return {"class": type(value).__name__, "code": own_label(value)}
    if hasattr(value, "get_config"):
        try:
            return {"class": type(value).__name__, **fields_of(value.get_config())[0]}
        except NotImplementedError:  # Keras has objects that keep none
            pass
    if callable(value):
        return function_label(value)
    return repr(value)
