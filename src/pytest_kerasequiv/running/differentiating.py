"""One forward and backward pass in training mode: outputs, losses, gradients, state left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.layers.fixed_training import phase
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.running.sketch import sketch
from pytest_kerasequiv.weights.variables import peek, variables_of

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Pass:
    """The results of one pass, as plain data.

    Attributes:
        outputs: flattened outputs in training mode.
        loss: the whole loss that is minimised.
        extra: the sum of regularisation, activity and added losses within it.
        gradients: variable index -> gradient, for the trainable variables.
        input_gradients: flattened position in the reference's layout -> gradient, for float inputs.
        state: variable index -> value after the pass, for the non-trainable weights (not the seed states).
    """

    outputs: tuple[Array, ...]
    loss: Array
    extra: Array
    gradients: dict[int, Array]
    input_gradients: dict[int, Array]
    state: dict[int, Array]


def differentiate(runner: Runner, inputs: Sequence[Array], targets: Sequence[Array]) -> Pass:
    """Run one pass from the runner's given values; the model must be compiled with its loss, or not at all.

    Without a compiled loss, the mean square of ``output - target`` over all outputs is used.

    Args:
        runner: a runner that holds its values.
        inputs: flattened, in the runner's given order.
        targets: one for each flattened output.
    """
    runner.reset()
    return run_pass(runner, inputs, targets, sketch)


def run_pass(runner: Runner, inputs: Sequence[Array], targets: Sequence[Array], read: Any) -> Pass:
    """Run one pass from the state that the model is in; ``read`` turns tensors into what is kept."""
    model = runner.model
    packed = runner.pack(inputs)
    outputs, loss, extra, gradients, moved = _call(runner, packed, runner.targets(targets))
    runner.note_answer(inputs, outputs)
    trainable = _trainable_indices(runner)
    positions = [i for i, leaf in enumerate(keras.tree.flatten(packed)) if is_float(leaf)]
    state = {
        index: read(peek(variable))
        for index, variable in enumerate(variables_of(model))
        if not variable.trainable and not runner.is_seed(index)
    }
    return Pass(
        tuple(read(output) for output in outputs),
        read(loss),
        read(extra),
        {index: read(gradient) for index, gradient in zip(trainable, gradients, strict=True)},
        {i: read(g) for i, g in zip(positions, moved, strict=True)},
        state,
    )


def _trainable_indices(runner: Runner) -> list[int]:
    positions = {id(variable): index for index, variable in enumerate(variables_of(runner.model))}
    return [positions[id(variable)] for variable in runner.model.trainable_variables]


def _call(runner: Runner, packed: Any, targets: list[Any]) -> Any:
    """Run the pass: traced, once for all batch sizes, where the model has an RNN; else eagerly."""
    own_pass = runner.own_pass()
    if own_pass is not None:
        return own_pass(packed, targets)
    if not runner.in_graph():
        return _pass(runner, packed, targets)
    traced = runner.concrete("pass", lambda x, y: _pass(runner, x, y), packed, targets)
    return traced(packed, targets)


def _pass(runner: Runner, packed: Any, targets: list[Any]) -> Any:
    model = runner.model
    leaves = [leaf for leaf in keras.tree.flatten(packed) if is_float(leaf)]
    weights = model.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(leaves)
        outputs = runner.traced["sample"] = model(packed, **phase(model, training=True))
        loss, extra = loss_of(model, packed, outputs, targets, compiled=runner.uses_loss)
    dense = gradients_of(tape, loss, [*weights, *leaves])
    flat = [tf.convert_to_tensor(output) for output in keras.tree.flatten(outputs)]
    return flat, loss, extra, dense[: len(weights)], dense[len(weights) :]


def gradients_of(tape: Any, target: Any, sources: Sequence[Any]) -> list[Any]:
    """Return dense gradients; zeros for what the target does not depend on.

    TensorFlow's own zeros for that case do not know Keras variables.
    """
    found = tape.gradient(target, list(sources))
    return [
        tf.convert_to_tensor(gradient)
        if gradient is not None
        else tf.zeros_like(tf.convert_to_tensor(source))
        for gradient, source in zip(found, sources, strict=True)
    ]


def is_float(tensor: Any) -> bool:
    """Tell whether a tensor of Keras's backend holds floats."""
    return bool(keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype)))


def loss_of(model: Any, packed: Any, outputs: Any, targets: list[Any], *, compiled: bool) -> tuple[Any, Any]:
    """Return the whole loss of a call, and what regularisation and added losses have in it."""
    ops, wide = keras.ops, keras.config.floatx()
    extra = sum((ops.cast(ops.sum(loss), wide) for loss in model.losses), ops.zeros((), wide))
    if compiled:
        y = keras.tree.pack_sequence_as(outputs, targets)
        return model.compute_loss(x=packed, y=y, y_pred=outputs, sample_weight=None, training=True), extra
    squares = [
        ops.mean(ops.square(ops.cast(output, wide) - ops.cast(target, wide)))
        for output, target in zip(keras.tree.flatten(outputs), targets, strict=True)
        if is_float(output)
    ]
    return sum(squares, extra), extra
