"""Finished runs by content: what hits, what misses, and files that other processes touch."""

import hashlib
import json
import os
import socket
import stat
import threading
import time
import tracemalloc
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import training
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.training import cache as cache_module
from pytest_kerasequiv.training import keys
from pytest_kerasequiv.training.cache import CachedArm, RunCache, as_cache
from pytest_kerasequiv.training.keys import RunKeys
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run
from pytest_kerasequiv.training.starts.drawing import Starts

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
DATA = ((X, Y), (X[:8], Y[:8]))
RUN = Run(3, {"mae": 0.25, "loss": float("nan")}, "loss is nan", True, 1.5, "vectorized", start="ab")


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
        lambda text: text.replace('"format": 2', '"format": 1'),
        lambda text: "[1, 2]",
        lambda text: "null",
        lambda text: "[" * 200_000,
        lambda text: text.replace(text[text.index('"run": ') :], '"run": null}'),
        lambda text: text.replace(text[text.index('"run": ') :], '"run": {"seed": 3}}'),
        lambda text: text.replace(text[text.index('"run": ') :], '"run": 7}'),
        lambda text: "1" * 5000,
        lambda text: json.dumps({**json.loads(text), "key": "other"}),
    ],
)
def test_a_spoiled_entry_is_a_miss(tmp_path, spoil):
    RunCache(tmp_path).put("ab12", RUN)
    path = tmp_path / "ab" / "ab12.json"
    path.write_text(spoil(path.read_text()))
    assert RunCache(tmp_path).get("ab12") is None


def test_an_entry_with_any_bit_flipped_is_a_miss(tmp_path):
    RunCache(tmp_path).put("ab12", RUN)
    path = tmp_path / "ab" / "ab12.json"
    whole = path.read_bytes()
    for place in range(0, 8 * len(whole), 29):  # every bit of a byte comes up
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert RunCache(tmp_path).get("ab12") is None, place


def test_bytes_that_are_no_text_are_a_miss(tmp_path):
    RunCache(tmp_path).put("ab12", RUN)
    (tmp_path / "ab" / "ab12.json").write_bytes(b"\xff\xfe\x00")
    assert RunCache(tmp_path).get("ab12") is None


def entry(run, key="ab12"):
    """The text of an entry that is whole but for what its run holds."""
    content = json.dumps(run)
    digest = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()
    return json.dumps({"format": cache_module.FORMAT, "key": key, "digest": digest, "run": content})


def test_an_entry_is_written_as_this_file_writes_it(tmp_path):
    RunCache(tmp_path).put("ab12", RUN)
    assert json.loads((tmp_path / "ab" / "ab12.json").read_text()) == json.loads(entry(RUN.to_dict()))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WHOLE = Run(3, {"mae": 0.25}).to_dict()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("runs")
    (made / "ab").mkdir()
    return made


@given(st.binary(max_size=400))
def test_any_bytes_are_a_miss(folder, content):
    (folder / "ab" / "ab12.json").write_bytes(content)
    assert RunCache(folder).get("ab12") is None


@given(anything | st.dictionaries(st.sampled_from([*WHOLE, "other"]), anything))
def test_any_content_under_a_right_digest_is_a_miss_or_a_run(folder, run):
    (folder / "ab" / "ab12.json").write_text(entry(run))
    assert RunCache(folder).get("ab12") is None


@given(st.sampled_from(sorted(WHOLE)), anything)
def test_a_field_of_another_type_is_a_miss(folder, name, value):
    (folder / "ab" / "ab12.json").write_text(entry(WHOLE | {name: value}))
    found = RunCache(folder).get("ab12")
    if found is None:
        return
    assert type(value) in {type(WHOLE[name]), str, int}
    assert Run.from_dict(found[0].to_dict()).to_dict().keys() == WHOLE.keys()


def test_metrics_that_are_no_numbers_are_a_miss(tmp_path):
    for metrics in ({"mae": "low"}, {"mae": None}, {"mae": [1.0]}, {"mae": True}, {"mae": 10**400}, ["mae"]):
        (tmp_path / "ab").mkdir(exist_ok=True)
        (tmp_path / "ab" / "ab12.json").write_text(entry(WHOLE | {"metrics": metrics}))
        assert RunCache(tmp_path).get("ab12") is None


