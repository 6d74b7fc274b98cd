"""Tracing one Python function, with names for what it takes and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.keras_access.functional import mask_beside
from pytest_kerasequiv.program.assembling import Traced


@dataclass
class Results:
    """What a function returns while it is traced, and what each of it is."""

    labels: list[tuple[str, int | None]] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)

    def add(self, label: str, value: Any, variable: int | None = None) -> None:
        """Note a result; ``variable`` is the index of the variable it belongs to."""
        for suffix, part in [] if value is None else _components(value):
            self.labels.append((label + suffix, variable))
            self.tensors.append(tf.convert_to_tensor(part))

    def add_outputs(self, what: str, outputs: Any) -> None:
        """Note outputs by their place in the structure that is returned, and their masks."""
        for path, tensor in flat(outputs):
            self.add(f"{what} {path}", tensor)
            self.add(f"mask of {what} {path}", mask_beside(tensor))


Body = Callable[[Results, Mapping[str, Any]], None]
"""Called with what it returns into, and its arguments: group -> structure of tensors."""

States = Callable[[], Sequence[tuple[str, Any]]]
"""Returns the variables, by name, that a function may use besides those of the model."""


def traced(body: Body, arguments: Mapping[str, Any], states: States = tuple) -> Traced:
    """Trace a function; its arguments are flat, so that their order is certain.

    Args:
        body: the function.
        arguments: group -> structure of ``tf.TensorSpec``, ``None`` for what is not given.
        states: asked after the trace, which may make such variables.
    """
    results = Results()
    leaves = {group: keras.tree.flatten(structure) for group, structure in arguments.items()}

    def run(*tensors: Any) -> list[Any]:
        results.labels.clear()
        results.tensors.clear()
        waiting = iter(tensors)
        given = {
            group: keras.tree.pack_sequence_as(
                arguments[group], [None if leaf is None else next(waiting) for leaf in flattened]
            )
            for group, flattened in leaves.items()
        }
        body(results, given)
        return results.tensors

    specs = [leaf for flattened in leaves.values() for leaf in flattened if leaf is not None]
    concrete = tf.function(run, autograph=False).get_concrete_function(*specs)
    names = [f"{group} {path}" for group, structure in arguments.items() for path, _ in flat(structure)]
    return Traced(concrete.graph, names, list(results.labels), list(states()), concrete)


def named_states(holders: Mapping[str, Sequence[Any]]) -> list[tuple[str, Any]]:
    """Return variables, each once, with the name of its holder and its place there."""
    every = {
        id(variable): (f"{kind} state {place}", variable)
        for kind, variables in holders.items()
        for place, variable in enumerate(variables)
    }
    return list(every.values())


def flat(structure: Any) -> list[tuple[str, Any]]:
    """Flatten a structure to (place, leaf), see `places`, without what is ``None``."""
    leaves = zip(places(structure), keras.tree.flatten(structure), strict=True)
    return [(place, leaf) for place, leaf in leaves if leaf is not None]


def places(structure: Any) -> list[str]:
    """Return the place of each leaf of a structure: positions in lists, keys in dicts; one tensor is ``0``.

    A key that reads like a position, or like several places, stands in quotes.
    """
    paths = (path for path, _ in keras.tree.flatten_with_path(structure))
    return ["/".join(map(_place, path)) or "0" for path in paths]


def _place(key: Any) -> str:
    plain = not isinstance(key, str) or (key.isidentifier() and not key.isdigit())
    return str(key) if plain else repr(key)


def _components(value: Any) -> list[tuple[str, Any]]:
    """Take a tensor apart where it consists of several (gradients of embeddings)."""
    if isinstance(value, tf.IndexedSlices):
        parts = [("", value.values), (" rows", value.indices), (" shape", value.dense_shape)]
        return [(suffix, part) for suffix, part in parts if part is not None]
    if isinstance(value, tf.SparseTensor):
        return [("", value.values), (" positions", value.indices), (" shape", value.dense_shape)]
    return [("", value)]
