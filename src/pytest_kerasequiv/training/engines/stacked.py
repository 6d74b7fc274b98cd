"""All seeds in one program: the variables of R models stacked, one step of training for all of them at once.

The forward pass and the loss of one replica are vectorized over the stacked variables
(``tf.vectorized_map``), the
losses are summed, and one gradient of the sum gives every replica its own gradient. One optimizer works on
the stacked
variables, which is exact where it works element by element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.keras_access.compile_state import loss_of_step
from pytest_kerasequiv.keras_access.layers import takes_training
from pytest_kerasequiv.training.engines.set_aside import run_together
from pytest_kerasequiv.training.engines.shared_tensors import packed, tensors_of
from pytest_kerasequiv.training.plan import Training

Values = list["NDArray[np.generic]"]


class NoGradient(Exception):  # noqa: N818 - an answer, not an error
    """Keras leaves a weight without a gradient alone, which one matrix of all weights cannot."""


class Stacked:
    """R replicas of one model, trained together.

    Args:
        model: the compiled model; it lends its layers and losses, and its own variables are not touched by
            training.
        plan: the plan. Where it shuffles, each replica has an order of rows of its own.
        replicas: R.
    """

    def __init__(self, model: keras.Model, plan: Training, replicas: int) -> None:
        self.replicas = replicas
        self._model = model
        self._rows: int = plan.train.samples
        self._batch: int = plan.batch_size
        self._orders = plan.shuffle
        self._tensors = tensors_of(plan, "train")
        self._shapes = [tuple(variable.shape) for variable in model.trainable_variables]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self._weights = keras.Variable(np.zeros((replicas, sum(self._sizes)), "float32"), name="weights")
        self._state = [_stacked_variable(v, replicas) for v in model.non_trainable_variables]
        self._optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(model.optimizer))
        self._optimizer.build([self._weights])
        self._optimizer_start = [v.numpy() for v in self._optimizer.variables]
        self._run = tf.function(self._loop, autograph=False)

    @property
    def steps(self) -> int:
        """Steps of an epoch, the last partial batch included."""
        return -(-self._rows // self._batch)

    def start(self, starts: Sequence[tuple[Values, Values]]) -> None:
        """Put every replica at its start: values of its trainable and non-trainable variables."""
        self._weights.assign(
            np.stack([np.concatenate([w.ravel() for w in weights]) for weights, _ in starts])
        )
        for index, variable in enumerate(self._state):
            variable.assign(np.stack([state[index] for _, state in starts]))
        for variable, value in zip(self._optimizer.variables, self._optimizer_start, strict=True):
            variable.assign(value)

    def advance(self, order: NDArray[np.int64], first: int, last: int) -> Any:
        """Train some steps of an epoch and return the losses at the last one, shape (R,).

        Args:
            order: the rows in the order of the epoch, shape (rows,), or (R, rows), one order a replica.
            first: the first step.
            last: the step before which to stop.
        """
        return self._run(tf.constant(order), tf.constant(first), tf.constant(last))

    def all_values(self) -> tuple[Values, Values]:
        """Return the stacked values of the trainable and non-trainable variables, shape (R, ...)."""
        weights = [value.numpy() for value in self._unpacked(self._weights.value)]
        return weights, [variable.numpy() for variable in self._state]

    def _loop(self, order: Any, first: Any, last: Any) -> Any:
        def body(step: Any, _: Any) -> tuple[Any, Any]:
            return step + 1, self._step(self._batch_rows(order, step * self._batch))

        start = first, tf.zeros((self.replicas,))
        return tf.while_loop(lambda step, _: step < last, body, start, parallel_iterations=1)[1]

    def _batch_rows(self, order: Any, begin: Any) -> Any:
        """Return the rows of a step; its size is open only where the last one is partial."""
        size = self._batch if self._rows % self._batch == 0 else tf.minimum(self._batch, self._rows - begin)
        if not self._orders:
            return tf.slice(order, [begin], [size])
        return tf.slice(order, [0, begin], [self.replicas, size])

    def _unpacked(self, matrix: Any) -> list[Any]:
        """Split the matrix of all weights into the weights, shape (R, ...) each."""
        parts = tf.split(matrix, self._sizes, axis=1)
        return [
            tf.reshape(part, (self.replicas, *shape)) for part, shape in zip(parts, self._shapes, strict=True)
        ]

    def _step(self, rows: Any) -> Any:
        batch = [tf.gather(array, rows) for array in self._tensors.flat]
        weights = self._unpacked(self._weights.value)
        state = [variable.value for variable in self._state]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            losses, updated = self._forward(weights, state, batch)
            total = tf.reduce_sum(losses)
        gradients = tape.gradient(total, weights)
        if any(gradient is None for gradient in gradients):
            raise NoGradient("a weight gets no gradient, and the optimizer would update it all the same")
        flat = [tf.reshape(tf.convert_to_tensor(gradient), (self.replicas, -1)) for gradient in gradients]
        self._optimizer.apply([tf.concat(flat, axis=1)], [self._weights])
        for variable, value in zip(self._state, updated, strict=True):
            variable.assign(value)
        return losses

    def _forward(self, weights: list[Any], state: list[Any], batch: Any) -> Any:
        """Return the loss, shape (R,), and the new state of every replica."""
        variables = (*self._model.trainable_variables, *self._model.non_trainable_variables)
        stacked = {id(v): value for v, value in zip(variables, (*weights, *state), strict=True)}
        if self._orders:
            return run_together(self._model, stacked, self._one, (weights, state, batch))
        return run_together(self._model, stacked, lambda w, s: self._one(w, s, batch), (weights, state))

    def _one(self, weights: list[Any], state: list[Any], batch: list[Any]) -> Any:
        """One replica's forward pass and loss, as Keras's ``train_step`` writes them."""
        model = self._model
        x, y, sample_weight = packed(self._tensors.split, batch)
        training = {"training": True} if takes_training(model) else {}
        variables = (*model.trainable_variables, *model.non_trainable_variables)
        mapping = list(zip(variables, (*weights, *state), strict=True))
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            y_pred = model(x, **training)
            loss = loss_of_step(model, x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
            return loss, [scope.get_current_value(variable) for variable in model.non_trainable_variables]


def _stacked_variable(variable: Any, replicas: int) -> Any:
    stacked = np.zeros((replicas, *variable.shape), dtype=variable.dtype)
    return keras.Variable(stacked, trainable=variable.trainable, dtype=variable.dtype, name=variable.name)
