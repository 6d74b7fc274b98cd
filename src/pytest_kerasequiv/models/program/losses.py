"""The loss a model trains on, rebuilt so that tracing it leaves the model's own loss and metrics alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.program.ir import Unprovable

if TYPE_CHECKING:
    import keras

MAX_ATTEMPTS = 64
"""How many combinations of target shapes are tried on a compiled loss."""

OVERRIDABLE = ("train_step", "compute_loss", "make_train_function")
"""Methods that decide what one training step is; where one is overridden, our trace shows something else."""


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    Attributes:
        loss: the compiled loss over (targets, outputs), a fresh copy, ``None`` where there is none.
        targets: a ``tf.TensorSpec`` per output, in flattened order; empty where no target is needed.
        bystanders: variables that the loss updates for display only (means of the parts of the loss).
    """

    loss: Any
    targets: tuple[Any, ...]
    bystanders: tuple[Any, ...] = ()


def own_training(model: keras.Model) -> str | None:
    """Say which method of the model replaces Keras's own training step, ``None`` where none does."""
    import keras

    for name in OVERRIDABLE:
        ours, own = getattr(keras.Model, name, None), getattr(type(model), name, None)
        if ours is not own or name in vars(model):
            return f"{type(model).__name__}.{name} is overridden, so it has a training step of its own"
    return None


def objective(model: keras.Model, outputs: Any) -> Objective:
    """Find what a model minimises; ``outputs`` are its outputs as a structure of ``tf.TensorSpec``.

    Raises:
        Unprovable: the compiled loss takes no targets that could be guessed.
    """
    import keras

    compiled = getattr(model, "_compile_loss", None) if model.compiled else None
    if compiled is None:
        return Objective(None, ())
    error: Exception | None = None
    for targets in _target_structures(outputs):
        fresh = type(compiled)(
            compiled._user_loss, compiled._user_loss_weights, output_names=compiled.output_names
        )
        try:
            fresh.build(
                keras.tree.map_structure(_symbolic, targets), keras.tree.map_structure(_symbolic, outputs)
            )
            _try_loss(fresh, targets, outputs)
        except Exception as problem:  # any refusal means other targets
            error = error or problem
            continue
        return Objective(fresh, tuple(keras.tree.flatten(targets)), tuple(fresh.variables))
    raise Unprovable(f"the compiled loss could not be traced: {error}") from error


def total_loss(model: keras.Model, goal: Objective, targets: Any, outputs: Any) -> Any:
    """Return the loss of one step as Keras sums it: the compiled loss, then the model's own losses.

    Where the model has neither, its training program is looked at under a stand-in: the mean square of the
    difference between each floating-point output and its target, summed.
    """
    import keras

    terms = []
    if goal.loss is not None:
        terms.append(goal.loss(keras.tree.pack_sequence_as(outputs, targets), outputs))
    terms += [model._aggregate_additional_loss(loss) for loss in model.losses]
    if not any(term is not None for term in terms[:1]):
        terms = []
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else keras.ops.sum(terms)


def stand_in(targets: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """Return the stand-in loss over the floating-point outputs; ``None`` where there is none."""
    import tensorflow as tf

    terms = [
        tf.reduce_mean(tf.math.squared_difference(tf.cast(output, target.dtype), target))
        for target, output in zip(targets, outputs, strict=True)
        if target is not None
    ]
    return tf.add_n(terms) if terms else None


def _target_structures(outputs: Any) -> Iterator[Any]:
    """Yield structures of target specs: like the outputs, then with integer classes in place of each."""
    import keras
    import tensorflow as tf

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
    """Trace the loss alone: it raises where it does not take such targets."""
    import tensorflow as tf

    tf.function(loss.__call__, autograph=False).get_concrete_function(targets, outputs)


def _symbolic(spec: Any) -> Any:
    import keras

    return keras.KerasTensor(tuple(spec.shape), dtype=spec.dtype.name)
