"""Losses and metrics per output, however `Model.compile` was told them: as Keras itself assigns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Outputs:
    """The outputs of a model.

    Attributes:
        places: the structure of the outputs, with the position of each in it; ``None`` where it is not known
            before the model is called.
        names: Keras's names of the outputs, by position.
    """

    places: Any
    names: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many outputs there are."""
        return len(_flat(self.places))


class Weighted:
    """A loss and its weight; no tuple, since Keras would look into one."""

    def __init__(self, loss: Any, weight: Any) -> None:
        self.loss = loss
        self.weight = weight


def outputs_of(model: keras.Model) -> Outputs:
    """Return what is known of the outputs of a model without calling it."""
    function = getattr(model, "_functional", None) or model
    structure = getattr(function, "_outputs_struct", None)
    if structure is None:
        return Outputs(None, ())
    return Outputs(_numbered(structure), tuple(getattr(function, "output_names", ())))


def losses_per_output(loss: Any, weights: Any, outputs: Outputs) -> list[list[Weighted]]:
    """Return the losses of each output with their weights: mostly one, none where the output has no loss.

    Raises:
        ValueError: there are not as many weights as losses; Keras refuses them too, at the first batch.
    """
    places, names = outputs.places, outputs.names
    if isinstance(loss, Mapping) and not isinstance(places, Mapping) and set(loss) == set(names):
        loss = [loss[name] for name in names]
        weights = [weights.get(name) for name in names] if isinstance(weights, Mapping) else weights
    flat = _flat(loss)
    given = [None] * len(flat) if weights is None else _flat(weights)
    if len(given) != len(flat):
        raise ValueError(f"{len(given)} loss weights for {len(flat)} losses")
    pairs = [Weighted(one, weight) for one, weight in zip(flat, given, strict=True)]
    settings = keras.tree.pack_sequence_as(loss, pairs)
    places = _numbered(loss) if places is None else places
    found: list[list[Weighted]] = [[] for _ in _flat(places)]
    _place(settings, places, found)
    return [[one for one in several if one.loss is not None] for several in found]


def _place(setting: Any, places: Any, found: list[list[Weighted]]) -> None:
    """Put each loss of a setting into the lists of the outputs it applies to, as ``CompileLoss`` does."""
    positions = _flat(places)
    is_list, of_lists = isinstance(setting, list | tuple), isinstance(places, list | tuple)
    if isinstance(setting, Weighted):
        for position in positions:
            found[position].append(setting)
    elif is_list and len(setting) == len(positions) and not any(map(_is_nested, setting)):
        for position, one in zip(positions, setting, strict=True):
            found[position].append(one)
    elif is_list and not of_lists:  # several losses of one output
        for one in setting:
            _place(one, places, found)
    elif isinstance(setting, Mapping) and isinstance(places, Mapping):
        for key in setting.keys() & places.keys():
            _place(setting[key], places[key], found)
    elif is_list and of_lists:
        for one, place in zip(setting, places, strict=False):
            _place(one, place, found)
    else:
        for position, one in zip(positions, _flat(setting), strict=False):
            found[position].append(one)


def metrics_per_output(metrics: Any, outputs: Outputs) -> list[list[Any]]:
    """Return the metrics of each output, in their order."""
    places = outputs.places
    if places is None:  # a list of lists has one list for each output; which output a name means is not known
        nested = isinstance(metrics, list | tuple | Mapping) and any(map(_is_nested, _children(metrics)))
        entries = _children(metrics) if nested else [metrics]
        return [_several(entry) for entry in entries]
    count = outputs.count
    if not metrics or count == 1:
        return [_several(metrics), *([] for _ in range(count - 1))]
    found: list[list[Any]] = [[] for _ in range(count)]
    named = _by_key(metrics, outputs)
    if named is None:
        _spread(metrics, places, found)
    else:
        for position, entry in named.items():
            found[position] = _several(entry)
    return found


def _by_key(metrics: Any, outputs: Outputs) -> dict[int, Any] | None:
    """Return the entry of each position where outputs are one flat list or dictionary; else ``None``."""
    places, names = outputs.places, outputs.names
    if any(map(_is_nested, _children(places))):
        return None
    keys = names
    if isinstance(places, Mapping):
        keys = names if set(places) == set(names) else tuple(sorted(places))
        positions = [places[key] for key in keys]
    else:
        positions = list(places)
    if isinstance(metrics, list | tuple) and len(metrics) == outputs.count:
        return dict(zip(positions, metrics, strict=True))
    if isinstance(metrics, Mapping) and set(metrics) <= set(keys):
        return {position: metrics.get(key) for key, position in zip(keys, positions, strict=True)}
    return None


def _spread(metrics: Any, places: Any, found: list[list[Any]]) -> None:
    """Give metrics that have the structure of the outputs to each of them."""
    if isinstance(places, int):
        found[places] = _several(metrics)
    elif isinstance(metrics, Mapping) and isinstance(places, Mapping):
        for key in metrics.keys() & places.keys():
            _spread(metrics[key], places[key], found)
    else:
        for entry, place in zip(_children(metrics), _children(places), strict=False):
            _spread(entry, place, found)


def _children(setting: Any) -> list[Any]:
    if isinstance(setting, Mapping):
        return [setting[key] for key in sorted(setting, key=str)]
    return list(setting) if isinstance(setting, list | tuple) else [setting]


def _several(entry: Any) -> list[Any]:
    return [one for one in _flat(entry) if one is not None]


def _flat(setting: Any) -> list[Any]:
    return list(keras.tree.flatten(setting))


def _numbered(structure: Any) -> Any:
    return keras.tree.pack_sequence_as(structure, list(range(len(_flat(structure)))))


def _is_nested(setting: Any) -> bool:
    return isinstance(setting, list | tuple | Mapping)
