"""A few training steps of one model from given values, and the weights after each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.differentiating import run_pass
from pytest_kerasequiv.models.running import Runner
from pytest_kerasequiv.models.variables import variables_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]


@dataclass(frozen=True)
class Step:
    """The state after one training step, as plain data.

    Attributes:
        weights: variable index -> value, for all weights (not the seed states).
        slots: (slot of the optimizer, variable index) -> value; index -1 for what is not per variable.
        metrics: what the train step returned.
        gradients: variable index -> largest magnitude of the gradient, where it is known.
    """

    weights: dict[int, Array]
    slots: dict[tuple[str, int], Array] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    gradients: dict[int, float] = field(default_factory=dict)


def sgd_steps(
    runner: Runner, batches: Sequence[tuple[Sequence[Array], Sequence[Array]]], rate: float
) -> tuple[Step, ...]:
    """Run plain gradient descent: every weight minus ``rate`` times its gradient, then its constraint.

    Args:
        runner: a runner that holds its values.
        batches: (inputs, targets) of each step.
        rate: the learning rate.
    """
    import numpy as np

    runner.reset_all()
    variables = variables_of(runner.model)
    steps = []
    for inputs, targets in batches:
        found = run_pass(runner, inputs, targets, np.asarray)
        for index, gradient in found.gradients.items():
            variable = variables[index]
            variable.assign(variable - rate * gradient)
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))
        magnitudes = {i: float(np.abs(g).max(initial=0)) for i, g in found.gradients.items()}
        steps.append(Step(_weights(runner), gradients=magnitudes, metrics={"loss": float(found.loss)}))
    return tuple(steps)


def compiled_steps(
    runner: Runner, batches: Sequence[tuple[Sequence[Array], Sequence[Array]]]
) -> tuple[Step, ...]:
    """Run the model's own ``train_step`` with the optimizer it is compiled with.

    Args:
        runner: a runner that holds its values; its model is compiled.
        batches: (inputs, targets) of each step.
    """
    import keras

    runner.reset_all()
    model = runner.model
    step = _train_step(runner)
    steps = []
    for inputs, targets in batches:
        y = keras.tree.pack_sequence_as(runner.sample, runner.targets(targets))
        logs = step((runner.pack(inputs), y))
        metrics = {name: float(value) for name, value in _flat(logs).items()}
        steps.append(Step(_weights(runner), _slots(runner), metrics))
    model.reset_metrics()
    return tuple(steps)


def _train_step(runner: Runner) -> Callable[[Any], Any]:
    import tensorflow as tf

    model = runner.model
    model.optimizer.build(model.trainable_variables)
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
    import numpy as np

    return {
        index: np.array(variable)
        for index, variable in enumerate(variables_of(runner.model))
        if not runner.is_seed(index)
    }


def _slots(runner: Runner) -> dict[tuple[str, int], Array]:
    """Read the optimizer's variables: its lists of one variable per weight, and its scalars."""
    import numpy as np

    optimizer = runner.model.optimizer
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    positions = {id(variable): index for index, variable in enumerate(variables_of(runner.model))}
    trained = [positions[id(variable)] for variable in runner.model.trainable_variables]
    found: dict[tuple[str, int], Array] = {("iterations", -1): np.array(optimizer.iterations)}
    for name, values in vars(optimizer).items():
        if isinstance(values, list) and len(values) == len(trained) and name != "_trainable_variables":
            pairs = [(i, v) for i, v in zip(trained, values, strict=True) if hasattr(v, "assign")]
            found |= {(name.strip("_"), index): np.array(value) for index, value in pairs}
    return found
