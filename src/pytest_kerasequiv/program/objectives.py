"""The loss a model trains on, rebuilt so that tracing it leaves the model's own loss and metrics alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.building.compiling import fresh_settings
from pytest_kerasequiv.keras_access.compile_state import added_loss, given_to_loss, loss_in_force
from pytest_kerasequiv.program.nodes import Unprovable

MAX_ATTEMPTS = 64
"""How many combinations of target shapes are tried on a compiled loss."""

SAMPLES = 7
"""Size of the batch that a loss is tried on."""


@dataclass(frozen=True)
class Objective:
    """What is minimised, besides the losses that the model's layers add.

    Attributes:
        loss: called with the flattened targets, the outputs and sample weights or ``None``; returns ``None``
            where nothing is minimised.
        targets: a ``tf.TensorSpec`` per output, in flattened order, ``None`` for an output without a target.
        states: variables that the loss keeps: the means of its parts.
    """

    loss: Callable[[Sequence[Any], Any, Any], Any]
    targets: tuple[Any, ...]
    states: tuple[Any, ...] = ()


def objective(model: keras.Model, outputs: Any) -> Objective:
    """Find what a model minimises; ``outputs`` are its outputs' ``tf.TensorSpec`` structure.

    Where the model is not compiled, its training program is looked at under a stand-in: the mean square of
    the difference between each floating-point output and its target, summed.

    Raises:
        Unprovable: the compiled loss takes no targets that could be guessed.
    """
    if not model.compiled:
        return Objective(_stand_in, tuple(_stand_in_target(spec) for spec in keras.tree.flatten(outputs)))
    compiled = loss_in_force(model)
    if compiled is None:
        return Objective(_nothing, tuple(None for _ in keras.tree.flatten(outputs)))
    return _compiled_objective(compiled, outputs)


def total_loss(model: keras.Model, goal: Objective, targets: Sequence[Any], outputs: Any) -> Any:
    """Return the loss of one step as Keras sums it: the objective, then the losses that the layers add."""
    main = goal.loss(targets, outputs, None)
    terms = [] if main is None else [main]
    terms += [added_loss(model, loss) for loss in model.losses]
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else keras.ops.sum(terms)


def _compiled_objective(compiled: Any, outputs: Any) -> Objective:
    """Copy a compiled loss and find targets that it takes."""
    error: Exception | None = None
    given = given_to_loss(compiled)
    for targets in target_structures(outputs):
        settings = {"loss_weights": given["loss_weights"], "output_names": compiled.output_names}
        fresh = type(compiled)(fresh_settings(given["loss"], "loss"), **settings)
        try:
            fresh.build(*(keras.tree.map_structure(symbolic, specs) for specs in (targets, outputs)))
            _try_loss(fresh, targets, outputs)
        except Exception as problem:  # any refusal means other targets
            error = error or problem
            continue
        return Objective(_on_structures(fresh), tuple(keras.tree.flatten(targets)), tuple(fresh.variables))
    raise Unprovable(f"the compiled loss could not be traced: {error}") from error


def _on_structures(loss: Any) -> Callable[[Sequence[Any], Any, Any], Any]:
    def call(targets: Sequence[Any], outputs: Any, weights: Any) -> Any:
        return loss(keras.tree.pack_sequence_as(outputs, list(targets)), outputs, weights)

    return call


def _nothing(_targets: Sequence[Any], _outputs: Any, _weights: Any) -> None:
    return None


def _stand_in(targets: Sequence[Any], outputs: Any, _weights: Any) -> Any:
    terms = [
        tf.reduce_mean(tf.math.squared_difference(tf.cast(output, target.dtype), target))
        for target, output in zip(targets, keras.tree.flatten(outputs), strict=True)
        if target is not None
    ]
    return tf.add_n(terms) if terms else None


def _stand_in_target(spec: Any) -> Any:
    if not spec.dtype.is_floating:
        return None
    return tf.TensorSpec(spec.shape, tf.float64 if spec.dtype == tf.float64 else tf.float32)


def target_structures(outputs: Any) -> Iterator[Any]:
    """Yield structures of target specs: like the outputs, then with integer classes in place of each."""
    flat = keras.tree.flatten(outputs)
    choices = [
        [
            tf.TensorSpec(spec.shape, spec.dtype if spec.dtype.is_floating else tf.float32),
            *([tf.TensorSpec(spec.shape[:-1], tf.int32)] if spec.shape.rank else []),
        ]
        for spec in flat
    ]
    for combination in itertools.islice(itertools.product(*choices), MAX_ATTEMPTS):
        yield keras.tree.pack_sequence_as(outputs, list(combination))


def _try_loss(loss: Any, targets: Any, outputs: Any) -> None:
    """Trace the loss alone, on so many samples: it raises where it does not take such targets."""
    specs = keras.tree.map_structure(of_samples, (targets, outputs))
    tf.function(loss.__call__, autograph=False).get_concrete_function(*specs)


def of_samples(spec: Any) -> Any:
    """Return a spec with a batch size: sizes that do not go together show in a trace."""
    free = spec.shape.rank and spec.shape[0] is None
    return tf.TensorSpec((SAMPLES, *spec.shape[1:]), spec.dtype) if free else spec


def symbolic(spec: Any) -> Any:
    """Return a Keras tensor for a ``tf.TensorSpec``."""
    return keras.KerasTensor(tuple(spec.shape), dtype=spec.dtype.name)
