"""The variables of a layer by role: a path inside the layer that does not depend on counted names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_kerasequiv.keras_access.layers import held_layers, seed_generators, weights_held
from pytest_kerasequiv.layers.attribute_names import place_of
from pytest_kerasequiv.weights.variables import SEED_ROLE


def roles_of(layer: Any) -> list[tuple[str, Any]]:
    """Return all state of a layer as (role, variable), each variable once, in the layer's own order.

    The role of an own variable is its name (``"kernel"``); of one in a layer inside, class and place come
    first: ``"LSTMCell[0]/recurrent_kernel"``.
    """
    found: list[tuple[str, Any]] = []
    seen: set[int] = set()
    taken: dict[str, int] = {}
    for role, variable in _walk(layer, "", frozenset()):
        if id(variable) in seen:
            continue
        seen.add(id(variable))
        taken[role] = taken.get(role, 0) + 1
        found.append((role if taken[role] == 1 else f"{role}#{taken[role]}", variable))
    return found


def _walk(layer: Any, prefix: str, above: frozenset[int]) -> Iterator[tuple[str, Any]]:
    own = weights_held(layer)
    for variable in own:
        yield prefix + variable.name, variable
    for generator in seed_generators(layer):
        yield prefix + SEED_ROLE, generator.state
    above = above | {id(layer)}
    for place, inner in enumerate(held_layers(layer)):
        if id(inner) not in above:
            yield from _walk(inner, f"{prefix}{place_of(inner, place)}/", above)
