"""All seeds in one program: each seed as ``fit`` trains it, and ``fit`` itself where that cannot be."""

import random

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.training.engines import vectorized
from pytest_kerasequiv.training.engines.choice import make_arm
from pytest_kerasequiv.training.engines.fit import FitEngine, train_fresh
from pytest_kerasequiv.training.engines.vectorized import BUDGET, VectorizedEngine, most_replicas
from pytest_kerasequiv.training.plan import Training

RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(40, 6, 3)).astype("float32")
IMAGES = RNG.normal(size=(40, 8, 8, 2)).astype("float32")
WORDS = RNG.integers(1, 9, (40, 6))
ROWS = RNG.normal(size=(40, 5)).astype("float32")
Y = RNG.normal(size=(40, 1)).astype("float32")
CLASSES = RNG.integers(0, 3, (40, 1))


def descent():
    """What is traced soonest, in steps that are long enough to show a wrong one."""
    return keras.optimizers.SGD(0.02)


def chain(shape, *stack, dtype=None, optimizer=descent, loss="mse", metrics=(), head=1, **options):
    def build():
        made = [layer() for layer in stack]
        model = keras.Sequential([keras.Input(shape, dtype=dtype), *made, layers.Dense(head)])
        model.compile(
            optimizer() if callable(optimizer) else optimizer, loss, metrics=list(metrics), **options
        )
        return model

    return build


def attention():
    x = keras.Input((6,), dtype="int32")
    words = layers.Embedding(9, 8, mask_zero=True)(x)
    seen = layers.MultiHeadAttention(2, 4, dropout=0.1)(words, words)
    seen = layers.LayerNormalization()(words + seen)
    model = keras.Model(x, layers.Dense(1)(layers.GlobalAveragePooling1D()(seen)))
    model.compile(descent(), "mse")
    return model


def two_by_two():
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    shared = layers.Dense(4, activation="tanh", kernel_regularizer="l2", activity_regularizer="l1")
    hidden = layers.Concatenate()([shared(a), shared(b)])
    one, two = layers.Dense(1, name="one")(hidden), layers.Dense(1, name="two")(hidden)
    model = keras.Model([a, b], [one, two])
    model.compile("rmsprop", ["mse", "mae"], loss_weights=[1.0, 0.3], metrics=[["mae"], ["mse"]])
    return model


def scheduled():
    return keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(0.01, 20), weight_decay=0.1, clipvalue=0.5
    )


CASES = {
    "dropout and noise": (
        chain(
            (5,),
            lambda: layers.GaussianNoise(0.1),
            lambda: layers.Dropout(0.4),
            optimizer="adam",
            metrics=["mae"],
        ),
        ROWS,
        Y,
    ),
    "schedule and weight decay": (chain((5,), lambda: layers.Dense(4), optimizer=scheduled), ROWS, Y),
    "convolution": (
        chain(
            (8, 8, 2),
            lambda: layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization,
            layers.ReLU,
            layers.MaxPooling2D,
            layers.Flatten,
        ),
        IMAGES,
        Y,
    ),
    "convolution over time": (
        chain((6, 3), lambda: layers.Conv1D(4, 3), layers.GlobalAveragePooling1D, layers.LayerNormalization),
        SERIES,
        Y,
    ),
    "lstm": (chain((6, 3), lambda: layers.LSTM(4, dropout=0.2, activation="relu")), SERIES, Y),
    "gru both ways": (chain((6, 3), lambda: layers.Bidirectional(layers.GRU(4))), SERIES, Y),
    "attention over words": (attention, WORDS, Y),
    "two inputs and outputs": (two_by_two, [ROWS, ROWS[::-1].copy()], [Y, -Y]),
    "classes": (
        chain(
            (5,),
            lambda: layers.Dense(8, activation="relu"),
            loss=lambda *a: keras.losses.sparse_categorical_crossentropy(*a, from_logits=True),
            metrics=["accuracy"],
            head=3,
        ),
        ROWS,
        CLASSES,
    ),
}


