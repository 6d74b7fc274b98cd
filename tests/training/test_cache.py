"""Finished runs by content: what hits, what misses, and files that other processes touch."""

import json
import threading

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import training
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.training import keys
from pytest_kerasequiv.training.cache import RunCache, as_cache
from pytest_kerasequiv.training.keys import RunKeys
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run
from pytest_kerasequiv.training.starts.drawing import Starts

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
DATA = ((X, Y), (X[:8], Y[:8]))
RUN = Run(3, {"mae": 0.25, "loss": float("nan")}, "loss is nan", True, 1.5, "vectorized")


def same(left, right):
    return left.to_dict() == right.to_dict() or repr(left) == repr(right)


def test_a_run_survives_the_session(tmp_path):
    RunCache(tmp_path).put("ab12", RUN)
    run, origin = RunCache(tmp_path).get("ab12")
    assert origin == "cache"
    assert same(run, RUN)


def test_within_a_session_runs_are_shared_in_memory():
    cache = RunCache()
    cache.put("ab12", RUN)
    assert cache.get("ab12") == (RUN, "shared")
    assert cache.get("ab13") is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("0.25", "0.52"),
        lambda text: text.replace('"format": 1', '"format": 0'),
        lambda text: "[1, 2]",
        lambda text: "null",
        lambda text: json.dumps({**json.loads(text), "key": "other"}),
    ],
)
def test_a_spoiled_entry_is_a_miss(tmp_path, spoil):
    RunCache(tmp_path).put("ab12", RUN)
    path = tmp_path / "ab" / "ab12.json"
    path.write_text(spoil(path.read_text()))
    assert RunCache(tmp_path).get("ab12") is None


def test_bytes_that_are_no_text_are_a_miss(tmp_path):
    RunCache(tmp_path).put("ab12", RUN)
    (tmp_path / "ab" / "ab12.json").write_bytes(b"\xff\xfe\x00")
    assert RunCache(tmp_path).get("ab12") is None


def test_many_writers_of_one_entry_leave_one_whole_file(tmp_path):
    def write(number):
        for _ in range(20):
            RunCache(tmp_path).put("ab12", Run(number, {"mae": float(number)}))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    seen = [RunCache(tmp_path).get("ab12") for _ in range(50)]
    for thread in threads:
        thread.join()
    assert all(hit is None or hit[0].metrics == {"mae": float(hit[0].seed)} for hit in seen)
    assert [path.name for path in (tmp_path / "ab").iterdir()] == ["ab12.json"]


def test_a_directory_that_cannot_be_written_to_loses_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    cache = RunCache(tmp_path / "file")
    cache.put("ab12", RUN)
    assert cache.get("ab12") == (RUN, "shared")


def test_a_path_is_a_cache(tmp_path):
    assert isinstance(as_cache(tmp_path), RunCache)
    cache = RunCache()
    assert as_cache(cache) is cache


def sequential(rate=0.2, optimizer="adam", metrics=("mae",), start="zeros", loss="mse", **options):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, activation="relu", bias_initializer=start),
            layers.Dropout(rate),
            layers.Dense(1),
        ]
    )
    model.compile(optimizer, loss, metrics=list(metrics), **options)
    return model


def functional():
    x = keras.Input((4,))
    hidden = layers.Dense(3)(x)
    hidden = layers.Dropout(0.2)(layers.ReLU()(hidden))
    model = keras.Model(x, layers.Dense(1)(hidden))
    model.compile("adam", "mse", metrics=["mae"])
    return model


def key_of(build, plan=None, seed=5):
    pair = Pair(Twins(build, functional))
    plan = plan if plan is not None else Training(*DATA)
    made = RunKeys(pair.reference, pair.reference_program, plan, Starts(pair.twins.reference_source, plan))
    return made.of(seed)


def test_the_same_run_has_the_same_key():
    assert key_of(sequential) == key_of(sequential) is not None


def test_twins_of_one_program_have_one_key():
    assert key_of(sequential) == key_of(functional)


def changed_row():
    x = X.copy()
    x[7, 2] += 1e-6
    return Training((x, Y), DATA[1])


