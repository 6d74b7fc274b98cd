"""Model files in HDF5, of Keras 3 and of Keras 2."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
from keras.src.legacy.saving import saving_utils

_NAMED = ("loss", "metrics", "weighted_metrics")
_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")
"""Metrics that Keras chooses by the shapes."""


def load_hdf5(path: Path) -> keras.Model:
    """Load a model with Keras's safe mode on, compiled with a fresh optimizer as it says.

    Keras itself reads back no loss that the file gives by a short name, ``"mse"``.
    """
    model = keras.models.load_model(path, compile=False, safe_mode=True)
    with h5py.File(path, "r") as file:
        settings = file.attrs.get("training_config")
    if settings is not None:
        model.compile(**_compile_arguments(json.loads(settings)))
        saving_utils.try_build_compiled_arguments(model)
    return model


def _compile_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``compile``; those that are names stay as the user gave them."""
    given = {key: _of_one_output(_named(settings[key])) for key in _NAMED if key in settings}
    named = {key: names for key, names in given.items() if _holds_names_only(names)}
    made: dict[str, Any] = saving_utils.compile_args_from_training_config(
        {**settings, **given, **dict.fromkeys(named)}
    )
    return made | named


def _of_one_output(structure: Any) -> Any:
    """Return the metrics of a single output, of which Keras 2 wrote a list in a list, as a list."""
    of_one = isinstance(structure, list) and len(structure) == 1 and isinstance(structure[0], list)
    return structure[0] if of_one else structure


def _named(structure: Any) -> Any:
    """Return metrics with the names that they were given by, where Keras 2 wrote the function behind one."""
    if isinstance(structure, list):
        return [_named(one) for one in structure]
    if not isinstance(structure, dict):
        return structure
    if "class_name" not in structure:
        return {key: _named(one) for key, one in structure.items()}
    name, function = (structure["config"].get(key) for key in ("name", "fn"))
    if structure["class_name"] != "MeanMetricWrapper" or not isinstance(function, str):
        return structure
    return name if name in _BY_SHAPE or _is_metric(name) else function


def _is_metric(name: Any) -> bool:
    try:
        return callable(keras.metrics.get(name))
    except ValueError:
        return False


def _holds_names_only(structure: Any) -> bool:
    if isinstance(structure, Mapping):
        return "class_name" not in structure and all(map(_holds_names_only, structure.values()))
    if isinstance(structure, list | tuple):
        return all(map(_holds_names_only, structure))
    return structure is None or isinstance(structure, str)
