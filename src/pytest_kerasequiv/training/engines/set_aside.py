"""LSTMs run for all replicas together, outside ``tf.vectorized_map``, which makes much of their loops.

The model is run piece by piece: up to the first such layer, whose inputs are then those of all replicas; the
layer is run on them, for all replicas at once; then the model is run again with its outputs given, up to the
next one. Nothing is computed twice by that: what no result needs is not converted into the program.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.training.engines.stacked_lstm import Cells, activation_of, stacked_lstm


def run_together(
    model: keras.Model, stacked: Mapping[int, Any], one: Callable[..., Any], elements: Sequence[Any]
) -> Any:
    """Return what ``one(*elements)`` returns for each replica, where it calls ``model`` once.

    Args:
        model: the model.
        stacked: id of a variable -> its values in all replicas, shape (R, ...).
        one: runs the model on the elements of one replica.
        elements: structures of tensors, shape (R, ...).
    """
    layers = [layer for layer in layers_within(model, itself=True) if _can_be_set_aside(layer)]
    known: list[Any] = []
    while True:
        reached: list[Any] = []

        def piece(given: Any, reached: list[Any] = reached) -> Any:
            own, outputs = given
            with _set_aside(layers, outputs, reached):
                try:
                    return one(*own)
                except _Reached as call:
                    return call.inputs

        # Without the warning that random numbers are drawn replica by replica: so they are to be.
        found = tf.vectorized_map(piece, (list(elements), known), warn=False)
        if not reached:
            return found
        known.append(_together(reached[0], stacked, *found))


class _Reached(BaseException):
    """A layer was called whose outputs are not known yet: no error, and not to be caught on the way up."""

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self.inputs = inputs


def _can_be_set_aside(layer: Any) -> bool:
    """Tell whether a layer is an LSTM that `stacked_lstm` knows; a mask shows only when it is called."""
    if type(layer) is not keras.layers.LSTM or layer.stateful or layer.dropout or layer.recurrent_dropout:
        return False
    return None not in (activation_of(layer.activation), activation_of(layer.recurrent_activation))


@contextmanager
def _set_aside(layers: Sequence[Any], outputs: Sequence[Any], reached: list[Any]) -> Iterator[None]:
    """Let the calls of these layers return ``outputs`` in turn; the first beyond them ends the piece."""
    graph, left = tf.compat.v1.get_default_graph(), iter(outputs)

    def loop_of(layer: Any) -> Callable[..., Any]:
        own = layer.inner_loop

        def inner_loop(sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
            inside = tf.compat.v1.get_default_graph() is not graph  # in a loop over time, say
            if mask is not None or inside or None in sequences.shape[1:]:
                return own(sequences, initial_state, mask, training)
            found = next(left, None)
            if found is None:
                reached.append(layer)
                raise _Reached((sequences, *initial_state))
            every, *states = found
            return states[0], every if layer.return_sequences else every[:, -1:], states

        return inner_loop

    try:
        for layer in layers:
            vars(layer)["inner_loop"] = loop_of(layer)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("inner_loop", None)


def _together(layer: Any, stacked: Mapping[int, Any], sequences: Any, h: Any, c: Any) -> tuple[Any, ...]:
    """Run a layer for all replicas; sequences have the shape (R, batch, steps, n)."""
    cell = layer.cell
    kernel, recurrent = (stacked[id(variable)] for variable in (cell.kernel, cell.recurrent_kernel))
    bias = tf.zeros_like(kernel[:, 0]) if cell.bias is None else stacked[id(cell.bias)]
    if layer.go_backwards:
        sequences = tf.reverse(sequences, [2])
    activation, gate = activation_of(cell.activation), activation_of(cell.recurrent_activation)
    assert activation is not None
    assert gate is not None
    parts = [tf.split(t, _shares(kernel.shape[0])) for t in (sequences, h, c, kernel, recurrent, bias)]
    found = [
        stacked_lstm(x, (h, c), Cells(kernel, recurrent, bias, activation, gate))
        for x, h, c, kernel, recurrent, bias in zip(*parts, strict=True)
    ]
    return tuple(tf.concat(outputs, 0) for outputs in zip(*found, strict=True))


def _shares(replicas: int) -> list[int]:
    """Split the replicas into as many loops as there are cores, up to four: one loop keeps one core busy."""
    loops = min(replicas, os.cpu_count() or 1, 4)
    return [replicas // loops + (index < replicas % loops) for index in range(loops)]
