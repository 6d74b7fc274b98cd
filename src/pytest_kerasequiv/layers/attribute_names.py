"""What the user calls a layer inside a layer: by the attributes that hold it, ``blocks[1].dropout_2``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_kerasequiv.keras_access.functional import function_within
from pytest_kerasequiv.keras_access.layers import held_layers


def place_of(inner: Any, place: int) -> str:
    """Return how fields and roles name a layer inside a layer: ``"Dropout[3]"``, whatever it is called."""
    return f"{type(inner).__name__}[{place}]"


def names_held(layer: Any) -> list[str]:
    """Return for each layer that a layer holds the attribute that holds it; its place where none does."""
    held = {id(value): name for name, value in reversed(list(_attributes(layer)))}
    return [held.get(id(inner), place_of(inner, place)) for place, inner in enumerate(held_layers(layer))]


def called(fields: Iterable[str], layer: Any) -> dict[str, str]:
    """Return what the user calls those of some fields or roles that are of a layer inside.

    ``"Dropout[3].rate"`` is ``"dropout_2.rate"``, ``"Dense[0]/kernel"`` is ``"dense/kernel"``.
    """
    names = dict(_places(layer, frozenset()))
    found = {}
    for field in fields:
        within = [place for place in names if field.replace("/", ".").startswith(place)]
        if within:
            longest = max(within, key=len)
            found[field] = names[longest] + field[len(longest) :]
    return found


def attribute_paths(model: Any) -> dict[str, str]:
    """Return Keras path -> attributes, of each layer in code of somebody's: not of a layer in a graph."""
    return dict(_paths(model, str(model.name), "", frozenset()))


def holders(model: Any) -> dict[str, Any]:
    """Return attributes -> the layer that they hold, for every attribute in code of somebody's."""
    return dict(_holders(model, "", frozenset()))


def _holders(layer: Any, attributes: str, above: frozenset[int]) -> Iterator[tuple[str, Any]]:
    above = above | {id(layer)}
    held = {id(inner) for inner in held_layers(layer)} - above
    in_graph = function_within(layer) is not None
    named = ((inner.name, inner) for inner in held_layers(layer)) if in_graph else _attributes(layer)
    for name, inner in named:
        if id(inner) in held:
            place = f"{attributes}.{name}".lstrip(".")
            if not in_graph:
                yield place, inner
            yield from _holders(inner, place, above)


def _paths(layer: Any, path: str, attributes: str, above: frozenset[int]) -> Iterator[tuple[str, str]]:
    in_graph = function_within(layer) is not None
    above = above | {id(layer)}
    for inner, name in zip(held_layers(layer), names_held(layer), strict=True):
        if id(inner) in above:
            continue
        there = f"{path}/{inner.name}"
        named = inner.name if in_graph else f"{attributes}.{name}".lstrip(".")
        if not in_graph:
            yield there, named
        yield from _paths(inner, there, named, above)


def _places(layer: Any, above: frozenset[int]) -> Iterator[tuple[str, str]]:
    above = above | {id(layer)}
    for place, (inner, name) in enumerate(zip(held_layers(layer), names_held(layer), strict=True)):
        if id(inner) not in above:
            own = place_of(inner, place)
            yield own, name
            yield from ((f"{own}.{deeper}", f"{name}.{called}") for deeper, called in _places(inner, above))


def _attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of a layer and what lists and mappings among them hold, the user's own first."""
    own = vars(layer)
    for name in sorted(own, key=lambda name: name.startswith("_")):
        value = own[name]
        yield name, value
        if name.startswith("_"):
            continue
        if isinstance(value, list | tuple):
            yield from ((f"{name}[{place}]", item) for place, item in enumerate(value))
        elif isinstance(value, Mapping):
            yield from ((f"{name}[{key!r}]", item) for key, item in value.items())
