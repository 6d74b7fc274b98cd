"""A few training steps of one model from given values, and the weights after each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.building.batches import given_batch
from pytest_kerasequiv.building.compiling import fresh_settings
from pytest_kerasequiv.keras_access.compile_state import loss_in_force
from pytest_kerasequiv.keras_access.optimizer_state import trained_variables
from pytest_kerasequiv.running.differentiating import run_pass
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.running.sketch import sketch
from pytest_kerasequiv.weights.variables import peek, variables_of

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Step:
    """The state after one training step, as plain data.

    Attributes:
        weights: variable index -> value, for all weights (not the seed states).
        slots: (slot of the optimizer, variable index) -> value; index -1 for what is not per variable.
        metrics: what the train step returned; a list of numbers where a metric has one for each class.
        gradients: variable index -> largest magnitude of the gradient, where it is known.
    """

    weights: dict[int, Array]
    slots: dict[tuple[str, int], Array] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    gradients: dict[int, float] = field(default_factory=dict)


LARGEST_KEPT = 4_096
"""Most elements of a weight or slot that is kept whole after each step: there are many steps of each."""

SGD_RATE = 0.01
"""Learning rate of the plain descent; lowered where a weight would move by over 0.1 in the first step."""


def rate_from(steps: Sequence[Step]) -> float:
    """Return the rate of a plain descent whose first step moves no weight by more than 0.1."""
    return _careful(steps[0].gradients) if steps else SGD_RATE


def _careful(magnitudes: Mapping[int, float]) -> float:
    steepest = max((size for size in magnitudes.values() if isfinite(size)), default=0.0)
    return min(SGD_RATE, 0.1 / steepest) if steepest > 0 else SGD_RATE


def sgd_steps(
    runner: Runner,
    batches: Sequence[tuple[Sequence[Array], Sequence[Array]]],
    rate: float | None = None,
) -> tuple[Step, ...]:
    """Run plain gradient descent: every weight minus ``rate`` times its gradient, then its constraint.

    Args:
        runner: a runner that holds its values.
        batches: (inputs, targets) of each step.
        rate: the learning rate; by default it follows from the first gradient, see `rate_from`.
    """
    runner.reset_all()
    variables = variables_of(runner.model)
    steps = []
    for inputs, targets in batches:
        found = run_pass(runner, inputs, targets, _as_it_is)
        magnitudes = {index: _largest(np.asarray(gradient)) for index, gradient in found.gradients.items()}
        rate = _careful(magnitudes) if rate is None else rate
        for index, gradient in found.gradients.items():
            _descend(variables[index], gradient, rate)
        steps.append(Step(_weights(runner), gradients=magnitudes, metrics={"loss": float(found.loss)}))
        del found  # a copy of all weights, or the next pass has it beside its own
    return tuple(steps)


def _as_it_is(tensor: Any) -> Any:
    return tensor


def _descend(variable: keras.Variable, gradient: Any, rate: float) -> None:
    """Take one step; the product is wider than float16, where a small rate would vanish."""
    wide = np.promote_types(gradient.dtype.as_numpy_dtype, np.float32)
    variable.assign(tf.cast(variable.value, wide) - tf.cast(gradient, wide) * tf.cast(rate, wide))
    if variable.constraint is not None:
        variable.assign(variable.constraint(variable.value))


def _largest(gradient: Array) -> float:
    """Return the largest magnitude, NaN where there is one, without a copy of magnitudes."""
    return max(float(gradient.max(initial=0)), -float(gradient.min(initial=0)))


def compiled_steps(
    runner: Runner,
    lessons: Sequence[
        tuple[Callable[[], Sequence[Array]], Sequence[tuple[Sequence[Array], Sequence[Array]]]]
    ],
    seed: int = 0,
) -> list[tuple[Step, ...]]:
    """Run the model's own ``train_step`` with the optimizer it is compiled with.

    Args:
        runner: a runner that holds its values; its model is compiled.
        lessons: for each run, what makes the values to begin with, and the (inputs, targets) of each step.
            Every run begins with a fresh optimizer.
        seed: what a step draws from outside Keras's generators begins with it in every run, so that twins
            draw the same.
    """
    step = _train_step(runner, *lessons[0][1][-1])
    slots = runner.model.optimizer.variables
    used = len(lessons) > 1 or not _has_loss(runner.model)
    fresh = [_compact(peek(variable)) for variable in slots] if used else []
    batch_of = _batch_maker(runner, step, *lessons[0][1][-1])
    found = []
    for values, batches in lessons:
        runner.under(values()).reset_all()
        tf.random.set_seed(seed)
        _restart_own_optimizers(runner.model)
        for variable, value in zip(slots, fresh, strict=False):
            variable.assign(value)
        runner.model.reset_metrics()
        found.append(tuple(_one_step(runner, step, batch_of(*batch)) for batch in batches))
    return found


def _restart_own_optimizers(model: keras.Model) -> None:
    """Put optimizers that a model holds besides the compiled one back to the start of a training."""
    for name, optimizer in vars(model).items():
        if isinstance(optimizer, keras.optimizers.Optimizer) and optimizer is not model.optimizer:
            fresh = fresh_settings(optimizer, name)
            if optimizer.built:
                fresh.build(trained_variables(optimizer))
                for variable, start in zip(optimizer.variables, fresh.variables, strict=True):
                    variable.assign(start)


def trains_by_own_code(model: keras.Model) -> bool:
    """Whether a class of the user's decides what a training step is."""
    return any(getattr(type(model), n) is not getattr(keras.Model, n) for n in ("train_step", "compute_loss"))