MISSES = {
    "a weight": lambda: key_of(lambda: sequential(start=keras.initializers.Constant(1e-6))),
    "a constant": lambda: key_of(lambda: sequential(rate=0.3)),
    "the optimizer": lambda: key_of(lambda: sequential(optimizer="sgd")),
    "a setting of the optimizer": lambda: key_of(
        lambda: sequential(optimizer=keras.optimizers.Adam(epsilon=1e-6))
    ),
    "a metric": lambda: key_of(lambda: sequential(metrics=["mape"])),
    "the loss": lambda: key_of(lambda: sequential(loss="mae")),
    "a row of data": lambda: key_of(sequential, changed_row()),
    "a row of test data": lambda: key_of(sequential, Training(DATA[0], (X[:8], Y[:8] + 1))),
    "sample weights": lambda: key_of(sequential, Training((X, Y, np.ones(24)), DATA[1])),
    "the epochs": lambda: key_of(sequential, Training(*DATA, epochs=2)),
    "the batch size": lambda: key_of(sequential, Training(*DATA, batch_size=8)),
    "the order": lambda: key_of(sequential, Training(*DATA, shuffle=True)),
    "the engine": lambda: key_of(sequential, Training(*DATA, engine="fit")),
    "the seed": lambda: key_of(sequential, seed=6),
}


@pytest.mark.parametrize("what", MISSES)
def test_a_change_is_a_miss(what):
    assert MISSES[what]() not in (None, key_of(sequential))


def test_a_new_version_is_a_miss(monkeypatch):
    before = key_of(sequential)
    monkeypatch.setattr(keys.metadata, "version", lambda name: "99.0")
    assert key_of(sequential) not in (None, before)


def own_metric(y_true, y_pred):
    return y_pred


class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def own_step():
    x = keras.Input((4,))
    model = OwnStep(x, layers.Dense(1)(x))
    model.compile("sgd", "mse")
    return model


class OwnOptimizer(keras.optimizers.SGD):
    pass


def settings_by_seed():
    import random

    return sequential(rate=random.random())


@pytest.mark.parametrize(
    "build",
    [
        lambda: sequential(metrics=[own_metric]),
        lambda: sequential(optimizer=OwnOptimizer(0.1)),
        lambda: sequential(run_eagerly=True),
        own_step,
        settings_by_seed,
    ],
)
def test_no_key_where_it_would_not_be_sound(build):
    assert key_of(build) is None


def test_proved_twins_share_their_runs():
    result = training.run(Pair(Twins(sequential, functional)), training=Training(*DATA))
    assert result.figures["origin"] == {"reference": {"trained": 10}, "candidate": {"shared": 10}}
    assert result.figures["metrics"]["mae"]["difference"] == 0
    assert (
        "candidate: nothing had to be trained: runs of this session of the same program"
        in result.figures["reason"]
    )


def test_the_next_session_trains_nothing(tmp_path):
    first = training.run(Pair(Twins(sequential, functional)), training=Training(*DATA), cache=tmp_path)
    again = training.run(Pair(Twins(sequential, functional)), training=Training(*DATA), cache=tmp_path)
    assert again.figures["origin"]["reference"] == {"cache": 10}
    assert again.figures["metrics"] == first.figures["metrics"]
    assert "nothing had to be trained" in again.figures["reason"]


def test_what_was_trained_before_a_crash_is_kept(tmp_path):
    def progress(step):
        if step.done == 6:
            raise KeyboardInterrupt

    plan = Training(*DATA, engine="fit")
    with pytest.raises(KeyboardInterrupt):
        training.run(Pair(Twins(sequential, functional)), training=plan, cache=tmp_path, progress=progress)
    again = training.run(Pair(Twins(sequential, functional)), training=plan, cache=tmp_path)
    assert again.figures["origin"]["reference"] == {"cache": 3, "trained": 7}


def test_twins_that_are_not_proved_share_nothing():
    wider = lambda: sequential(rate=0.5)  # noqa: E731
    result = training.run(Pair(Twins(sequential, wider)), training=Training(*DATA, seeds=3))
    assert result.figures["origin"] == {"reference": {"trained": 3}, "candidate": {"trained": 3}}


def test_the_report_says_why_runs_are_not_kept():
    one, other = (lambda: sequential(metrics=[own_metric]) for _ in range(2))
    result = training.run(Pair(Twins(one, other)), training=Training(*DATA, seeds=2, epochs=1))
    assert (
        "runs are neither shared nor kept, since metrics own_metric is your own" in result.figures["reason"]
    )
