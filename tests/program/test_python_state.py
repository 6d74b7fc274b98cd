"""Layers that keep something in Python from call to call."""

import keras
import pytest
from keras import layers

from pytest_kerasequiv import Evidence, Verdict, compare
from pytest_kerasequiv.program import trace


class Plain(layers.Layer):
    def call(self, x):
        return x


class Counts(layers.Layer):
    """Doubles from its thousandth call on."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return x if self.calls < 1000 else 2 * x


class Collects(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = []

    def call(self, x):
        self.seen.append(x.shape[-1])
        return x if len(self.seen) < 1000 else 2 * x


class Notes(layers.Layer):
    """Notes the shape of its input, as code for shapes does."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.size = None

    def call(self, x):
        self.size = x.shape[1]
        return x


def net(cls):
    def build():
        return keras.Sequential([keras.Input((4, 2)), cls(name="middle"), layers.Dense(1, name="out")])

    return build


@pytest.mark.parametrize(("cls", "attribute"), [(Counts, "calls"), (Collects, "seen")])
def test_a_layer_that_each_call_leaves_otherwise_is_not_proved(cls, attribute):
    program = trace(net(cls)())
    assert program.reason == f"each call of {cls.__name__} changes its attribute '{attribute}'"
    report = compare(net(Plain), net(cls))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert any(f"{cls.__name__} is code that cannot be traced" in f.message for f in report.findings)


def test_the_same_code_on_both_sides_is_measured():
    report = compare(net(Counts), net(Counts))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED), str(report)


def test_how_often_a_layer_was_called_before_is_no_difference():
    used = net(Counts)()
    for _ in range(3):
        used(keras.ops.zeros((1, 4, 2)))
    report = compare(net(Counts), used)
    assert report.verdict is Verdict.EQUIVALENT, str(report)


def test_a_layer_that_notes_a_shape_is_proved():
    report = compare(net(Notes), net(Notes))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED), str(report)
