"""Running one model again and again."""

import keras
import numpy as np
from keras import layers

from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.weights.variables import values_of


class Counting(layers.Layer):
    """Counts its calls."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x


def test_shapes_of_outputs_are_found_by_one_run_for_each_shape_of_the_inputs():
    model = keras.Sequential([keras.Input((3,)), Counting(), layers.Dense(2)])
    runner = Runner(model, values_of(model))
    counting = model.layers[0]
    counting.calls = 0
    small, large = np.ones((1, 3), np.float32), np.ones((4, 3), np.float32)
    assert runner.output_shapes([small]) == [(1, 2)]
    assert runner.output_shapes([small]) == [(1, 2)]
    assert counting.calls == 1
    with runner.holding():
        runner.infer([large])
    assert runner.under(runner.values).output_shapes([large]) == [(4, 2)]
    assert counting.calls == 2
