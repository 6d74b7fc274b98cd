"""What preprocessing layers keep outside the model's variables: vocabularies and bin boundaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from pytest_kerasequiv.keras_access.layers import held_layers


@dataclass(frozen=True)
class Learned:
    """What one layer looks up.

    Attributes:
        layer: Keras path of the layer.
        what: ``"vocabulary"`` or ``"bin_boundaries"``.
        items: the tokens or boundaries, in order, special tokens included.
    """

    layer: str
    what: str
    items: tuple[Any, ...]


def learned_of(model: keras.Model) -> tuple[Learned, ...]:
    """Return what the preprocessing layers of a model have learned or were given, in the order of layers."""
    return tuple(_learned(model, model.name))


def tokens_of(layers: Sequence[Any]) -> tuple[Any, ...]:
    """Return the tokens that the lookup layers among ``layers`` know, special ones left out."""
    found: list[Any] = []
    for layer in layers:
        if _looks_up(layer):
            found += [_plain(token) for token in layer.get_vocabulary(include_special_tokens=False)]
    return tuple(dict.fromkeys(found))


def _learned(layer: Any, path: str) -> Iterator[Learned]:
    if _looks_up(layer):  # the lookup inside a TextVectorization is the same one
        yield Learned(path, "vocabulary", tuple(_plain(token) for token in layer.get_vocabulary()))
        return
    boundaries = getattr(layer, "bin_boundaries", None)
    if boundaries is not None:
        yield Learned(path, "bin_boundaries", tuple(float(edge) for edge in boundaries))
    for inner in held_layers(layer):  # of layers that hold each other Keras lists no variables
        yield from _learned(inner, f"{path}/{inner.name}")


def _looks_up(layer: Any) -> bool:
    kinds = (keras.layers.StringLookup, keras.layers.IntegerLookup, keras.layers.TextVectorization)
    return isinstance(layer, kinds)


def _plain(token: Any) -> Any:
    plain = token.item() if hasattr(token, "item") else token
    return plain.decode("utf-8", "replace") if isinstance(plain, bytes) else plain
