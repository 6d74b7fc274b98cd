"""An LSTM for stacked weights: R replicas, each with its own weights, through one loop over time.

The same equations as ``keras.layers.LSTM`` (Hochreiter & Schmidhuber 1997; gates in Keras's order: input,
forget, candidate, output), with its gradient written out. What the loop in `tf.vectorized_map` cannot do: the
inputs of all steps are projected by one product before the loop, and the gradients of the weights are one
product each after the loop backwards, where a product a step would be small and slow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf


@dataclass(frozen=True)
class Activation:
    """An activation function whose gradient follows from its value.

    Attributes:
        of: the function.
        back: its value and the gradient of it -> the gradient of its argument, in one kernel.
    """

    of: Callable[[Any], Any]
    back: Callable[[Any, Any], Any]


def activation_of(function: Any) -> Activation | None:
    """Return one of Keras's activation functions with its gradient, ``None`` where it is not known here."""
    ops = tf.raw_ops
    known = {
        keras.activations.relu: Activation(tf.nn.relu, lambda y, d: ops.ReluGrad(gradients=d, features=y)),
        keras.activations.tanh: Activation(tf.tanh, lambda y, d: ops.TanhGrad(y=y, dy=d)),
        keras.activations.sigmoid: Activation(tf.sigmoid, lambda y, d: ops.SigmoidGrad(y=y, dy=d)),
        keras.activations.linear: Activation(tf.identity, lambda _, d: d),
    }
    return known.get(function)


@dataclass(frozen=True)
class Cells:
    """R replicas of the cell of one layer of ``units`` units and n inputs.

    Attributes:
        kernel: shape (R, n, 4 units).
        recurrent: shape (R, units, 4 units).
        bias: shape (R, 4 units).
        activation: of the candidate and the carry.
        gate: of the gates.
    """

    kernel: Any
    recurrent: Any
    bias: Any
    activation: Activation
    gate: Activation