def trains_without_loss(model: keras.Model) -> bool:
    """Whether a model can train though no loss is compiled: by its own step or loss, or by added losses."""
    return trains_by_own_code(model) or bool(model.losses)


def _has_loss(model: keras.Model) -> bool:
    return loss_in_force(model) is not None


def _batch_maker(
    runner: Runner, step: Callable[[Any], Any], inputs: Sequence[Array], targets: Sequence[Array]
) -> Callable[[Sequence[Array], Sequence[Array]], Any]:
    """Return what makes the argument of the train step: inputs and targets, or as `fit(x)` does inputs alone.

    A model without a compiled loss may take either, or classes for targets; inputs alone are tried first.
    """

    def with_targets(inputs: Sequence[Array], targets: Sequence[Array]) -> Any:
        return runner.pack(inputs), runner.target_structure(targets)

    def alone(inputs: Sequence[Array], _: Sequence[Array]) -> Any:
        packed = runner.pack(inputs)
        return (packed,) if isinstance(packed, list | tuple) else packed

    def with_classes(inputs: Sequence[Array], targets: Sequence[Array]) -> Any:
        classes = [target.argmax(-1).astype(np.int32) if target.ndim > 1 else target for target in targets]
        return with_targets(inputs, classes)

    given = given_batch(runner.model)
    if given is not None:
        tensors = keras.tree.map_structure(tf.convert_to_tensor, given)
        return lambda *_: tensors
    if _has_loss(runner.model):
        return with_targets
    refusal: Exception | None = None
    for batch in (alone, with_targets, with_classes):
        try:
            step(batch(inputs, targets))
        except Exception as error:  # a step that takes other batches says so in its own way
            refusal = refusal or error
        else:
            return batch
    raise RuntimeError(
        f"{type(runner.model).__name__}.train_step takes neither generated inputs nor these with targets "
        f"({refusal}); pass batch=, a batch as it takes one, or a function that returns such a batch"
    ) from refusal


def _compact(values: Array) -> Array:
    """Return a copy; where all numbers are one, as in a fresh optimizer's slots, a view of that one."""
    if values.size and bool(np.all(values == values.flat[0])):
        return np.broadcast_to(values.flat[:1].copy()[0], values.shape)
    return values.copy()


def _one_step(runner: Runner, step: Callable[[Any], Any], batch: Any) -> Step:
    logs = step(batch)
    metrics = {name: np.asarray(value).tolist() for name, value in _flat(logs).items()}
    return Step(_weights(runner), _slots(runner), metrics)


def _train_step(runner: Runner, inputs: Sequence[Array], targets: Sequence[Array]) -> Callable[[Any], Any]:
    """Return the train step, traced where the model has an RNN; all its variables are made beforehand.

    Variables made inside would have TensorFlow trace it twice.
    """
    model = runner.model
    y_pred = runner.like_answer(inputs)
    x, y = runner.pack(inputs), runner.target_structure(targets)
    model.optimizer.build(model.trainable_variables)
    if _has_loss(model):
        model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=None, training=True)
        model.compute_metrics(x, y, y_pred, sample_weight=None)
    if not runner.in_graph():
        step: Callable[[Any], Any] = model.train_step
        return step
    traced: Callable[[Any], Any] = tf.function(model.train_step, autograph=False)
    return traced


def _flat(logs: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in logs.items():
        found |= _flat(value, f"{prefix}{name}/") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _weights(runner: Runner) -> dict[int, Array]:
    return {
        index: sketch(peek(variable), LARGEST_KEPT)
        for index, variable in enumerate(variables_of(runner.model))
        if not runner.is_seed(index)
    }


def _slots(runner: Runner) -> dict[tuple[str, int], Array]:
    """Read the optimizer's variables: its lists of one variable per weight, and its scalars."""
    optimizer = runner.model.optimizer
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    positions = {id(variable): index for index, variable in enumerate(variables_of(runner.model))}
    trained = [positions[id(variable)] for variable in runner.model.trainable_variables]
    found: dict[tuple[str, int], Array] = {("iterations", -1): np.asarray(optimizer.iterations).copy()}
    for name, values in vars(optimizer).items():
        if not isinstance(values, list) or len(values) != len(trained) or name == "_trainable_variables":
            continue
        if not any(value is optimizer.iterations for value in values):  # that list is of all its variables
            pairs = [(i, v) for i, v in zip(trained, values, strict=True) if hasattr(v, "assign")]
            found |= {(name.strip("_"), index): sketch(peek(value), LARGEST_KEPT) for index, value in pairs}
    return found
