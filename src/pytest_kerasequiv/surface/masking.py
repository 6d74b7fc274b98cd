"""Which layers of a model make masks, and which value of an input they mask."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.running.layer_calls import Recording


def masks_somewhere(model: keras.Model) -> bool:
    """Tell whether any layer makes a mask: Masking, Embedding with ``mask_zero``, a user's own."""
    return any(_masks(layer) for layer in layers_within(model, itself=True))


def masked_inputs(recording: Recording) -> dict[int, float]:
    """Return, by position of the input, the value that a Masking or Embedding masks.

    Told are inputs that the layer takes first hand, or through layers that only pass or rescale values; the
    first such layer counts.
    """
    found: dict[int, float] = {}
    for index, layer in enumerate(recording.layers):
        value = _masked_value(layer)
        if value is None:
            continue
        for position, masked in _traced_back(recording, index, value):
            found.setdefault(position, masked)
    return found


def _masks(layer: Any) -> bool:
    return _masked_value(layer) is not None or _has_own_mask(type(layer))


def _masked_value(layer: Any) -> float | None:
    if isinstance(layer, keras.layers.Masking):
        return float(layer.mask_value)
    return 0.0 if isinstance(layer, keras.layers.Embedding) and layer.mask_zero else None


def _has_own_mask(cls: type) -> bool:
    """Tell whether a class of the user's, or a base of it that is, defines ``compute_mask``."""
    return any("compute_mask" in vars(base) and not is_keras(base) for base in cls.__mro__)


def _traced_back(recording: Recording, index: int, value: float) -> list[tuple[int, float]]:
    """Follow what a call was given up to the model's inputs; the value there that becomes ``value``."""
    found = []
    for source, _ in recording.calls[index].sources:
        if source <= -2:
            found.append((-2 - source, value))
        elif source >= 0:
            before = _before(recording.layers[source], value)
            found += [] if before is None else _traced_back(recording, source, before)
    return found


def _before(layer: Any, value: float) -> float | None:
    """Return what a layer turns into ``value``, every number alike; ``None`` where that is not trivial."""
    kinds = keras.layers
    if isinstance(layer, kinds.Rescaling):
        if np.ndim(layer.scale) or np.ndim(layer.offset) or not layer.scale:
            return None
        return float((value - layer.offset) / layer.scale)
    passing = (
        kinds.Identity,
        kinds.Dropout,
        kinds.GaussianNoise,
        kinds.GaussianDropout,
        kinds.SpatialDropout1D,
    )
    return value if isinstance(layer, passing) else None
