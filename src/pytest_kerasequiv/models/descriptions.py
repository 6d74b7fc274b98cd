"""What decides the behaviour of a layer or operation, as plain data."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

from pytest_kerasequiv.models.configs import canonical, fields_of
from pytest_kerasequiv.models.fingerprints import class_digest, digest, function_label, is_keras, is_opaque
from pytest_kerasequiv.models.functions import function_within, graph_of, is_layer
from pytest_kerasequiv.models.graph import INPUT_KIND


def describe(operation: Any) -> dict[str, Any]:
    """Return kind, config, seeds and ``described`` of a layer or operation, as `LayerNode` has them."""
    if not is_layer(operation):
        return _describe_operation(operation)
    fields, seeds, described = _config(operation)
    if function_within(operation) is not None:
        fields = {name: fields[name] for name in ("trainable", "dtype") if name in fields}
    fields |= _user_code(operation, fields)
    if not described:
        fields |= _attributes(operation, fields)
    if type(operation).__name__ == INPUT_KIND:
        fields.pop("trainable", None)
    return {
        "kind": type(operation).__name__,
        "config": fields,
        "seeds": seeds,
        "described": described and not is_opaque(fields),
    }


def _describe_operation(operation: Any) -> dict[str, Any]:
    """Operations are described by their public attributes; a function in one may hold layers of its own."""
    attributes = {k: v for k, v in vars(operation).items() if not k.startswith("_") and k != "name"}
    config = {name: canonical(value) for name, value in attributes.items()}
    if not is_keras(type(operation)):
        config["code"] = class_digest(type(operation))
    return {
        "kind": f"ops.{type(operation).__name__}",
        "config": config,
        "seeds": {},
        "described": not is_opaque(config),
    }


def _user_code(layer: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a config leaves out where a layer, or one inside it, computes with code of the user's."""
    custom = not is_keras(type(layer))
    found = named_functions(layer, fields)
    if custom:
        found |= {"code": class_digest(type(layer)), **_attributes(layer, fields)}
        if function_within(layer) is not None:
            found["graph"] = _graph_digest(layer)
    if "call" in vars(layer) and not is_keras(layer.call):
        found["call.code"] = digest(layer.call)
    for place, inner in enumerate(getattr(layer, "_layers", ())):
        prefix = f"{type(inner).__name__}[{place}]"
        if graph_of(inner) is not None:
            found[f"{prefix} graph"] = _graph_digest(inner)
        elif custom:
            own = describe(inner)
            found |= {f"{prefix}.{name}": value for name, value in own["config"].items()}
        else:
            found |= {
                f"{prefix}.{name}": value for name, value in _user_code(inner, _config(inner)[0]).items()
            }
    return found


def named_functions(layer: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a digest of each function or object of the user's that the config only names."""
    found: dict[str, Any] = {}
    for name in fields:
        value = getattr(layer, name, getattr(layer, f"_{name}", None))
        if is_layer(value) or isinstance(value, type) or is_keras(value) or is_keras(type(value)):
            continue
        if hasattr(value, "get_config"):
            found[f"{name}.code"] = class_digest(type(value))
        elif callable(value):
            found[name] = function_label(value)
    return found


def _graph_digest(model: Any) -> str:
    """Return a digest of the layer graph of a model inside a wrapper, without names and variables."""
    from pytest_kerasequiv.models.graph_reading import read_function

    graph = read_function(model, function_within(model))[0]
    nodes = [(node.label, node.layer, node.inputs) for node in graph.nodes]
    return hashlib.sha256(repr((nodes, graph.outputs)).encode()).hexdigest()[:16]


def _config(layer: Any) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return the fields and seeds of a layer, and whether its configuration could be read."""
    try:
        return *fields_of(layer.get_config()), True
    except (NotImplementedError, TypeError):  # Keras raises either where it cannot serialise an argument
        return {}, {}, False


def _attributes(layer: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain attributes of a user's layer: its config need not name all it computes with."""
    skipped = _plain_layer_attributes() | {"seed", *fields}
    own = {k: v for k, v in vars(layer).items() if not k.startswith("_self_") and k not in skipped}
    return {
        f"attribute {name}": canonical(value)
        for name, value in own.items()
        if value is not layer.name and (_is_plain(value) or _is_own_function(value))
    }


@functools.cache
def _plain_layer_attributes() -> frozenset[str]:
    """Return the attributes that every layer has, and that say nothing about what it computes."""
    import keras

    from pytest_kerasequiv.models.seeds import fresh_names

    with fresh_names():
        plain = vars(keras.layers.Layer())
    return frozenset(plain) | {"_build_shapes_dict", "_losses_override", "call", "output_names"}


def _is_own_function(value: Any) -> bool:
    return callable(value) and not (is_layer(value) or isinstance(value, type))


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str) or type(value).__module__ == "numpy"
