"""What the numeric checks prepare of each twin."""

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks.numeric.views import views_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.weights.variables import peek, values_of, variables_of


def build(units=3):
    return keras.Sequential([keras.Input((4,)), layers.Dense(units), layers.BatchNormalization()])


def addresses(model):
    return [peek(variable).ctypes.data for variable in variables_of(model)]


def test_equal_weights_of_twins_are_in_memory_once():
    pair = Pair(Twins(build, build))
    before = [value.copy() for value in values_of(pair.candidate)]
    reference, candidate = views_of(pair)
    assert addresses(pair.candidate) == addresses(pair.reference)
    assert all(a is b for a, b in zip(reference.values, candidate.values, strict=True))
    for value, old in zip(values_of(pair.candidate), before, strict=True):
        np.testing.assert_array_equal(value, old)


@pytest.mark.parametrize("weights", ["copy", "own"])
def test_weights_that_differ_stay_each_models_own(weights):
    models = build(), build()
    before = [[value.copy() for value in values_of(model)] for model in models]
    pair = Pair(Twins(*models, weights=weights))
    views_of(pair)
    kernels = [addresses(model)[0] for model in (pair.reference, pair.candidate)]
    assert kernels[0] != kernels[1]
    for model, values in zip(models, before, strict=True):
        for value, old in zip(values_of(model), values, strict=True):
            np.testing.assert_array_equal(value, old)