def plan_of(x, y, **options):
    cut = lambda data: [one[:10] for one in data] if isinstance(data, list) else data[:10]  # noqa: E731
    return Training((x, y), (cut(x), cut(y)), **{"epochs": 2, "batch_size": 16, "seeds": 4, **options})


def assert_close(runs, build, plan, source_of):
    for run in runs:
        fresh = train_fresh(source_of(build), plan, run.seed)
        assert run.metrics == pytest.approx(fresh.metrics, rel=1e-4)
        assert run.constant == fresh.constant


@pytest.mark.parametrize("case", CASES)
def test_each_seed_is_what_fit_gives(case, source_of):
    build, x, y = CASES[case]
    plan = plan_of(x, y)
    engine = VectorizedEngine(source_of(build), plan, "reference")
    runs = list(engine.train(plan.seed_values))
    assert engine.reason == "all seeds in one program; the first 3 losses of seed 0 agree with fit to 0.0001"
    assert [(run.seed, run.engine) for run in runs] == [(seed, "vectorized") for seed in range(4)]
    assert_close(runs[2:3], build, plan, source_of)


@pytest.mark.parametrize("case", ["dropout and noise", "two inputs and outputs"])
def test_shuffling_takes_the_order_of_fit(case, source_of):
    build, x, y = CASES[case]
    plan = plan_of(x, y, shuffle=True)
    engine = VectorizedEngine(source_of(build), plan, "reference")
    runs = list(engine.train(plan.seed_values))
    assert engine.reason.startswith("all seeds in one program")
    assert_close(runs[2:3], build, plan, source_of)


def test_sample_weights(source_of):
    build, x, y = CASES["schedule and weight decay"]
    weights = np.linspace(0, 3, 40).astype("float32")
    plan = Training((x, y, weights), (x, y, weights), seeds=4, batch_size=16)
    engine = VectorizedEngine(source_of(build), plan, "reference")
    runs = list(engine.train(plan.seed_values))
    assert engine.reason.startswith("all seeds in one program")
    assert_close(runs[1:2], build, plan, source_of)


def test_replicas_keep_to_the_memory_set_aside(source_of):
    build, x, y = CASES["schedule and weight decay"]
    plan = plan_of(x, y, seeds=5)
    one = BUDGET // most_replicas(build(), plan.batch_size)
    engine = VectorizedEngine(source_of(build), plan, "reference", memory=int(3.5 * one))
    runs = list(engine.train(plan.seed_values))
    assert engine._stacked.replicas == 3
    assert_close(runs[4:], build, plan, source_of)


def test_a_second_portion_takes_the_same_program(source_of):
    build, x, y = CASES["schedule and weight decay"]
    plan = plan_of(x, y, seeds=9)
    engine = VectorizedEngine(source_of(build), plan, "reference")
    first = list(engine.train(plan.seed_values[:4]))
    program = engine._stacked
    second = list(engine.train(plan.seed_values[4:6]))
    assert engine._stacked is program
    assert_close([first[-1], second[-1]], build, plan, source_of)
    assert len(list(engine.train(plan.seed_values[6:]))) == 3


