"""What preprocessing layers have learned by ``adapt``: carrying it from one model to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np

from pytest_kerasequiv.keras_access.layers import layers_within


@dataclass(frozen=True, eq=False)
class Adapted:
    """What one layer has learned, as plain data.

    Attributes:
        variables: the values that it saves, by name: statistics.
        assets: the files that it saves, by name: a vocabulary.
        boundaries: those of the bins of a Discretization, which it writes to its config only.
    """

    variables: dict[str, Any]
    assets: dict[str, bytes]
    boundaries: Sequence[float] | None = None


def adapting_layers(model: keras.Model) -> list[Any]:
    """Return the layers of a model that learn by ``adapt``, in order; those told what they need do not."""
    return [layer for layer in layers_within(model) if hasattr(layer, "adapt") and not _was_told(layer)]


def adapted_of(layer: Any) -> Adapted:
    """Read what a layer has learned."""
    variables: dict[str, Any] = {}
    layer.save_own_variables(variables)
    with TemporaryDirectory() as folder:
        if hasattr(layer, "save_assets"):
            layer.save_assets(folder)
        assets = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    values = {name: np.asarray(value).copy() for name, value in variables.items()}
    return Adapted(values, assets, getattr(layer, "bin_boundaries", None))


def adapt_like(layer: Any, adapted: Adapted) -> None:
    """Give a layer what another one has learned."""
    layer.load_own_variables(dict(adapted.variables))
    if adapted.boundaries is not None:
        layer.bin_boundaries = list(adapted.boundaries)
    if adapted.assets:
        with TemporaryDirectory() as folder:
            for name, content in adapted.assets.items():
                (Path(folder) / name).write_bytes(content)
            layer.load_assets(folder)


def lent(giver: keras.Model, taker: keras.Model, *, statistics: bool) -> Iterator[tuple[int, Any, Adapted]]:
    """Yield what layers of ``taker`` lack and their partners in ``giver`` have learned.

    Partners are of one class and stand at the same place among those of their class. A vocabulary or
    boundaries are given only to a layer without any.

    Args:
        giver: the model that has learned.
        taker: the other one.
        statistics: whether to give those of a Normalization too, where they differ.

    Yields:
        the number of the layer in `adapting_layers`, the layer, and what to give it.
    """
    givers, takers = adapting_layers(giver), adapting_layers(taker)
    for number, layer in enumerate(takers):
        like = [other for other in givers if type(other) is type(layer)]
        alike = [other for other in takers if type(other) is type(layer)]
        if len(like) == len(alike):
            partner = like[next(i for i, other in enumerate(alike) if other is layer)]
            if _gives(partner, layer, statistics):
                yield number, layer, adapted_of(partner)


def _gives(partner: Any, layer: Any, statistics: bool) -> bool:
    if not isinstance(layer, keras.layers.Normalization):
        return has_learned(partner) and not has_learned(layer)
    ours, theirs = ([np.asarray(value) for value in one.get_weights()] for one in (partner, layer))
    shapes_fit = [value.shape for value in ours] == [value.shape for value in theirs]
    return statistics and shapes_fit and not all(map(np.array_equal, ours, theirs))


def has_learned(layer: Any) -> bool:
    """Whether a layer has a vocabulary or boundaries."""
    if hasattr(layer, "get_vocabulary"):
        return len(layer.get_vocabulary(include_special_tokens=False)) > 0
    return getattr(layer, "bin_boundaries", None) is not None


def learned_statistics(model: keras.Model) -> set[int]:
    """Return the identities of the variables of each Normalization that has learned.

    They are the model's, as numbers in its code are: another twin may hold them as these.
    """
    adapted = [one for one in adapting_layers(model) if isinstance(one, keras.layers.Normalization)]
    weights = [one.weights for one in adapted if any(not _is_fresh(weight) for weight in one.weights)]
    return {id(variable) for held in weights for variable in held}


def _is_fresh(weight: Any) -> bool:
    start = 1 if weight.name == "variance" else 0
    return bool(np.all(np.asarray(weight) == start))


def _was_told(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Normalization) and layer.input_mean is not None
