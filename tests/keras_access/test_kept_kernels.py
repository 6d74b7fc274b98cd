"""Kernels outlive a seeded block in which nothing draws from them; else each block draws the same again."""

import threading

import keras
import pytest
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import context
from tensorflow.python.framework import random_seed
from tensorflow.python.ops import gen_random_ops

from pytest_kerasequiv.keras_access.kept_kernels import kernels_kept
from pytest_kerasequiv.keras_access.random_state import seeded

drawn_by_a_function = tf.function(lambda: tf.random.normal((2,), seed=7))
DRAWS = {
    "an operation": lambda: tf.random.uniform((2,)),
    "an operation with a seed": lambda: tf.random.normal((2,), seed=3),
    "a raw operation": lambda: tf.raw_ops.RandomUniform(shape=[2], dtype=tf.float32, seed=1, seed2=2),
    "a function that was traced before": drawn_by_a_function,
    "a shuffled data set": lambda: next(iter(tf.data.Dataset.range(99).shuffle(99, seed=3).batch(9))),
    "a candidate sampler": lambda: tf.random.uniform_candidate_sampler([[1]], 1, 5, True, 99)[0],
    "a raw candidate sampler": lambda: tf.raw_ops.UniformCandidateSampler(
        true_classes=[[1]], num_true=1, num_sampled=5, unique=True, range_max=99, seed=1, seed2=2
    )[0],
    "a raw bounding box": lambda: tf.raw_ops.SampleDistortedBoundingBoxV2(
        image_size=[90, 90, 3],
        bounding_boxes=[[[0.1, 0.1, 0.9, 0.9]]],
        min_object_covered=0.1,
        seed=1,
        seed2=2,
    )[0],
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


def test_blocks_of_several_threads_leave_tensorflow_as_it_was():
    def functions():
        return (
            random_seed.get_seed,
            context.Context.call_function,
            gen_random_ops.pywrap_tfe,
            pywrap_tfe.TFE_ContextClearCaches,
        )

    before = functions()
    entered, leave = threading.Event(), threading.Event()

    def block():
        with kernels_kept(lambda: keras.utils.set_random_seed(1)):
            entered.set()
            leave.wait(60)

    other = threading.Thread(target=block)
    with kernels_kept(lambda: keras.utils.set_random_seed(0)):  # begins first and ends first
        other.start()
        assert entered.wait(60)
    assert functions() == before
    leave.set()
    other.join()
    assert functions() == before


def test_blocks_within_blocks_draw_the_same(emptied):
    def drawn():
        with seeded(0), seeded(1):
            return tf.random.uniform((2,)).numpy().tolist()

    assert drawn() == drawn()
    assert emptied
