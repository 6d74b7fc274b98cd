"""Kernels outlive a seeded block in which nothing draws from them; else each block draws the same again."""

import keras
import pytest
import tensorflow as tf
from tensorflow.python import pywrap_tfe

from pytest_kerasequiv.keras_access.random_state import seeded

drawn_by_a_function = tf.function(lambda: tf.random.normal((2,)))
DRAWS = {
    "an operation": lambda: tf.random.uniform((2,)),
    "an operation with a seed": lambda: tf.random.normal((2,), seed=3),
    "a raw operation": lambda: tf.raw_ops.RandomUniform(shape=[2], dtype=tf.float32, seed=1, seed2=2),
    "a function that was traced before": drawn_by_a_function,
    "a shuffled data set": lambda: next(iter(tf.data.Dataset.range(99).shuffle(99, seed=3).batch(9))),
    "a candidate sampler": lambda: tf.random.uniform_candidate_sampler([[1]], 1, 5, True, 99)[0],
    "a random crop": lambda: tf.image.random_crop(tf.range(99), [4]),
}


@pytest.fixture
def emptied(monkeypatch):
    """How often the cache was emptied."""
    found = []
    empty = pywrap_tfe.TFE_ContextClearCaches
    monkeypatch.setattr(pywrap_tfe, "TFE_ContextClearCaches", lambda h: found.append(1) or empty(h))
    return found


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_each_block_draws_the_same(draw, emptied):
    drawn_by_a_function()
    blocks = []
    for _ in range(2):
        with seeded(0):
            blocks.append([draw().numpy().tolist() for _ in range(2)])
    assert blocks[0] == blocks[1]
    assert len(emptied) == 2


def test_building_empties_nothing(emptied):
    with seeded(0):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
        model(tf.zeros((2, 4)), training=True)
    assert not emptied


def test_a_seed_that_the_block_sets_empties_as_ever(emptied):
    with seeded(0):
        tf.random.set_seed(5)
    assert emptied
