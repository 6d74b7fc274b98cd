"""Engine fit: the user's own loop, bit for bit, and what becomes of runs that fail."""

import random

import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.engines.fit import train_fresh
from pytest_kerasequiv.training.plan import Training


def by_hand(build, plan, seed):
    keras.utils.set_random_seed(seed)
    model = build()
    model.fit(
        *plan.train[:2], epochs=plan.epochs, batch_size=plan.batch_size, shuffle=plan.shuffle, verbose=0
    )
    return model.evaluate(*plan.test[:2], verbose=0, return_dict=True)


@pytest.mark.parametrize("shuffle", [False, True])
def test_bit_for_bit_the_users_loop(mlp, data, source_of, shuffle):
    plan = Training(*data, epochs=2, batch_size=16, shuffle=shuffle)
    assert train_fresh(source_of(mlp), plan, 3).metrics == by_hand(mlp, plan, 3)


def test_seeds_differ(mlp, data, source_of):
    plan = Training(*data)
    one, other = (train_fresh(source_of(mlp), plan, seed).metrics["mae"] for seed in (0, 1))
    assert one != other


def test_the_callers_world_is_as_before(mlp, data, source_of):
    from tensorflow.python.framework import config

    def start():
        global_state.set_global_attribute("global_seed_generator", None)  # Keras before 3.13 keeps it
        keras.utils.set_random_seed(7)

    start()
    expected = random.random(), random.random(), float(keras.random.normal((1,))[0])
    start()
    train_fresh(source_of(mlp), Training(*data), 3)
    assert (random.random(), random.random(), float(keras.random.normal((1,))[0])) == expected
    assert not config.is_op_determinism_enabled()


def test_sample_weights_are_used(mlp, data, source_of):
    (x, y), test = data
    weights = np.linspace(0, 5, len(x)).astype("float32")
    plain = train_fresh(source_of(mlp), Training((x, y), test), 0)
    weighted = train_fresh(source_of(mlp), Training((x, y, weights), test), 0)
    assert plain.metrics != weighted.metrics


def test_a_crash_is_a_failed_run_with_its_reason(mlp, source_of):
    def fit(model, seed):
        raise RuntimeError("the disk is full\nand more")

    run = train_fresh(source_of(mlp), Training(fit=fit), 0)
    assert run.failure == "RuntimeError: the disk is full and more"
    assert not run.metrics


def test_nan_metrics_are_a_failed_run(mlp, source_of):
    run = train_fresh(source_of(mlp), Training(fit=lambda model, seed: {"mae": float("nan")}), 0)
    assert run.failure == "mae is nan"


def test_an_own_loop_gets_model_and_seed(mlp, source_of):
    run = train_fresh(
        source_of(mlp), Training(fit=lambda model, seed: {"seed": seed, "n": len(model.layers)}), 5
    )
    assert run.metrics == {"seed": 5.0, "n": 3.0}


@pytest.mark.parametrize("returned", [None, {}, {"mae": "low"}, 0.3])
def test_an_own_loop_must_return_numbers(mlp, source_of, returned):
    with pytest.raises(InputError, match="fit returned"):
        train_fresh(source_of(mlp), Training(fit=lambda model, seed: returned), 0)


def test_a_model_that_is_not_compiled(data, source_of):
    def build():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])

    with pytest.raises(InputError, match=r"the candidate .* is not compiled.*compile="):
        train_fresh(source_of(build), Training(*data), 0, "candidate")


def test_inputs_of_another_shape(mlp, data, source_of):
    (x, y), test = data
    with pytest.raises(InputError, match=r"train x has shape \(44, 3\), but the reference .* \(any, 4\)"):
        train_fresh(source_of(mlp), Training((x[:, :3], y), test), 0)


def test_targets_of_another_shape_are_not_broadcast(mlp, data, source_of):
    (x, y), test = data
    with pytest.raises(InputError, match=r"train y has shape \(44, 2\).* \(any, 1\)"):
        train_fresh(source_of(mlp), Training((x, np.repeat(y, 2, axis=1)), test), 0)


def test_targets_without_the_last_axis_are_fine(mlp, data, source_of):
    (x, y), (x_test, y_test) = data
    run = train_fresh(source_of(mlp), Training((x, y[:, 0]), (x_test, y_test[:, 0])), 0)
    assert run.failure is None


def test_the_number_of_inputs(data, source_of):
    def build():
        a, b = keras.Input((4,)), keras.Input((4,))
        model = keras.Model([a, b], keras.layers.Dense(1)(keras.layers.Add()([a, b])))
        model.compile("sgd", "mse")
        return model

    with pytest.raises(InputError, match=r"train x holds 1 arrays.* has 2 inputs"):
        train_fresh(source_of(build), Training(*data), 0)


def test_a_model_with_a_dead_relu_predicts_a_constant(data, source_of):
    def build():
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(1, activation="relu", bias_initializer=lambda *a, **k: -100.0),
            ]
        )
        model.compile("sgd", "mse")
        return model

    assert train_fresh(source_of(build), Training(*data), 0).constant


def test_a_healthy_model_does_not(mlp, data, source_of):
    assert not train_fresh(source_of(mlp), Training(*data), 0).constant
