"""States that no program uses need no partner; those that one uses do."""

import keras
import numpy as np
from keras import layers

from pytest_kerasequiv import Verdict, compare

DATA = np.random.default_rng(0).normal(3.0, 2.0, (200, 4)).astype("float32")


def adapted():
    first = layers.Normalization()
    first.adapt(DATA)
    return keras.Sequential([keras.Input((4,)), first, layers.Dense(2)])


def given(factor=1.0):
    first = layers.Normalization()
    first.adapt(DATA)
    mean, variance = (np.asarray(value).ravel() for value in (first.mean, first.variance))
    told = layers.Normalization(mean=mean, variance=factor * variance)
    return keras.Sequential([keras.Input((4,)), told, layers.Dense(2)])


def test_an_adapted_normalization_is_the_one_that_is_told_its_statistics():
    assert compare(adapted, given).verdict is Verdict.EQUIVALENT
    assert compare(given, adapted).verdict is Verdict.EQUIVALENT


def test_other_statistics_differ():
    assert compare(adapted, lambda: given(1.5)).verdict is Verdict.DIFFERENT


class Counting(layers.Layer):
    """Counts its training batches, which no output shows."""

    def build(self, _shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.count.assign_add(1.0)
        return x

    def compute_output_shape(self, shape):
        return shape


def test_a_state_that_training_moves_is_missed_on_the_other_side():
    counted = lambda: keras.Sequential([keras.Input((4,)), Counting(), layers.Dense(2)])  # noqa: E731
    plain = lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2)])  # noqa: E731
    assert compare(counted, plain).verdict is Verdict.DIFFERENT
