"""Both twins start from one start where only the order of making layers tells theirs apart."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import training as check
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.starts.coupling import coupling
from pytest_kerasequiv.training.starts.reuse import training_state
from pytest_kerasequiv.weights.variables import values_of

COMPILE = {"optimizer": "adam", "loss": "mse", "metrics": ["mae"]}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 3)).astype("float32")
DATA = (X, X[:, :1] - X[:, 1:2] * X[:, 2:])


def chained(initializer="glorot_uniform"):
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(8, activation="tanh", kernel_initializer=initializer),
            layers.Dropout(0.3),
            layers.Dense(5, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(1),
        ]
    )


def nested(initializer="glorot_uniform", rate=0.2):
    from keras import layers

    inputs = keras.Input((3,))
    hidden = layers.Dropout(0.3)(layers.Dense(8, activation="tanh", kernel_initializer=initializer)(inputs))
    outputs = layers.Dense(1)(layers.Dropout(rate)(layers.Dense(5, activation="relu")(hidden)))
    return keras.Model(inputs, outputs)


def found(reference, candidate):
    pair = Pair(Twins(reference, candidate, compile=COMPILE))
    return pair, coupling(pair.twins, lambda: pair.variable_map)


def test_runs_of_twins_that_are_proved_are_shared_although_their_layers_are_made_in_another_order():
    pair, coupled = found(chained, nested)
    assert coupled is not None
    plan = Training(DATA, DATA, epochs=2, seeds=10)
    result = check.CHECK(pair, training=plan)
    assert result.verdict == "EQUIVALENT"
    assert {name: one["difference"] for name, one in result.figures["metrics"].items()} == {
        "loss": 0,
        "mae": 0,
    }
    assert result.figures["origin"]["candidate"] == {"shared": 10}
    assert [note.message for note in result.notes if note.field == "start"]


@pytest.mark.parametrize("engine", ["fit", "vectorized"])
def test_a_twin_that_trains_otherwise_is_still_told_apart_run_by_run(engine):
    pair, _ = found(chained, lambda: nested(rate=0.9))
    plan = Training(DATA, DATA, epochs=4, seeds=5, margin="1%", engine=engine)
    result = check.CHECK(pair, training=plan)
    assert result.verdict != "EQUIVALENT"
    assert any(one["difference"] != 0 for one in result.figures["metrics"].values())


def test_the_candidate_stands_where_the_reference_stands():
    pair, coupled = found(chained, nested)
    with training_state(5):
        theirs = values_of(coupled.candidate.build())
        after = random.random()
    with training_state(5):
        ours = values_of(pair.twins.reference_source.build())
        assert after == random.random()
    for value, carried in zip(ours, pair.variable_map.carry(theirs, ours), strict=True):
        assert value.shape == carried.shape
    for a, b in pair.variable_map.pairs:
        np.testing.assert_array_equal(ours[a], theirs[b])


@pytest.mark.parametrize("shuffle", [False, True])
def test_its_starts_are_told_without_building_it_again(shuffle):
    pair, coupled = found(chained, nested)
    plan = Training(DATA, DATA, shuffle=shuffle, epochs=2)
    starts = coupled.starts(plan)
    from pytest_kerasequiv.training.starts.drawing import Starts

    reference = Starts(pair.twins.reference_source, plan)
    for seed in (3, 4, 5):
        start = starts.of(seed)
        with training_state(seed):
            built = values_of(coupled.candidate.build())
        for told, value in zip(start.values, built, strict=True):
            np.testing.assert_array_equal(told, value)
        for told, order in zip(start.orders, reference.of(seed).orders, strict=True):
            np.testing.assert_array_equal(told, order)


def test_equal_starts_need_none_and_cost_no_map():
    twins = Twins(chained, chained_again, compile=COMPILE)
    assert coupling(twins, lambda: pytest.fail("the map was asked for")) is None


def chained_again():
    return chained()


def test_other_initialisers_are_not_covered_up():
    assert found(chained, lambda: nested("he_normal"))[1] is None


def test_an_initialiser_with_a_seed_of_its_own_is_not_covered_up():
    assert found(chained, lambda: nested(keras.initializers.GlorotUniform(seed=3)))[1] is None


def test_layers_that_share_a_draw_are_not_parted():
    """Each layer alone starts alike, but in one twin both start from the very same weights."""

    def twice(shared):
        from keras import initializers, layers

        def build():
            one = initializers.GlorotUniform()
            other = one if shared else initializers.GlorotUniform()
            made = [layers.Dense(3), layers.Dense(3)]
            made[0].kernel_initializer, made[1].kernel_initializer = one, other
            return keras.Sequential([keras.Input((3,)), *made, layers.Dense(1)])

        return build

    shared, apart = twice(True), twice(False)
    first, second = (Twins(build, chained, weights="copy").reference.layers[:2] for build in (shared, apart))
    assert np.array_equal(first[0].kernel, first[1].kernel)
    assert not np.array_equal(second[0].kernel, second[1].kernel)
    for twins in ((apart, shared), (shared, apart)):
        assert found(*twins)[1] is None


def test_weights_that_a_builder_loads_are_not_covered_up():
    def loaded():
        model = nested()
        model.layers[1].kernel.assign(np.full((3, 8), 0.1, "float32"))
        return model

    assert found(chained, loaded)[1] is None


def test_a_builder_that_draws_more_than_its_layers_do_is_left_alone():
    def drawing():
        random.random()
        return nested()

    assert found(chained, drawing)[1] is None


def test_models_that_come_with_weights_are_left_alone():
    assert found(chained(), nested())[1] is None


def test_your_own_fit_gets_the_candidate_at_the_start_of_the_reference():
    seen = {}

    def fit(model, seed):
        kind = "chain" if isinstance(model, keras.Sequential) else "nested"
        seen[kind, seed] = sorted(float(np.abs(value).sum()) for value in model.get_weights())
        return {"first": float(model.get_weights()[0].sum())}

    pair, _ = found(chained, nested)
    check.CHECK(pair, training=Training(fit=fit, seeds=[1, 2], margin=1.0))
    assert seen["chain", 1] == seen["nested", 1]
    assert seen["chain", 1] != seen["chain", 2]