class Own(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def own_step():
    x = keras.Input((5,))
    model = Own(x, layers.Dense(1)(x))
    model.compile("sgd", "mse")
    return model


def undecayed_bias():
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


UNSUPPORTED = {
    "excludes variables from weight decay": chain((5,), optimizer=undecayed_bias),
    "the optimizer Lamb does not work element by element": chain((5,), optimizer=keras.optimizers.Lamb),
    "the optimizer uses clipnorm": chain((5,), optimizer=lambda: keras.optimizers.SGD(clipnorm=1.0)),
    "the optimizer uses use_ema": chain((5,), optimizer=lambda: keras.optimizers.SGD(use_ema=True)),
    "has a constraint": chain((5,), lambda: layers.Dense(3, kernel_constraint="max_norm")),
    "the model has its own train_step": own_step,
    "the model runs eagerly": chain((5,), run_eagerly=True),
    "a dtype policy other than float32": chain((5,), lambda: layers.Dense(3, dtype="float64")),
    "several steps per execution": chain((5,), steps_per_execution=2),
    "XLA": chain((5,), jit_compile=True),
}


@pytest.mark.parametrize("reason", UNSUPPORTED)
def test_what_is_not_supported_goes_to_fit_with_the_reason(reason, source_of):
    plan = plan_of(ROWS, Y, engine="vectorized", epochs=1)
    engine = VectorizedEngine(source_of(UNSUPPORTED[reason]), plan, "reference")
    [run] = engine.train([2])
    assert run.engine == "fit"
    assert run.metrics == train_fresh(source_of(UNSUPPORTED[reason]), plan, 2).metrics
    assert reason in engine.reason
    assert engine.reason.startswith("fit and not vectorized, since ")


class Batchwise(layers.Layer):
    """Looks at the rank of its input: under vectorization too, but counts what is traced."""

    def __init__(self):
        super().__init__()
        self.traced = 0

    def call(self, x):
        self.traced += 1
        return x * (1.0 + self.traced)


def test_another_loss_than_fit_gives_is_caught(source_of):
    plan = plan_of(ROWS, Y)
    engine = VectorizedEngine(source_of(chain((5,), Batchwise)), plan, "reference")
    [run] = engine.train([0])
    assert run.engine == "fit"
    assert "another loss than fit at step 1 of seed 0" in engine.reason


def test_nan_in_one_seed_stays_there(source_of):
    def build():
        model = chain((5,), lambda: layers.Dense(2))()
        if random.random() < 0.4:
            model.set_weights([weight * np.nan for weight in model.get_weights()])
        return model

    plan = plan_of(ROWS, Y, seeds=6)
    engine = VectorizedEngine(source_of(build), plan, "reference")
    failed = [run.failure is not None for run in engine.train(plan.seed_values)]
    by_fit = FitEngine(source_of(build), plan, "reference").train(plan.seed_values)
    assert failed == [run.failure is not None for run in by_fit]
    assert set(failed) == {True, False}
    assert engine.reason.startswith("all seeds in one program")


def test_auto_takes_one_program_and_fit_is_taken_at_its_word(source_of):
    build, x, y = CASES["schedule and weight decay"]
    [run, *_] = make_arm(source_of(build), plan_of(x, y), "reference").train([0, 1])
    assert run.engine == "vectorized"
    [run, *_] = make_arm(source_of(build), plan_of(x, y, engine="fit"), "reference").train([0, 1])
    assert run.engine == "fit"


def test_twins_of_one_plan_share_one_copy_of_the_training_data(mlp, data, source_of):
    plan = Training(*data, seeds=3)
    first, second = (VectorizedEngine(source_of(mlp), plan, "reference") for _ in range(2))
    for engine in (first, second):
        list(engine.train(plan.seed_values))
    assert first._stacked._tensors is second._stacked._tensors


def test_an_epoch_in_portions_trains_the_same_bits(mlp, data, source_of, monkeypatch):
    plan = Training(*data, seeds=3, batch_size=4, epochs=2)
    whole = list(VectorizedEngine(source_of(mlp), plan, "reference").train(plan.seed_values))
    monkeypatch.setattr(vectorized, "SECONDS_OF_A_PORTION", 0.0)
    engine = VectorizedEngine(source_of(mlp), plan, "reference")
    engine._portion = 1
    runs = list(engine.train(plan.seed_values))
    assert engine._portion == 1
    assert [run.metrics for run in runs] == [run.metrics for run in whole]


def test_runs_know_where_they_started(mlp, data, source_of):
    plan = Training(*data, seeds=3)
    runs = list(VectorizedEngine(source_of(mlp), plan, "reference").train(plan.seed_values))
    by_fit = FitEngine(source_of(mlp), plan, "reference").train(plan.seed_values)
    assert [run.start for run in runs] == [run.start for run in by_fit]
    assert len({run.start for run in runs}) == 3
