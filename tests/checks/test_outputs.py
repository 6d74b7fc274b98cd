"""Check `outputs`: agreement, every way to fail, and bad input."""

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import gradients, outputs, updates
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.running.running import called
from pytest_kerasequiv.verdict import Verdict
from pytest_kerasequiv.weights.variables import values_of


def forecaster(epsilon=1e-3, activation="relu", padding="valid", units=3):
    return keras.Sequential(
        [
            keras.Input((20, 3)),
            layers.Conv1D(4, 5, padding=padding, name="conv"),
            layers.BatchNormalization(epsilon=epsilon, name="norm"),
            layers.Activation(activation, name="act"),
            layers.Flatten(name="flat"),
            layers.Dense(units, name="head"),
        ]
    )


def changed(**settings):
    return lambda: forecaster(**settings)


def pair_of(candidate, reference=forecaster, **options):
    return Pair(Twins(reference, candidate), **options)


def test_twins_agree_with_headroom():
    result = outputs.CHECK(pair_of(lambda: keras.Sequential([*forecaster().layers, layers.Dropout(0.5)])))
    assert result.verdict is Verdict.EQUIVALENT
    assert not result.differences
    assert result.figures["tolerance"]["origin"] == "derived"


@pytest.mark.parametrize(
    ("settings", "layer", "field"),
    [
        ({"activation": "tanh"}, "act", "activation"),
        ({"activation": "elu"}, "act", "activation"),
        ({"epsilon": 1e-5}, "norm", "epsilon"),
        ({"epsilon": 1.0001e-3}, "norm", "epsilon"),
    ],
)
def test_fault_is_found_and_its_layer_and_field_come_first(settings, layer, field):
    result = outputs.CHECK(pair_of(changed(**settings)))
    assert result.verdict is Verdict.DIFFERENT
    first = result.findings[0]
    assert first.reference_layer.endswith(layer)
    assert (first.field, first.severity) == (field, "difference")
    assert len([f for f in result.differences if f.reference_layer]) == 1


def test_relu6_shows_once_inputs_are_large():
    result = outputs.CHECK(pair_of(changed(activation="relu6")))
    assert result.verdict is Verdict.DIFFERENT
    assert "greatest absolute difference" in str(result.findings[-1])


def test_incomplete_map_is_inconclusive_and_other_shapes_are_different():
    def wider():
        return keras.Sequential([keras.Input((20, 3)), layers.Flatten(), layers.Dense(5), layers.Dense(3)])

    result = outputs.CHECK(pair_of(wider))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.findings[0].field == "weights"
    result = outputs.CHECK(pair_of(changed(units=4)))
    assert result.verdict is Verdict.DIFFERENT
    assert [f.field for f in result.differences] == ["units", "shape"]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.full((2, 20, 3), np.nan), "NaN"),
        (np.zeros((2, 19, 3)), r"\(None, 20, 3\)"),
        ([np.zeros((2, 20, 3)), np.zeros((2, 20, 3))], "holds 2 arrays"),
        (np.zeros((0, 20, 3)), "non-empty"),
    ],
)
def test_bad_inputs_are_refused(bad, says):
    with pytest.raises(InputError, match=says):
        outputs.CHECK(pair_of(forecaster), inputs=bad)


def test_user_inputs_come_first_and_given_tolerance_wins():
    inputs = np.random.default_rng(0).normal(size=(4, 20, 3))
    result = outputs.CHECK(pair_of(changed(epsilon=1.0001e-3)), inputs=inputs, rtol=1e-3, atol=1e-3)
    assert result.verdict is Verdict.EQUIVALENT
    assert "your inputs" in result.figures["outputs"][0]["what"]
    assert result.figures["tolerance"]["origin"] == "given"


def test_models_are_left_as_they_were():
    pair = pair_of(changed(epsilon=1e-5))
    before = [values_of(pair.reference), values_of(pair.candidate)]
    outputs.CHECK(pair)
    after = [values_of(pair.reference), values_of(pair.candidate)]
    for was, now in zip(before, after, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(was, now, strict=True))


def test_outputs_are_called_by_their_name_or_by_their_position():
    assert [called(name) for name in ("price", "output 1")] == ["output 'price'", "output 1"]


def test_a_probe_that_only_the_candidate_refuses_is_a_difference():
    def pooled(steps):
        inputs = keras.Input((steps, 3))
        return keras.Model(inputs, layers.GlobalAveragePooling1D()(inputs))

    result = outputs.CHECK(Pair(Twins(lambda: pooled(None), lambda: pooled(6))))
    assert result.verdict is Verdict.DIFFERENT
    assert "only the candidate refuses the probe" in result.differences[0].message


def test_weights_of_their_own_do_not_mean_seeds_of_their_own():
    def dropping(rate=0.5):
        inputs = keras.Input((3,))
        return keras.Model(inputs, layers.Dense(2)(layers.Dropout(rate)(inputs)))

    first, second, third = dropping(), dropping(), dropping(0.4)
    second.set_weights(first.get_weights())
    third.set_weights(first.get_weights())
    pair = Pair(Twins(first, second, weights="own"))
    assert gradients.CHECK(pair).verdict is updates.CHECK(pair, steps=2).verdict is Verdict.EQUIVALENT
    assert gradients.CHECK(Pair(Twins(first, third, weights="own"))).verdict is Verdict.DIFFERENT