def stacked_lstm(sequences: Any, states: tuple[Any, Any], cells: Cells) -> tuple[Any, Any, Any]:
    """Run R replicas of an LSTM.

    Args:
        sequences: shape (R, batch, steps, n); the number of steps must be known.
        states: state and carry before the first step, shape (R, batch, units) each.
        cells: the cells of the replicas.

    Returns:
        The outputs of all steps, shape (R, batch, steps, units), the last state and the last carry.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(x: Any, *given: Any) -> Any:
        h, c, kernel, recurrent, bias = given
        own = replace(cells, kernel=kernel, recurrent=recurrent, bias=bias)
        flat = _rows(x, (0, 2, 1, 3))
        kept = _forward(_steps(tf.matmul(flat, kernel) + bias[:, None, :], x.shape[2]), (h, c), own)
        outputs = kept.h.stack()  # the first is the state before the first step

        def gradient(d_outputs: Any, *d_states: Any) -> tuple[Any, ...]:
            d_steps, d_states = _backward(d_outputs, d_states, kept, own)
            d_flat = _rows(d_steps, (1, 0, 2, 3))
            d_x = _steps(tf.matmul(d_flat, kernel, transpose_b=True), x.shape[2])
            d_kernel = tf.matmul(flat, d_flat, transpose_a=True)
            d_recurrent = tf.matmul(_rows(outputs[:-1], (1, 0, 2, 3)), d_flat, transpose_a=True)
            d_bias = tf.reduce_sum(d_flat, 1)
            return tf.transpose(d_x, (1, 2, 0, 3)), *d_states, d_kernel, d_recurrent, d_bias

        return (tf.transpose(outputs[1:], (1, 2, 0, 3)), outputs[-1], kept.c.read(kept.steps)), gradient

    found: tuple[Any, Any, Any] = run(sequences, *states, cells.kernel, cells.recurrent, cells.bias)
    return found


@dataclass(frozen=True)
class _Kept:
    """What the loop forwards leaves for the loop backwards: lists over the steps.

    Attributes:
        steps: how many steps.
        h: the states, the first before the first step.
        c: the carries, likewise.
        gates: input, forget, candidate and output gate.
    """

    steps: int
    h: Any
    c: Any
    gates: list[Any]


def _forward(projected: Any, states: tuple[Any, Any], cells: Cells) -> _Kept:
    """Run the loop over time on projected inputs, shape (steps, R, batch, 4 units)."""
    (h, c), activation, gate = states, cells.activation, cells.gate
    steps, shape = projected.shape[0], (h.shape[0], None, h.shape[2])

    def body(step: Any, states: Any, lists: Any) -> tuple[Any, ...]:
        (h, c), (hs, cs, *gates) = states, lists
        i, f, g, o = tf.split(projected[step] + tf.matmul(h, cells.recurrent), 4, axis=-1)
        i, f, g, o = gate.of(i), gate.of(f), activation.of(g), gate.of(o)
        c = f * c + i * g
        h = o * activation.of(c)
        gates = [kept.write(step, one) for kept, one in zip(gates, (i, f, g, o), strict=True)]
        return step + 1, (h, c), (hs.write(step + 1, h), cs.write(step + 1, c), *gates)

    lists = (_list(steps + 1, shape).write(0, h), _list(steps + 1, shape).write(0, c))
    start = tf.constant(0), (h, c), (*lists, *(_list(steps, shape) for _ in range(4)))
    _, _, (hs, cs, *gates) = tf.while_loop(lambda step, *_: step < steps, body, start, parallel_iterations=1)
    return _Kept(steps, hs, cs, gates)


def _backward(
    d_outputs: Any, d_states: tuple[Any, ...], kept: _Kept, cells: Cells
) -> tuple[Any, tuple[Any, ...]]:
    """Return the gradients of the sums in the gates, (steps, R, batch, 4 units), and of the first states."""
    by_step, activation, gate = tf.transpose(d_outputs, (2, 0, 1, 3)), cells.activation, cells.gate
    across = tf.transpose(cells.recurrent, (0, 2, 1))  # once: each product is the faster for it

    def body(step: Any, d_states: Any, found: Any) -> tuple[Any, ...]:
        d_h, d_c = d_states
        d_h = d_h + by_step[step]
        i, f, g, o = (one.read(step) for one in kept.gates)
        active = activation.of(kept.c.read(step + 1))
        d_c = d_c + activation.back(active, d_h * o)
        parts = (
            gate.back(i, d_c * g),
            gate.back(f, d_c * kept.c.read(step)),
            activation.back(g, d_c * i),
            gate.back(o, d_h * active),
        )
        d_gates = tf.concat(parts, -1)
        return step - 1, (tf.matmul(d_gates, across), d_c * f), found.write(step, d_gates)

    found = _list(kept.steps, (by_step.shape[1], None, 4 * by_step.shape[3]))
    start = tf.constant(kept.steps - 1), d_states, found
    _, d_states, found = tf.while_loop(lambda step, *_: step >= 0, body, start, parallel_iterations=1)
    return found.stack(), d_states


def _list(size: int, shape: tuple[int | None, ...]) -> Any:
    return tf.TensorArray(tf.float32, size, element_shape=shape, clear_after_read=False)


def _rows(tensor: Any, order: tuple[int, int, int, int]) -> Any:
    """Bring a tensor into the shape (R, steps * batch, k), given the places of R, steps, batch and k."""
    ordered = tf.transpose(tensor, order)
    return tf.reshape(ordered, (ordered.shape[0], -1, ordered.shape[3]))


def _steps(rows: Any, steps: int) -> Any:
    """Bring rows (R, steps * batch, k) into the shape (steps, R, batch, k)."""
    apart = tf.reshape(rows, (rows.shape[0], steps, -1, rows.shape[2]))
    return tf.transpose(apart, (1, 0, 2, 3))
