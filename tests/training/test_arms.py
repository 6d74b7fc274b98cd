"""The two arms together: which metrics the runs return, and which of them the plan speaks of."""

import keras
import pytest
from keras import layers

from pytest_kerasequiv import InputError, Training, Twins, Verdict
from pytest_kerasequiv.checks import training
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.training.runs import Run, Runs


def one():
    return keras.Sequential([keras.Input((2,)), layers.Dense(1)])


def other():
    inputs = keras.Input((2,))
    return keras.Model(inputs, layers.Dense(1)(inputs))


@pytest.mark.parametrize("margin", [{"rmse": 0.01}, {"loss": 0.01, "Loss": 0.01}, {1: 0.01}])
def test_a_margin_for_no_metric_is_refused_after_one_run(margin):
    seeds = []

    def fit(model, seed):
        seeds.append(seed)
        return {"loss": 1.0 + seed, "mae": 2.0 + seed}

    with pytest.raises(InputError, match=r"margin names .*, which is no metric of the runs.*loss, mae"):
        training.CHECK(Pair(Twins(one, other)), training=Training(seeds=10, margin=margin, fit=fit))
    assert set(seeds) == {0}


def test_a_margin_for_a_metric_that_was_not_chosen_is_left_alone():
    runs = Runs(tuple(Run(seed, {"loss": 1.0 + seed, "mae": 2.0 + seed}) for seed in range(10)))
    plan = Training(fit=len, seeds=10, metrics=["loss"], margin={"loss": "1sd", "mae": 0.1})
    assert list(training.compare_runs(runs, runs, plan).figures["metrics"]) == ["loss"]


def test_runs_that_return_other_metrics_are_refused():
    def fit(model, seed):
        return {"a": 1.0} if seed != 1 else {"b": 2.0}

    with pytest.raises(InputError, match=r"fit returned a under seed 0 but b under seed 1; return the same"):
        training.CHECK(Pair(Twins(one, other)), training=Training(seeds=3, fit=fit))


def test_twins_that_return_other_metrics_are_refused_unless_the_plan_says_which_count():
    """Their order is no difference."""
    ours = Runs(tuple(Run(seed, {"a": 1.0 + seed, "b": 2.0 + seed}) for seed in range(10)))
    theirs = Runs(tuple(Run(seed, {"b": 2.0 + seed, "c": 1.0}) for seed in range(10)))
    turned = Runs(tuple(Run(seed, {"b": 2.0 + seed, "a": 1.0 + seed}) for seed in range(10)))
    plan = Training(fit=len, seeds=10)
    with pytest.raises(
        InputError, match=r"the reference a, b; the candidate b, c; .* or choose with metrics=\['b'\]"
    ):
        training.compare_runs(ours, theirs, plan)
    assert training.compare_runs(ours, turned, plan).verdict is Verdict.EQUIVALENT
    chosen = training.compare_runs(ours, theirs, Training(fit=len, seeds=10, metrics=["b"]))
    assert (chosen.verdict, list(chosen.figures["metrics"])) == (Verdict.EQUIVALENT, ["b"])


def test_runs_may_return_more_than_the_chosen_metrics():
    runs = Runs(tuple(Run(seed, {"a": 1.0, **({"b": 2.0} if seed else {})}) for seed in range(10)))
    plan = Training(fit=len, seeds=10, metrics=["a"])
    assert training.compare_runs(runs, runs, plan).verdict is Verdict.EQUIVALENT
    with pytest.raises(InputError, match=r"fit returned a under seed 0 but a, b under seed 1"):
        training.compare_runs(runs, runs, Training(fit=len, seeds=10))


def test_settings_of_a_plan_that_an_own_fit_does_not_use_are_noted():
    def fit(model, seed):
        return {"loss": 1.0 + seed}

    def noted(**settings):
        plan = Training(seeds=2, margin=1.0, fit=fit, **settings)
        found = training.CHECK(Pair(Twins(one, other)), training=plan).notes
        return [finding.message for finding in found if finding.field == "fit"]

    data = ([[1.0, 2.0]], [0.0])
    assert noted() == []
    [message] = noted(train=data, epochs=3, shuffle=True)
    assert message.startswith("not used: train=, epochs=, shuffle= of the plan")