KINDS = {
    "a folder": lambda path: path.mkdir(),
    "a fifo": os.mkfifo,
    "a link to an entry": lambda path: path.symlink_to(path.with_name("real")),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a broken link": lambda path: path.symlink_to(path.with_name("nowhere")),
    "a socket": lambda path: socket.socket(socket.AF_UNIX).bind(os.fspath(path)),
    "400 MB": lambda path: (path.touch(), os.truncate(path, 400_000_000)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_of_file_is_a_miss_at_once(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("ab") / "ab12.json"  # a short path: that of a socket is limited
    path.parent.mkdir()
    path.with_name("real").write_text(entry(WHOLE))
    KINDS[kind](path)
    started = time.monotonic()
    tracemalloc.start()
    assert RunCache(".").get("ab12") is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - started < 2
    assert peak < 5_000_000
    RunCache(".").put("ab12", RUN)
    assert path.with_name("real").read_text() == entry(WHOLE)


def test_nothing_is_written_through_a_link_to_another_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "ab").symlink_to(tmp_path / "elsewhere")
    cache = RunCache(tmp_path / "runs")
    cache.put("ab12", RUN)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert "is a link" in cache.why_unkept


def test_what_killed_sessions_left_half_written_is_removed(tmp_path):
    (tmp_path / "ab").mkdir()
    old, new = tmp_path / "ab" / ".old.part", tmp_path / "ab" / ".new.part"
    old.write_text("half")
    new.write_text("half")
    os.utime(old, (0, 0))
    RunCache(tmp_path).put("ab12", RUN)
    assert [old.exists(), new.exists()] == [False, True]


class Echo:
    """Trains in no time; its runs start where its test says."""

    reason = "echo"

    def __init__(self, start="of the key"):
        self.start = start
        self.trained = []

    def train(self, seeds):
        for seed in seeds:
            self.trained.append(seed)
            yield Run(seed, {"mae": float(seed)}, start=self.start)


class Keys:
    """One key a seed; a run fits it that started where it says."""

    why_none = None

    def of(self, seed):
        return f"ab{seed}"

    def fits(self, seed, start):
        return start == "of the key"


def test_an_entry_with_another_seed_is_a_miss(tmp_path):
    RunCache(tmp_path).put("ab4", Run(5, {"mae": 99.0}))
    [run] = CachedArm(Echo(), Keys(), RunCache(tmp_path)).train([4])
    assert run.metrics == {"mae": 4.0}


def test_a_run_that_started_elsewhere_is_not_kept(tmp_path):
    list(CachedArm(Echo("elsewhere"), Keys(), RunCache(tmp_path)).train([4]))
    assert RunCache(tmp_path).get("ab4") is None
    list(CachedArm(Echo(), Keys(), RunCache(tmp_path)).train([4]))
    assert RunCache(tmp_path).get("ab4")[0].metrics == {"mae": 4.0}


def test_the_next_session_says_how_many_runs_it_found(tmp_path):
    list(CachedArm(Echo(), Keys(), RunCache(tmp_path)).train([1, 2]))
    arm = CachedArm(Echo(), Keys(), RunCache(tmp_path))
    list(arm.train([1, 2, 3]))
    assert "2 runs of an earlier session were found" in arm.reason


def test_a_folder_that_takes_nothing_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    arm = CachedArm(Echo(), Keys(), RunCache(tmp_path / "file"))
    list(arm.train([1]))
    assert "not kept for the next session: [Errno" in arm.reason


def test_entries_are_written_under_the_users_umask(tmp_path):
    before = os.umask(0o027)
    try:
        RunCache(tmp_path).put("ab12", Run(1, {"mae": 1.0}))
    finally:
        os.umask(before)
    (entry,) = tmp_path.rglob("*.json")
    assert stat.S_IMODE(entry.stat().st_mode) == 0o640


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


def writes_and_reads(folder):
    """Keep and read runs as a session does; tell by the exit status whether one was read that nobody kept."""
    keys = [f"ab{number}" for number in range(20)]
    for seed, key in enumerate(keys):
        RunCache(folder).put(key, Run(seed, {"mae": float(seed)}))
    found = [RunCache(folder).get(key) for key in keys]
    return 0 if [hit and hit[0].seed for hit in found] == list(range(20)) else 1


def test_ten_rounds_of_two_processes_on_one_folder(tmp_path):
    for _ in range(10):
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                os._exit(writes_and_reads(tmp_path))
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert len(list(tmp_path.rglob("*.json"))) == 20
    assert list(tmp_path.rglob("*.part")) == []


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


def undecayed(*names):
    optimizer = keras.optimizers.AdamW(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=list(names))
    return optimizer


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


def test_weights_that_do_not_decay_are_in_the_key_by_their_place_not_by_their_name():
    excluded = [
        key_of(lambda n=names: sequential(optimizer=undecayed(*n))) for names in (("bias",), ("ias",), ())
    ]
    assert excluded[0] == excluded[1]
    assert excluded[0] != excluded[2]


def test_a_new_version_is_a_miss(monkeypatch):
    before = key_of(sequential)
    monkeypatch.setattr(keys.metadata, "version", lambda name: "99.0")
    assert key_of(sequential) not in (None, before)


@pytest.mark.parametrize("module", [keras, tf, np], ids=lambda module: module.__name__)
def test_so_is_one_of_what_is_imported_whatever_its_package_is_called(module, monkeypatch):
    """Of TensorFlow that may be tensorflow-cpu, tf-nightly or a vendor's."""

    def version(package):
        assert package == "pytest-kerasequiv"
        return "0.1.0"

    monkeypatch.setattr(keys.metadata, "version", version)
    before = key_of(sequential)
    monkeypatch.setattr(module, "__version__", f"{module.__version__}.post1")
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
    result = training.CHECK(Pair(Twins(sequential, functional)), training=Training(*DATA))
    assert result.figures["origin"] == {"reference": {"trained": 10}, "candidate": {"shared": 10}}
    assert result.figures["metrics"]["mae"]["difference"] == 0
    assert (
        "candidate: nothing had to be trained: runs of this session of the same program"
        in result.figures["reason"]
    )


def test_the_next_session_trains_nothing(tmp_path):
    first = training.CHECK(Pair(Twins(sequential, functional)), training=Training(*DATA), cache=tmp_path)
    again = training.CHECK(Pair(Twins(sequential, functional)), training=Training(*DATA), cache=tmp_path)
    assert again.figures["origin"]["reference"] == {"cache": 10}
    assert again.figures["metrics"] == first.figures["metrics"]
    assert "nothing had to be trained" in again.figures["reason"]


def test_what_was_trained_before_a_crash_is_kept(tmp_path):
    def progress(step):
        if step.done == 6:
            raise KeyboardInterrupt

    plan = Training(*DATA, engine="fit")
    with pytest.raises(KeyboardInterrupt):
        training.CHECK(Pair(Twins(sequential, functional)), training=plan, cache=tmp_path, progress=progress)
    again = training.CHECK(Pair(Twins(sequential, functional)), training=plan, cache=tmp_path)
    assert again.figures["origin"]["reference"] == {"cache": 3, "trained": 7}


def test_twins_that_are_not_proved_share_nothing():
    wider = lambda: sequential(rate=0.5)  # noqa: E731
    result = training.CHECK(Pair(Twins(sequential, wider)), training=Training(*DATA, seeds=3))
    assert result.figures["origin"] == {"reference": {"trained": 3}, "candidate": {"trained": 3}}


def test_the_report_says_why_runs_are_not_kept():
    one, other = (lambda: sequential(metrics=[own_metric]) for _ in range(2))
    result = training.CHECK(Pair(Twins(one, other)), training=Training(*DATA, seeds=2, epochs=1))
    assert (
        "runs are neither shared nor kept, since metrics own_metric is your own" in result.figures["reason"]
    )
