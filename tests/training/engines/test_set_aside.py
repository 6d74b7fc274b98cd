"""LSTMs run outside the vectorized map: each seed as ``fit`` trains it, wherever the layer stands."""

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.training.engines import set_aside
from pytest_kerasequiv.training.engines.fit import train_fresh
from pytest_kerasequiv.training.engines.vectorized import VectorizedEngine
from pytest_kerasequiv.training.plan import Training

RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(40, 6, 3)).astype("float32")
Y = RNG.normal(size=(40, 1)).astype("float32")


def chain(*stack):
    def build():
        model = keras.Sequential(
            [keras.Input((6, 3)), *(layer() for layer in stack), layers.Flatten(), layers.Dense(1)]
        )
        model.compile(keras.optimizers.SGD(0.1), "mse")
        return model

    return build


def lstm(units=4, **options):
    return lambda: layers.LSTM(units, **options)


def shared():
    x = keras.Input((6, 3))
    layer = layers.LSTM(4, return_sequences=True, activity_regularizer="l2")
    both = layers.Concatenate()([layer(x), layer(layers.Dense(3)(x))])
    model = keras.Model(x, layers.Dense(1)(layers.LSTM(3)(both)))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def with_states():
    x = keras.Input((6, 3))
    _, *states = layers.LSTM(4, return_state=True)(x)
    decoded = layers.LSTM(4, kernel_regularizer="l2")(x, initial_state=states)
    model = keras.Model(x, layers.Dense(1)(decoded))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def frozen():
    model = chain(lstm(return_sequences=True, trainable=False), lstm())()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


ASIDE = {
    "a stack with dropout between": (
        chain(lstm(return_sequences=True, activation="relu"), lambda: layers.Dropout(0.3), lstm(5)),
        2,
    ),
    "without bias": (chain(lstm(use_bias=False, unit_forget_bias=False)), 1),
    "backwards": (chain(lstm(go_backwards=True, return_sequences=True)), 1),
    "both ways": (chain(lambda: layers.Bidirectional(layers.LSTM(4, return_sequences=True))), 2),
    "called twice": (shared, 3),
    "from given states": (with_states, 2),
    "frozen": (frozen, 2),
    "in a nested model": (
        chain(lambda: keras.Sequential([keras.Input((6, 3)), layers.LSTM(4), layers.BatchNormalization()])),
        1,
    ),
}

KEPT = {
    "with a mask": chain(layers.Masking, lstm()),
    "with dropout of its own": chain(lstm(dropout=0.2)),
    "with an activation that is not known": chain(lstm(activation="softplus")),
    "of another class": chain(lambda: layers.GRU(4)),
}


@pytest.fixture
def aside(monkeypatch):
    """The layers that were run together."""
    found = []
    together = set_aside._together
    monkeypatch.setattr(
        set_aside, "_together", lambda layer, *rest: found.append(layer) or together(layer, *rest)
    )
    return found


def trained(build, source_of, **options):
    plan = Training((SERIES, Y), (SERIES[:10], Y[:10]), seeds=3, batch_size=16, **options)
    engine = VectorizedEngine(source_of(build), plan, "reference")
    runs = list(engine.train(plan.seed_values))
    assert engine.reason.startswith("all seeds in one program"), engine.reason
    fresh = train_fresh(source_of(build), plan, runs[1].seed)
    assert runs[1].metrics == pytest.approx(fresh.metrics, rel=1e-4)


@pytest.mark.parametrize("case", ASIDE)
def test_each_seed_is_what_fit_gives(case, aside, source_of):
    build, calls = ASIDE[case]
    trained(build, source_of, shuffle=case == "called twice")
    assert len(aside) == calls


@pytest.mark.parametrize("case", KEPT)
def test_others_stay_in_the_map(case, aside, source_of):
    trained(KEPT[case], source_of)
    assert not aside


def test_layers_are_as_they_were_afterwards(source_of):
    plan = Training((SERIES, Y), (SERIES, Y), seeds=3)
    engine = VectorizedEngine(source_of(chain(lstm())), plan, "reference")
    list(engine.train(plan.seed_values))
    assert "inner_loop" not in vars(engine._model.layers[0])


def test_a_loop_that_gives_something_else_is_found_out(monkeypatch, source_of):
    together = set_aside._together
    monkeypatch.setattr(set_aside, "_together", lambda *call: [1.2 * part for part in together(*call)])
    plan = Training((SERIES, Y), (SERIES, Y), seeds=3)
    engine = VectorizedEngine(source_of(chain(lstm())), plan, "reference")
    runs = list(engine.train(plan.seed_values))
    assert "it gave another loss than fit at step 1" in engine.reason
    assert [run.engine for run in runs] == ["fit"] * 3
