"""Initialisers of one law, for the shape that they draw: what they draw under one seed is the oracle."""

import inspect
import itertools

import keras
import numpy as np
import pytest

from pytest_kerasequiv.checks.tables.drawing_laws import law_of, laws_in_words, same_law
from pytest_kerasequiv.layers.configs import canonical

KINDS = keras.initializers
WITH_AXES = "input_axes" in inspect.signature(KINDS.GlorotUniform).parameters
AXES = {"input_axes": (0,), "output_axes": (1, 2)}


def members(shape):
    """Initialisers of which several are of one law for some shape."""
    limit = float(np.sqrt(6 / (shape[0] + np.prod(shape[1:]))))
    return [
        KINDS.GlorotUniform(seed=3),
        KINDS.GlorotUniform(seed=3, **(AXES if WITH_AXES and len(shape) == 3 else {})),
        KINDS.VarianceScaling(1.0, "fan_avg", "uniform", seed=3),
        KINDS.RandomUniform(-limit, limit, seed=3),
        KINDS.LecunUniform(seed=3),
        KINDS.HeUniform(seed=3),
        KINDS.GlorotNormal(seed=3),
        KINDS.TruncatedNormal(0.0, float(np.sqrt(2 / shape[0]) / 0.87962566103423978), seed=3),
        KINDS.HeNormal(seed=3),
        KINDS.RandomNormal(0.0, 0.05, seed=3),
        KINDS.VarianceScaling(0.01, "fan_out", "untruncated_normal", seed=3),
        KINDS.Zeros(),
    ]


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (3, 2, 5), (7,)])
def test_one_law_is_what_draws_the_same_values(shape):
    for one, other in itertools.combinations(members(shape), 2):
        if (isinstance(one, KINDS.Orthogonal) and len(shape) < 2) or isinstance(other, KINDS.Orthogonal):
            continue
        drawn = [np.asarray(each(shape)) for each in (one, other)]
        same = same_law(canonical(one), canonical(other), (shape, shape))
        assert same == np.allclose(*drawn, rtol=1e-4), (one, other)


def test_other_initialisers_are_one_by_their_settings():
    shapes = (3, 3), (3, 3)
    assert law_of(canonical(KINDS.Orthogonal(2.0)), (3, 3)) is None
    assert same_law(canonical(KINDS.Orthogonal(2.0)), canonical(KINDS.OrthogonalInitializer(2.0)), shapes)
    assert not same_law(canonical(KINDS.Orthogonal(2.0)), canonical(KINDS.Orthogonal(1.0)), shapes)
    assert not same_law(canonical(KINDS.Zeros()), canonical(KINDS.GlorotUniform()), shapes)


@pytest.mark.skipif(not WITH_AXES, reason="this Keras counts the axes of a kernel in one way")
def test_each_variable_has_the_law_of_its_own_shape():
    glorot, plain = canonical(KINDS.GlorotUniform()), canonical(KINDS.GlorotUniform(**AXES))
    assert same_law(glorot, plain, ((8, 8), (8, 2, 4)))
    assert not same_law(glorot, glorot, ((8, 8), (8, 2, 4)))


def test_equal_settings_of_another_law_are_told_by_what_they_draw_from():
    glorot = canonical(KINDS.GlorotUniform())
    words = laws_in_words(glorot, glorot, ((8, 2, 4), (8, 8)))
    assert "uniform (-0.3536, 0.3536) for (8, 2, 4) in the reference" in words
    assert "uniform (-0.6124, 0.6124) for (8, 8) in the candidate" in words
    assert laws_in_words(glorot, glorot, ((8, 8), (8, 8))) == ""
    assert laws_in_words(glorot, canonical(KINDS.HeUniform()), ((8, 8), (8, 8))) == ""
