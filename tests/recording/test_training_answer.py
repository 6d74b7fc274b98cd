"""Repeated training against recorded runs."""

import functools

import keras
import numpy as np
import pytest

from pytest_kerasequiv import InputError, Training, Twins, Verdict, compare, record
from pytest_kerasequiv.comparison import Comparison
from pytest_kerasequiv.training.engines.choice import make_arm

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3)).astype("float32")
Y = X[:, :1] * 2


def net(rate=0.05, name="net"):
    """A linear model."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)], name=name)
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def plan(**settings):
    """Nine runs of a few steps."""
    return Training(**{"train": (X, Y), "test": (X, Y), "seeds": 9, "margin": 0.5, "epochs": 3, **settings})


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """The file of the net and its nine runs."""
    return record(net, tmp_path_factory.mktemp("runs") / "net.kerasequiv", training=plan())


def trained(recording, candidate, training):
    return compare(recording, candidate, checks=["training"], training=training)["training"]


def test_the_candidate_alone_is_trained(recording):
    result = trained(recording, functools.partial(net, name="other"), plan())
    assert result.verdict is Verdict.EQUIVALENT, result
    assert result.figures["origin"]["reference"] == {"recorded": result.figures["n"]}
    assert result.figures["metrics"]["loss"]["difference"] == pytest.approx(0, abs=1e-6)
    assert not [finding for finding in result.findings if finding.field == "start"]


def test_a_model_that_learns_otherwise_is_different(recording):
    assert trained(recording, functools.partial(net, rate=1e-6), plan()).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": (X, Y + 1)}, "other training data"),
        ({"test": (X[:5], Y[:5])}, "other test data"),
        ({"seeds": 10}, "seeds="),
        ({"epochs": 4}, "epochs=3, where 4 is asked for"),
        ({"batch_size": 8}, "batch_size=32, where 8"),
    ],
    ids=str,
)
def test_another_plan_is_refused(recording, settings, message):
    with pytest.raises(InputError, match=message):
        trained(recording, net, plan(**settings))


def test_another_margin_is_the_callers_choice(recording):
    assert trained(recording, net, plan(margin=1.0)).verdict is Verdict.EQUIVALENT


def test_other_data_count_where_they_are_the_question(recording):
    comparison = Comparison(Twins(recording, net))
    source = Twins(net, net).reference_source
    comparison.pair.trains_reference = lambda _: make_arm(source, plan(), "reference")
    result = comparison.check("training", training=plan(train=(X, Y + 1)))
    assert result.verdict is Verdict.DIFFERENT, result


def test_what_was_recorded_without_a_plan_does_not_answer(tmp_path):
    path = record(net, tmp_path / "net.kerasequiv")
    result = trained(path, net, plan())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "no training= was given" in result.findings[0].message
