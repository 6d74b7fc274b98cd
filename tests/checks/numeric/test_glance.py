"""One batch decides where twins of one skeleton plainly differ; where they do not, everything is run."""

import keras
import pytest
from keras import layers

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.checks.numeric.glance import ONE_BATCH


def dense(*, slope=0.1, rate=0.2, epsilon=1e-3):
    inputs = keras.Input((6,))
    hidden = layers.LeakyReLU(negative_slope=slope)(layers.Dense(8)(inputs))
    hidden = layers.Dropout(rate)(layers.LayerNormalization(epsilon=epsilon)(hidden))
    return keras.Model(inputs, layers.Dense(2)(hidden))


@pytest.mark.parametrize(("check", "setting"), [("outputs", {"slope": 0.3}), ("gradients", {"rate": 0.3})])
def test_a_plain_difference_needs_one_batch_and_no_float64(check, setting):
    report = compare(dense, lambda: dense(**setting))
    assert report.verdict is Verdict.DIFFERENT
    figures = report[check].figures
    assert figures["probes"] == 1
    assert figures["tolerance"]["why"] == ONE_BATCH
    field = "negative_slope" if check == "outputs" else "rate"
    assert report.findings[0].field == field


def test_a_fine_difference_needs_one_batch_in_float64():
    report = compare(dense, lambda: dense(epsilon=1.0001e-3))
    assert report.verdict is Verdict.DIFFERENT
    assert report["outputs"].figures["probes"] == 1
    assert report["outputs"].figures["tolerance"]["origin"] == "derived"


def test_where_inference_is_proved_the_same_outputs_follow_from_the_program():
    report = compare(dense, lambda: dense(rate=0.3))
    assert report["outputs"].figures == {"follows": "program"}
    everything = compare(dense, lambda: dense(rate=0.3), checks=["outputs"])
    assert everything["outputs"].figures["probes"] > 1


def test_what_the_first_batch_does_not_reach_is_still_found():
    def clipped(bound):
        inputs = keras.Input((6,))
        hidden = layers.Dense(8)(inputs)
        return keras.Model(inputs, layers.Dense(2)(layers.ReLU(max_value=bound)(hidden)))

    report = compare(lambda: clipped(50.0), lambda: clipped(60.0))
    assert report.verdict is Verdict.DIFFERENT
    assert report["outputs"].figures["probes"] > 1
