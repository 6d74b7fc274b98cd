"""Evaluating one compiled model under many sets of weights, without tracing twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.training.engines.shared_tensors import packed, tensor, tensors_of
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import distinct_rows, is_constant

BATCH = 32
"""Keras's own batch size of ``evaluate``."""


class Evaluator:
    """``model.evaluate`` on fixed data, as one program: its own ``test_step``, batch by batch.

    Args:
        model: the compiled model, whose losses and metrics are built.
        plan: the plan, for its test data.
    """

    def __init__(self, model: keras.Model, plan: Training) -> None:
        self._model = model
        self._rows = plan.test.samples
        self._tensors = tensors_of(plan, "test")
        shown = distinct_rows(plan.test.x)
        self._shown = None if shown is None else keras.tree.map_structure(tensor, shown)
        self._run = tf.function(self._evaluate, autograph=False)

    def __call__(
        self, weights: Sequence[NDArray[np.generic]], state: Sequence[NDArray[np.generic]]
    ) -> tuple[dict[str, float], bool]:
        """Return the metrics under these values, and whether the predictions are constant.

        Args:
            weights: values of ``trainable_variables``.
            state: values of ``non_trainable_variables``.
        """
        model = self._model
        for variables, values in (
            (model.trainable_variables, weights),
            (model.non_trainable_variables, state),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        metrics, outputs = self._run()
        constant = bool(outputs) and all(is_constant(output.numpy()) for output in outputs)
        return {name: float(value) for name, value in metrics.items()}, constant

    def _evaluate(self) -> tuple[dict[str, Any], list[Any]]:
        model, rows = self._model, self._rows
        model.reset_metrics()

        def body(begin: Any) -> tuple[Any]:
            batch = [array[begin : tf.minimum(begin + BATCH, rows)] for array in self._tensors.flat]
            model.test_step(packed(self._tensors.split, batch))
            return (begin + BATCH,)

        loop = tf.while_loop(lambda begin: begin < rows, body, (tf.constant(0),), parallel_iterations=1)
        with tf.control_dependencies(loop):
            shown = [] if self._shown is None else keras.tree.flatten(model(self._shown, training=False))
            return model.get_metrics_result(), shown
