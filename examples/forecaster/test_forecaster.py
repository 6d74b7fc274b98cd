"""Is the forecaster the same model in both APIs of Keras?"""

import functools

import keras
import pytest
from forecast.data import load
from forecast.models import functional, sequential

from pytest_kerasequiv import InputError, Training, Twins, Verdict, compare

COMPILE = {
    "optimizer": "adam",
    "loss": "mse",
    "metrics": ["mse", keras.metrics.RootMeanSquaredError(name="rmse"), "mae"],
}
TRAIN, TEST = load()
# After one training of each, without a seed, one had more than twice the error of the other.
SEEN = {"mse": (0.160, 0.365), "rmse": (0.400, 0.604), "mae": (0.314, 0.569)}
TRAINING = Training(TRAIN, TEST, metrics=["mse", "rmse", "mae"], epochs=2, seeds=20, observed=SEEN)


@pytest.mark.kerasequiv
def test_both_apis_give_the_same_model(keras_twins):
    twins = keras_twins(sequential, functional, compile=COMPILE, name="forecaster")
    twins.assert_equivalent(training=TRAINING)


def test_another_dropout_rate_is_found(keras_twins):
    careless = functools.partial(functional, dropout=0.3)
    twins = keras_twins(sequential, careless, compile=COMPILE, name="dropout-0.3")
    with pytest.raises(AssertionError, match=r"dropout.*rate"):
        twins.assert_same_graph()


def test_another_dropout_rate_is_told_by_the_report():
    report = compare(sequential, functools.partial(functional, dropout=0.3), compile=COMPILE)
    assert report.verdict is Verdict.DIFFERENT
    culprit = next(finding for finding in report["graph"].findings if finding.field == "rate")
    assert culprit.reference_layer.endswith("/dropout")
    assert (culprit.reference, culprit.candidate) == (0.2, 0.3)


def test_15_days_are_too_few():
    twins = Twins(sequential, functools.partial(functional, steps=15))
    with pytest.raises(InputError, match=r"conv1d_1.*gets 9 steps but needs at least 11.*17 steps"):
        _ = twins.candidate
