"""The plan: every bad argument is named, with its value and a remedy."""

import re

import numpy as np
import pytest

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.plan import Training

X = np.zeros((6, 3), "float32")
Y = np.zeros((6, 1), "float32")
DATA = ((X, Y), (X, Y))


def plan(**options):
    return Training(*DATA, **options)


def test_defaults_are_twenty_seeds_at_five_percent():
    default = plan()
    assert default.seed_values == tuple(range(20))
    assert (default.error_rate, default.engine_name, default.paired) == (0.05, "auto", True)
    assert default.margin_of("mae") is None


def test_what_the_plan_says_wins_over_defaults():
    filled = plan(seeds=5, alpha=0.1).with_defaults(seeds=30, margin="5%", alpha=0.2, engine="fit")
    assert filled.seed_values == tuple(range(5))
    assert (filled.error_rate, filled.margin_of("loss"), filled.engine_name) == (0.1, "5%", "fit")


def test_more_seeds_than_anybody_trains_are_refused():
    with pytest.raises(InputError, match="asks for more than 1000000 runs"):
        plan(seeds=10**1000)


def test_a_default_may_stay_open():
    assert plan().with_defaults(seeds=None).seeds is None


def test_bad_defaults_are_refused_like_arguments():
    with pytest.raises(InputError, match="seeds=1"):
        plan().with_defaults(seeds=1)


def test_margins_can_be_given_per_metric():
    assert plan(margin={"mae": "10%"}).margin_of("mae") == "10%"
    assert plan(margin={"mae": "10%"}).margin_of("loss") is None


def test_explicit_seeds_are_kept_in_order():
    assert plan(seeds=[7, 3, 11]).seed_values == (7, 3, 11)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seeds": 1}, "seeds=1 is too few"),
        ({"seeds": 0}, "seeds=0 is too few"),
        ({"seeds": True}, "seeds=True"),
        ({"seeds": 2.5}, "seeds=2.5"),
        ({"seeds": "20"}, "seeds='20'"),
        ({"seeds": [1]}, "too few"),
        ({"seeds": [1, 2, 1]}, "names 1 more than once"),
        ({"seeds": [1, -2]}, "holds -2"),
        ({"seeds": [1, 2**32]}, "holds 4294967296"),
        ({"margin": 0}, "margin=0"),
        ({"margin": -0.1}, "margin=-0.1"),
        ({"margin": "5 percent"}, "margin='5 percent'"),
        ({"margin": {"mae": float("nan")}}, "margin=nan"),
        ({"alpha": 0}, "alpha=0"),
        ({"alpha": 0.7}, "alpha=0.7"),
        ({"alpha": "5%"}, "alpha='5%'"),
        ({"engine": "fast"}, "choose from auto, fit, vectorized"),
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": 1.5}, "epochs=1.5"),
        ({"batch_size": -4}, "batch_size=-4"),
        ({"shuffle": "batch"}, "shuffle='batch'"),
        ({"paired": 1}, "paired=1"),
        ({"metrics": "mae"}, r"metrics=\['mae'\]"),
        ({"metrics": []}, "metrics is empty"),
        ({"metrics": ["mae", "mae"]}, "twice"),
        ({"metrics": [3]}, "holds 3"),
        ({"metrics": 3}, "metrics=3 is no list"),
        ({"seeds": {1: 2, 3: 4}}, "must be a count"),
        ({"fit": 3}, "fit=3 is not callable"),
        ({"fit": lambda model: {}}, r"cannot be called as fit\(model, seed\): too many positional"),
        ({"fit": lambda model, seed, data: {}}, "missing a required argument: 'data'"),
        ({"fit": lambda model, seed: {}, "engine": "vectorized"}, "cannot run your own fit"),
    ],
)
def test_bad_arguments(options, told):
    with pytest.raises(InputError, match=told):
        plan(**options)


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (None, "train is missing"),
        (X, r"train is an array of dtype float32 and shape \(6, 3\); pass train="),
        ((X,), "train is a tuple of 1"),
        ((X, Y[:4]), "x has 6, y has 4 rows"),
        ((X, Y, np.ones(5)), "sample_weight has 5 rows"),
        ((np.full((6, 3), np.nan), Y), "train x holds NaN or infinite numbers in 6 of 6 rows"),
        ((X, np.array([0, 1, 2, np.inf, 4, 5])), "train y holds NaN .* first in row 3"),
        (([X, X[:2]], Y), r"x\[0\] has 6, x\[1\] has 2"),
        ((X[:0], Y[:0]), "train has no rows"),
        ((X, None), "train has no y"),
        (({"a": [[1], [2, 3]]}, Y), r"train x\['a'\]"),
        ((3.0, Y), "train x is a float"),
    ],
)
def test_bad_data(train, told):
    with pytest.raises(InputError, match=told):
        Training(train, (X, Y))


def test_bad_test_data_are_named_test():
    with pytest.raises(InputError, match="test has parts of different lengths"):
        Training((X, Y), (X, Y[:1]))


def test_data_may_be_omitted_for_an_own_training_loop():
    assert Training(fit=lambda model, seed: {"a": 1.0}).train is None


def test_lists_of_numbers_are_arrays():
    assert Training(([[1.0], [2.0]], [0, 1]), (X, Y)).train.x.shape == (2, 1)


def test_plans_are_frozen():
    with pytest.raises(AttributeError):
        plan().epochs = 3


def test_what_was_seen_is_kept_per_metric():
    assert plan(observed={"mae": [4, 4.5]}).observed == {"mae": (4.0, 4.5)}
    assert plan().observed is None


@pytest.mark.parametrize(
    ("observed", "told"),
    [
        (3.5, "observed=3.5 is no dict of metrics"),
        ({}, "observed={} is no dict"),
        ({"mae": 4.0}, "observed holds 'mae': 4.0"),
        ({"mae": (4.0,)}, "two finite numbers"),
        ({"mae": "45"}, "two finite numbers"),
        ({"mae": (4.0, float("nan"))}, "two finite numbers"),
        ({1: (4.0, 5.0)}, "observed holds 1"),
    ],
)
def test_what_was_seen_must_be_two_numbers_a_metric(observed, told):
    with pytest.raises(InputError, match=re.escape(told)):
        plan(observed=observed)
