"""Compiling a model for a while leaves nothing behind."""

import gc
import weakref

import keras
import numpy as np
from keras import layers

from pytest_kerasequiv.building.workbench import compiled_for_now


def network():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3)])


def test_the_optimizer_is_let_go():
    model = network()
    with compiled_for_now(model, {"optimizer": "adam", "loss": "mse"}):
        model.train_on_batch(np.zeros((2, 4)), np.zeros((2, 3)))
        optimizer = weakref.ref(model.optimizer)
    gc.collect()
    assert optimizer() is None
    assert not model.compiled


def test_the_callers_optimizer_comes_back_with_its_state():
    model = network()
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 4)), np.zeros((2, 3)))
    optimizer, iterations = model.optimizer, int(model.optimizer.iterations)
    with compiled_for_now(model, {"optimizer": "sgd", "loss": "mae"}):
        assert model.optimizer is not optimizer
    assert model.optimizer is optimizer
    assert int(model.optimizer.iterations) == iterations
    assert model.loss == "mse"
