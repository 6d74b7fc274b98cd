"""Code of the user's that no traced operation shows: called back into Python, or of entries not traced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from pytest_kerasequiv.keras_access.called_back import python_function
from pytest_kerasequiv.keras_access.layers import direct_layers
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.layers.graph_reading import describe
from pytest_kerasequiv.layers.own_code import described, own_name
from pytest_kerasequiv.program.layer_names import layer_path
from pytest_kerasequiv.program.nodes import OwnCode, Program
from pytest_kerasequiv.surface.entries import Kind

CALLING_BACK = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})


def called_back(definition: Any, tree: Mapping[str, frozenset[str]]) -> Iterator[OwnCode]:
    """Yield the Python functions that the ops of a graph call back."""
    for nodes in (definition.node, *(function.node_def for function in definition.library.function)):
        for node in nodes:
            function = python_function(node.attr["token"].s) if node.op in CALLING_BACK else None
            if function is not None:
                yield OwnCode(own_name(function), layer_path(node.name, tree), described(function))


def own_code_of(model: keras.Model, kind: Kind) -> Iterator[OwnCode]:
    """Yield the code of the user's that runs in an entry: of all layers, of the model's class for a step."""
    waiting = [(model, model.name)]
    while waiting:
        layer, path = waiting.pop()
        code = _own_parts(layer)
        if code:
            yield OwnCode(type(layer).__name__, path, code)
        below = () if kind is Kind.STEP else direct_layers(layer)
        waiting.extend((inner, f"{path}/{inner.name}") for inner in below)


def _own_parts(layer: Any) -> dict[str, Any]:
    """Return what describes a layer of the user's, or the functions of the user's in one of Keras's."""
    config = {name: value for name, value in describe(layer)["config"].items() if "[" not in name}
    if not is_keras(type(layer)):
        return config
    return {name: value for name, value in config.items() if "code'" in repr(value)}


def unseen_apart(reference: Program, candidate: Program) -> list[tuple[OwnCode | None, OwnCode | None]]:
    """Pair the unseen code of both sides that is not on the other side as well."""
    ours, theirs = list(reference.unseen), list(candidate.unseen)
    for one in reference.unseen:
        same = next((other for other in theirs if other.code == one.code), None)
        if same is not None:
            ours.remove(one)
            theirs.remove(same)
    mine, others = _each_once(ours), _each_once(theirs)
    pairs: list[tuple[OwnCode | None, OwnCode | None]] = []
    for code in mine:
        partner = next((other for other in others if other.name == code.name), next(iter(others), None))
        others = [other for other in others if other is not partner]
        pairs.append((code, partner))
    return [*pairs, *((None, code) for code in others)]


def _each_once(codes: list[OwnCode]) -> list[OwnCode]:
    """Return each once: an entry that is traced again has the same."""
    found: list[OwnCode] = []
    for code in codes:
        if code not in found:
            found.append(code)
    return found
