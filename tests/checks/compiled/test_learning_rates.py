"""Learning rates that code decides: the same where they give the same rate at every step."""

import functools

import keras
import numpy as np
import pytest
from keras import ops
from tests.common.models import dense

from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.compiled.settings_findings import compare_settings

SGD, SCHEDULES = keras.optimizers.SGD, keras.optimizers.schedules
RATE, HELD = 0.1, {"rate": 0.1}


def findings(reference, candidate):
    return compare_settings(
        "updates", *(settings_of(dense(optimizer)) for optimizer in (reference, candidate))
    )


class Warm(SCHEDULES.LearningRateSchedule):
    """An own schedule without a config."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, step):
        return 0.1 * ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)


class Cosine(SCHEDULES.LearningRateSchedule):
    """Keras's CosineDecay, written again."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, step):
        done = ops.minimum(ops.cast(step, "float32"), self.steps) / self.steps
        return 0.1 * 0.5 * (1 + ops.cos(np.pi * done))


class Renamed(keras.optimizers.Adam):
    """Adam under another name."""


SAME = {
    "a schedule that stays": (SGD(SCHEDULES.ExponentialDecay(0.1, 100, 1.0)), SGD(0.1)),
    "equal pieces": (SGD(SCHEDULES.PiecewiseConstantDecay([100], [0.1, 0.1])), SGD(0.1)),
    "a function": (SGD(lambda: 0.1), SGD(0.1)),
    "a function of a number": (SGD(lambda: RATE), SGD(0.1)),
    "two functions": (SGD(lambda: 0.1), SGD(functools.partial(lambda rate: rate, 0.1))),
    "an own schedule": (SGD(Warm(50)), SGD(Warm(50))),
    "a schedule written again": (SGD(SCHEDULES.CosineDecay(0.1, 1000)), SGD(Cosine(1000))),
    "a subclass that changes nothing": (Renamed(), keras.optimizers.Adam()),
    "no momentum": (SGD(momentum=0.0), SGD()),
}


@pytest.mark.parametrize("name", SAME)
def test_equal_rates_are_no_difference(name):
    reference, candidate = SAME[name]
    assert findings(reference, candidate) == findings(candidate, reference) == []


DIFFERENT = {
    "a late piece": (
        SGD(SCHEDULES.PiecewiseConstantDecay([10**7], [0.1, 0.2])),
        SGD(0.1),
        "PiecewiseConstant",
    ),
    "steps": (SGD(SCHEDULES.CosineDecay(0.1, 100)), SGD(SCHEDULES.CosineDecay(0.1, 200)), "decay_steps=100"),
    "steps by hand": (SGD(SCHEDULES.CosineDecay(0.1, 1000)), SGD(Cosine(1001)), "steps=1001"),
    "own steps": (SGD(Warm(50)), SGD(Warm(500)), "steps is 50 in the reference and 500 in the candidate"),
    "functions": (SGD(lambda: 0.1), SGD(lambda: 0.2), "0.1 in the reference is 0.2 in the candidate"),
    "what may change": (SGD(lambda: HELD["rate"]), SGD(0.1), "HELD.rate=0.1"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_rates_that_differ_at_a_step_are_named(name):
    reference, candidate, words = DIFFERENT[name]
    found = findings(reference, candidate)
    assert [(f.field, f.severity) for f in found] == [("optimizer.learning_rate", "difference")]
    assert words in found[0].message


def test_a_rate_is_told_as_it_was_written():
    assert "0.1 in the reference, 0.01 in the candidate" in findings(SGD(0.1), SGD(0.01))[0].message
