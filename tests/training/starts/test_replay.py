"""Redrawing the start of a model: the bits of a fresh build, or no redrawing at all."""

import random

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.keras_access.random_state import seeded
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.starts.drawing import Starts

PLAN = Training(
    (np.zeros((8, 6, 3)), np.zeros(8)), (np.zeros((8, 6, 3)), np.zeros(8)), epochs=2, shuffle=True
)


def chain(*stack):
    return lambda: keras.Sequential([keras.Input((6, 3)), *(layer() for layer in stack), layers.Dense(1)])


def attention():
    x = keras.Input((6, 3))
    return keras.Model(x, layers.LayerNormalization()(layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x)))


def assert_starts(build, source_of, seeds=(4, 9, 2, 7)):
    starts = Starts(source_of(build), PLAN)
    for seed in seeds:
        found = starts.take(seed)
        with seeded(seed):
            model = build()
        fresh = [
            variable.numpy() for variable in (*model.trainable_variables, *model.non_trainable_variables)
        ]
        assert [value.tobytes() for value in (*found.weights, *found.state)] == [
            one.tobytes() for one in fresh
        ]
    return starts


@pytest.mark.parametrize(
    "build",
    [
        chain(lambda: layers.Dense(4), lambda: layers.Dropout(0.2)),
        chain(lambda: layers.LSTM(4, dropout=0.1)),
        chain(lambda: layers.Bidirectional(layers.GRU(3))),
        chain(lambda: layers.Conv1D(4, 3), layers.BatchNormalization),
        chain(lambda: layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(seed=3))),
        attention,
    ],
)
def test_the_bits_of_a_fresh_build(build, source_of):
    assert assert_starts(build, source_of)._trusted


def trained_a_little():
    model = chain(lambda: layers.Dense(2))()
    model.set_weights([weight + 1 for weight in model.get_weights()])
    return model


def with_own_initializer():
    return chain(lambda: layers.Dense(2, kernel_initializer=lambda *a, **k: keras.random.normal(a[0])))()


def with_numpy():
    start = keras.initializers.Constant(np.random.uniform())  # noqa: NPY002
    return chain(lambda: layers.Dense(2, bias_initializer=start))()


def with_random():
    return chain(lambda: layers.Dropout(random.random()), lambda: layers.Dense(2))()


def with_a_rare_branch():
    model = chain(lambda: layers.Dense(2))()
    if random.random() < 0.4:
        model.set_weights([weight + 1 for weight in model.get_weights()])
    return model


@pytest.mark.parametrize(
    "build", [trained_a_little, with_own_initializer, with_numpy, with_random, with_a_rare_branch]
)
def test_whose_start_rests_on_more_is_built(build, source_of):
    assert not assert_starts(build, source_of)._trusted


def test_orders_are_those_after_a_build(source_of):
    redrawing = Starts(source_of(chain(lambda: layers.Dense(2))), PLAN)
    orders = [redrawing.take(seed).orders for seed in (1, 2, 3)]
    building = Starts(source_of(chain(lambda: layers.Dense(2))), PLAN)
    assert np.array_equal(orders[2], building.take(3).orders)
    assert redrawing._trusted


def test_nothing_of_keras_stays_patched(source_of):
    from keras.src.random import seed_generator

    before = keras.Variable._initialize_with_initializer
    Starts(source_of(chain(lambda: layers.Dense(2))), PLAN).of(0)
    assert keras.Variable._initialize_with_initializer is before
    assert seed_generator.python_random is random
