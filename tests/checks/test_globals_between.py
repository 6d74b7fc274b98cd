"""A global that both builders set: the reference is traced before the candidate's builder sets it again."""

import keras
import pytest

from pytest_kerasequiv import Twins, Verdict, compare
from pytest_kerasequiv.comparison import Comparison

SETTING = {"factor": 1.0}


class Scaling(keras.layers.Layer):
    def call(self, x):
        return x * SETTING["factor"]


def scaled(factor):
    def build():
        SETTING["factor"] = factor
        inputs = keras.Input((4,))
        return keras.Model(inputs, keras.layers.Dense(2)(Scaling()(inputs)))

    return build


@pytest.mark.parametrize("first", ["summary", "graph", "candidate", None])
def test_what_comes_first_does_not_matter(first):
    comparison = Comparison(Twins(scaled(1.0), scaled(2.0)))
    if first == "candidate":
        comparison.model("candidate")
    elif first is not None:
        comparison.check(first)
    found = comparison.check("program")
    assert [finding.severity for finding in found.findings] == ["difference"]
    assert found.figures["skeleton"] == "the same"


def test_where_only_the_structure_is_asked_for_nothing_is_traced(monkeypatch):
    monkeypatch.setattr("pytest_kerasequiv.checks.pair.trace", lambda _: pytest.fail("traced"))
    assert compare(scaled(1.0), scaled(1.0), checks=("summary", "graph")).verdict is Verdict.EQUIVALENT
