"""Where the values of a fresh build come from, and what its builds share."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from tests.common.models import building

from pytest_kerasequiv import InputError, Twins, Verdict, compare
from pytest_kerasequiv.building.sources import Source, source_of
from pytest_kerasequiv.building.starts import moved, starts_of

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")


def source(build: Any) -> Source:
    return source_of(build, "reference", compile=None)


def test_what_gave_each_variable_its_value() -> None:
    def build() -> keras.Model:
        seeded = keras.initializers.HeNormal(seed=3)
        first, second = layers.Dense(2), layers.Dense(2, kernel_initializer=seeded)
        model = keras.Sequential([keras.Input((4,)), first, second])
        second.bias.assign([1.0, 2.0])
        return model

    model = source(build).build_as_given(0)
    starts = starts_of(model) or ()
    origins = [start.origin for start in starts]
    assert origins == ["drawn", "fixed", "seeded", "other"]
    assert starts[2].seed == 3
    base = starts[3].base
    assert base is not None
    assert not base.any()
    assert all(start.base is None for start in starts[:3])


def test_given_models_have_no_start() -> None:
    model = building((4,), layers.Dense(2))()
    assert starts_of(model) is None
    assert starts_of(source(model).build_as_given(0)) is None


def test_which_elements_move() -> None:
    one, other = np.array([1.0, np.nan, 3.0]), np.array([2.0, np.nan, 3.0])
    (found,) = moved([one], [other]) or []
    assert found.tolist() == [True, False, False]
    assert moved([one], [other[:2]]) is None


def norm() -> Any:
    layer = layers.Normalization()
    layer.adapt(3 + 2 * X)
    return layer


def frozen() -> Any:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6), layers.BatchNormalization()])
    model.trainable = False
    return model


SHARED: dict[str, Callable[[], Any]] = {
    "statistics": norm,
    "noise": lambda: layers.GaussianNoise(0.5),
    "masks": lambda: layers.Dropout(0.5, seed=7),
    "backbone": frozen,
    "moving statistics": lambda: layers.BatchNormalization(center=False, scale=False),
}


@pytest.mark.parametrize("name", SHARED)
def test_layers_made_outside_the_builders_may_be_shared(name: str) -> None:
    keras.utils.set_random_seed(5)
    shared = SHARED[name]()
    build = building((4,), lambda inputs: layers.Dense(2)(shared(inputs)))
    _ = build()
    before = [np.asarray(variable).copy() for variable in shared.variables]
    report = compare(
        build,
        build,
        compile={"optimizer": "adam", "loss": "mse"},
        checks=["program", "weights", "outputs", "gradients", "updates"],
    )
    assert {result.verdict for result in report.checks.values()} == {Verdict.EQUIVALENT}, str(report)
    after = [np.asarray(variable) for variable in shared.variables]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_build_begins_with_what_is_shared_as_it_was() -> None:
    statistics = layers.BatchNormalization(center=False, scale=False)
    made = source(building((4,), lambda inputs: layers.Dense(2)(statistics(inputs))))
    model = made.build(0)
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)
    assert statistics.moving_mean.numpy().any()
    made.build(1)
    assert not statistics.moving_mean.numpy().any()


def test_later_models_do_not_go_on_training_earlier_ones() -> None:
    shared = layers.Dense(3, name="own")
    made = source(building((4,), lambda inputs: layers.Dense(2)(shared(inputs))))
    made.build(0)
    with pytest.raises(InputError, match="share 'own/kernel', which training changes"):
        made.build(1)


def test_layers_that_were_trained_before_are_put_back() -> None:
    """Fine-tuning begins with the weights that the layer came with, in each run."""
    shared = layers.Dense(3)
    shared.build((None, 4))
    before = shared.kernel.numpy()
    made = source(building((4,), lambda inputs: layers.Dense(2)(shared(inputs))))
    made.build(0)
    shared.kernel.assign(before + 1)
    made.build(1)
    np.testing.assert_array_equal(shared.kernel.numpy(), before)


def test_trained_layers_are_not_shared() -> None:
    shared = layers.Dense(3, name="own")
    build = building((4,), lambda inputs: layers.Dense(2)(shared(inputs)))
    with pytest.raises(InputError, match=r"share what training changes.*'own/kernel', 'own/bias'"):
        _ = Twins(build, build).candidate


def test_what_is_shared_does_not_go_to_other_processes() -> None:
    made = source(building((4,), layers.BatchNormalization()))
    made.build_as_given(0)
    assert not vars(pickle.loads(pickle.dumps(made.brought)))["_first"]
