"""The losses and metrics of each output, as Keras itself builds and assigns them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.building.compiling import compile_settings, fresh_settings
from pytest_kerasequiv.building.specs import input_specs
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.compile_state import (
    in_order_of,
    loss_in_force,
    losses_within,
    metrics_in_force,
    metrics_within,
)
from pytest_kerasequiv.keras_access.functional import outputs_structure
from pytest_kerasequiv.keras_access.private_modules import compute_output_spec
from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.program.objectives import of_samples

MOST_TARGETS = 64
"""How many combinations of target shapes are tried on a compiled loss."""

METRICS = ("metrics", "weighted_metrics")


@dataclass(frozen=True)
class Built:
    """What a model is compiled with, by position of the output; losses with state are fresh copies.

    Attributes:
        targets: structure of symbolic targets that the loss takes.
        outputs: structure of the symbolic outputs.
        loss: the ``CompileLoss``; ``None`` without a loss.
        losses: for each output its losses with their weights (``None``: not weighted).
        metrics: for each output its metrics; likewise ``weighted_metrics``.
        fresh: whether the metrics are fresh copies, which may be run.
    """

    targets: Any
    outputs: Any
    loss: Any
    losses: Sequence[Sequence[tuple[Any, Any]]]
    metrics: Sequence[Sequence[Any]]
    weighted_metrics: Sequence[Sequence[Any]]
    fresh: bool


def built_settings(model: keras.Model) -> Built | None:
    """Let Keras assign a model's losses and metrics to its outputs, without changing the model.

    Returns ``None`` where the outputs are not known, or Keras refuses what ``compile`` was given: it does so
    only when the first batch arrives.
    """
    given = compile_settings(model)
    outputs = symbolic_outputs(model)
    if given is None or outputs is None:
        return None
    with preserved_state():
        for targets in target_structures(outputs):
            try:
                return _built(model, given, targets, outputs)
            except Exception:  # any refusal means other targets
                continue
    return None


def _built(model: Any, given: Mapping[str, Any], targets: Any, outputs: Any) -> Built:
    names = list(getattr(model, "output_names", None) or [])
    loss: Any = None
    losses: list[list[Any]] = [[] for _ in keras.tree.flatten(outputs)]
    if given.get("loss") is not None:
        kind = type(loss_in_force(model))
        loss = kind(fresh_settings(given["loss"], "loss"), given.get("loss_weights"), output_names=names)
        loss.build(targets, outputs)
        _try(loss, targets, outputs)
        for one in losses_within(loss):
            losses[_position(one.path, outputs, names)].append((one.loss, one.loss_weights))
    asked, fresh = _fresh_metrics(given)
    if any(asked):
        kind = type(metrics_in_force(model))
        metrics = kind(*asked, output_names=names)
        metrics.build(targets, outputs)
        order = in_order_of(metrics, _numbered(outputs))
        found = [_in_order(order, lists) for lists in metrics_within(metrics)]
    else:
        found = [[[] for _ in losses]] * 2
    return Built(targets, outputs, loss, losses, found[0], found[1], fresh)


def _fresh_metrics(given: Mapping[str, Any]) -> tuple[list[Any], bool]:
    """Return copies of the metrics, or the model's own where one cannot be copied; and which of these."""
    try:
        return [fresh_settings(given.get(name), name) for name in METRICS], True
    except InputError:
        return [given.get(name) for name in METRICS], False


def _try(loss: Any, targets: Any, outputs: Any) -> None:
    """Call a loss on symbolic tensors; whatever it raises, it does not take them."""
    if keras.config.backend() == "tensorflow":
        specs = keras.tree.map_structure(of_samples, tuple(map(_specs, (targets, outputs))))
        tf.function(loss.__call__, autograph=False).get_concrete_function(*specs)
    else:
        compute_output_spec(loss.__call__, targets, outputs)


def _specs(structure: Any) -> Any:
    return keras.tree.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), structure)


def _in_order(order: Sequence[int], lists: Sequence[Any]) -> list[list[Any]]:
    by_position = dict(zip(order, lists, strict=False))
    return [list(by_position[place].metrics) if by_position.get(place) else [] for place in range(len(order))]


def _position(path: Sequence[Any], outputs: Any, names: Sequence[str]) -> int:
    """Return the position of the output that a path leads to, or that a name stands for."""
    place = _numbered(outputs)
    for key in path:
        place = place[names.index(key)] if isinstance(place, list | tuple) and key in names else place[key]
    return int(keras.tree.flatten(place)[0])  # one loss may take a list of outputs


def _numbered(structure: Any) -> Any:
    return keras.tree.pack_sequence_as(structure, list(range(len(keras.tree.flatten(structure)))))


def symbolic_outputs(model: Any) -> Any:
    """Return the structure of a model's outputs as ``KerasTensor``; ``None`` where it is not known."""
    structure = outputs_structure(model)
    if structure is not None:
        return structure
    specs = input_specs(model)
    if specs is None:
        return None
    try:
        with preserved_state():
            return model.compute_output_spec(keras.tree.map_structure(_symbolic_input, specs))
    except Exception:  # code that needs real arrays does not tell its outputs
        return None


def _symbolic_input(spec: Any) -> Any:
    return keras.KerasTensor(spec.shape, dtype=spec.dtype or keras.config.floatx())


def target_structures(outputs: Any) -> Iterator[Any]:
    """Yield structures of symbolic targets: like the outputs, then with integer classes in place of each."""
    choices = [
        [
            keras.KerasTensor(one.shape, dtype=one.dtype if "float" in one.dtype else "float32"),
            *([keras.KerasTensor(one.shape[:-1], dtype="int32")] if one.shape else []),
        ]
        for one in keras.tree.flatten(outputs)
    ]
    for combination in itertools.islice(itertools.product(*choices), MOST_TARGETS):
        yield keras.tree.pack_sequence_as(outputs, list(combination))
