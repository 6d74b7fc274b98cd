"""Data in batches: what is taken, what is refused with its reason, and that both arms get the same."""

import random
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.data import split
from pytest_kerasequiv.training.engines.choice import make_arm
from pytest_kerasequiv.training.engines.fit import train_fresh
from pytest_kerasequiv.training.feeds import content_digest, data_of, drawn_under, kind_of
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.setup import check_data

ROWS = 40
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
SET = tf.data.Dataset.from_tensor_slices((X, Y))
CUT = {"epochs": 2, "batch_size": 16}


class Batches(keras.utils.PyDataset):
    """Batches of 16 rows; draws noise, or another order after each epoch, from NumPy's global generator."""

    def __init__(self, noise=False, reorders=False, **options):
        super().__init__(**options)
        self.noise, self.reorders, self.order = noise, reorders, np.arange(ROWS)

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = self.order[16 * index : 16 * (index + 1)]
        noise = np.random.normal(size=(len(rows), 4)) if self.noise else 0.0  # noqa: NPY002
        return (X[rows] + noise).astype("float32"), Y[rows]

    def on_epoch_end(self):
        if self.reorders:
            np.random.shuffle(self.order)  # noqa: NPY002


class OldStyle:
    """Batches by number, as lists, of a class that Keras does not know."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return [X[16 * index : 16 * (index + 1)], Y[16 * index : 16 * (index + 1)]]


class Loader:
    """Looks like a DataLoader, without torch."""

    batch_sampler = None

    def __len__(self):
        return 3

    def __iter__(self):
        return iter(SET.batch(16).as_numpy_iterator())


Loader.__module__ = "torch.utils.data.dataloader"


def generated():
    yield from SET.batch(16).as_numpy_iterator()


def endless():
    while True:
        yield from generated()


TAKEN = {
    "dataset": SET.batch(16),
    "endless dataset": SET.batch(16).repeat(),
    "PyDataset": Batches(),
    "batches by number": OldStyle(),
    "loader": Loader(),
    "generator": generated,
    "endless generator": endless,
    "arrays": lambda: (X, Y),
}


@pytest.fixture(scope="module")
def from_arrays(mlp, source_of):
    return train_fresh(source_of(mlp), Training((X, Y), (X, Y), **CUT), 3)


@pytest.mark.parametrize("kind", TAKEN)
def test_each_kind_trains_as_the_same_arrays_do(kind, mlp, source_of, from_arrays):
    steps = 3 if "endless" in kind else None
    plan = Training(TAKEN[kind], (X, Y), steps_per_epoch=steps, **CUT)
    check_data(plan)
    run = train_fresh(source_of(mlp), plan, 3)
    assert run.failure is None
    assert run.metrics == pytest.approx(from_arrays.metrics, rel=1e-5)
    assert run.start == from_arrays.start


def test_data_to_test_on_may_come_in_batches_too(mlp, source_of, from_arrays):
    for test in (SET.batch(8), Batches(), lambda: SET.batch(16), generated):
        run = train_fresh(source_of(mlp), Training((X, Y), test, **CUT), 3)
        assert run.metrics == pytest.approx(from_arrays.metrics, rel=1e-5)


RNG = np.random.default_rng(0)
ONE_GENERATOR = generated()
REFUSED = {
    "a shuffle that begins anew": (
        SET.shuffle(ROWS).batch(16),
        r"train is a tf.data.Dataset whose batches come out otherwise the second time.*train=lambda: \.\.\., "
        r".*reshuffle_each_iteration=False",
    ),
    "one with a seed": (SET.shuffle(ROWS, seed=3).batch(16), "come out otherwise the second time"),
    "an order of its own": (
        Batches(reorders=True),
        r"train is a PyDataset .Batches. whose batches",
    ),
    "drawn by workers": (Batches(noise=True, workers=2), "several workers, so what a run gets is chance"),
    "a function that ignores the seed": (
        lambda: (X + RNG.normal(size=X.shape), Y),
        r"train is a function whose data come out otherwise.*train=lambda seed: \.\.\.",
    ),
    "a generator made outside": (
        lambda: ONE_GENERATOR,
        "train is a function that returns a generator anew that is exhausted",
    ),
    "no batch": (SET.take(0).batch(4), "train is a tf.data.Dataset that gives no batch"),
    "an error": (
        SET.map(lambda x, y: (tf.debugging.check_numerics(x / 0.0, "bad"), y)).batch(4),
        "train is a tf.data.Dataset that raised InvalidArgumentError: .*mend it there",
    ),
    "NaN": (SET.map(lambda x, y: (x / 0.0, y)).batch(4), "x of batch 1 of train holds NaN"),
    "four parts": (lambda: iter([(X, Y, Y, Y)]), "batches of 4 parts"),
    "a function of a function": (lambda: generated, "a function that returns a function"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_come_out_alike_is_refused(case):
    data, told = REFUSED[case]
    with pytest.raises(InputError, match=told):
        check_data(Training(data, (X, Y), epochs=2))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (generated(), r"train is a generator, which is exhausted after one pass.*train=lambda: \.\.\."),
        (SET.batch(4).as_numpy_iterator(), "which is exhausted after one pass"),
        (
            SET.batch(4).repeat(),
            r"train is endless \(a tf.data.Dataset without a length\); pass steps_per_epo",
        ),
        (3, "train is a int; pass train="),
        ({"x": X}, "train is a dict; pass train="),
    ],
)
def test_what_is_refused_at_once(data, told):
    with pytest.raises(InputError, match=told):
        Training(data, (X, Y))


def test_endless_data_of_a_function_are_refused(monkeypatch):
    monkeypatch.setattr("pytest_kerasequiv.training.feeds.MOST_BATCHES", 5)
    with pytest.raises(InputError, match="has not ended after 5 batches; pass steps_per_epoch="):
        check_data(Training(endless, (X, Y)))
    with pytest.raises(InputError, match="test has not ended after 5 batches; pass data that end"):
        check_data(Training((X, Y), endless))


@pytest.mark.parametrize(
    "data",
    [
        lambda: SET.shuffle(ROWS).batch(16),
        lambda: Batches(reorders=True),
        Batches(noise=True),
        lambda seed: (X + np.random.default_rng(seed).normal(size=X.shape).astype("float32"), Y),
    ],
    ids=["shuffled dataset", "reordering PyDataset", "noise", "seed"],
)
def test_arms_get_the_same_data_whatever_their_builders_draw(data, mlp, source_of):
    def draws_more():
        model = mlp()
        random.random(), np.random.random(), tf.random.uniform(())  # noqa: NPY002
        return model

    plan = Training(data, (X, Y), **CUT)
    check_data(plan)
    assert plan.train.content.follows_seed
    one, other, next_seed = (
        train_fresh(source_of(build), plan, seed) for build, seed in ((mlp, 3), (draws_more, 3), (mlp, 4))
    )
    assert one.start == other.start
    assert one.metrics == other.metrics != next_seed.metrics


def test_a_reused_model_gets_the_same_data_as_a_fresh_one(mlp, source_of):
    plan = Training(lambda: SET.shuffle(ROWS).batch(16), (X, Y), **CUT)
    runs = list(make_arm(source_of(mlp), plan, "reference").train([0, 1]))
    fresh = [train_fresh(source_of(mlp), plan, seed) for seed in (0, 1)]
    assert [run.metrics for run in runs] == [run.metrics for run in fresh]


def test_the_engine_and_why_are_said(mlp, source_of):
    arm = make_arm(source_of(mlp), Training(SET.batch(16), (X, Y), seeds=3), "reference")
    next(arm.train([0]))
    assert arm.reason.startswith("fit and not vectorized, since train is a tf.data.Dataset; one compiled mo")
    asked = make_arm(source_of(mlp), Training(SET.batch(16), (X, Y), engine="fit"), "reference")
    next(asked.train([0]))
    assert asked.reason.startswith("one compiled model")


def test_what_is_decided_by_the_data_is_not_used():
    plan = Training(SET.batch(16), (X, Y), batch_size=8, shuffle=True)
    assert plan.unused == {"batch_size": 8, "shuffle": True}
    assert Training(Batches(), (X, Y), batch_size=8, shuffle=True).unused == {"batch_size": 8}
    assert not Training(lambda: (X, Y), (X, Y), batch_size=8, shuffle=True).unused


def test_a_digest_tells_contents_apart():
    words = tf.data.Dataset.from_tensor_slices(["a", "bé"]).batch(2)
    ragged = tf.data.Dataset.from_tensors(tf.ragged.constant([[1, 2], [3]]))
    datas = [
        SET.batch(16),
        SET.batch(8),
        Batches(),
        SET.map(lambda x, y: (x, y + 1)).batch(16),
        words,
        ragged,
    ]
    digests = [content_digest(data_of("train", data)) for data in datas]
    assert digests[0] == content_digest(data_of("train", SET.batch(16)))
    assert digests[0] == digests[2]  # of the same batches; a key names the kind besides
    assert len(set(digests)) == len(digests) - 1


def test_sparse_batches_are_told_apart_by_their_numbers():
    def digest(rows, make=tf.sparse.from_dense):
        return content_digest(data_of("train", tf.data.Dataset.from_tensors((make(rows), Y))))

    other = X.copy()
    other[3, 1] += 1
    assert digest(X) == digest(X, tf.constant) != digest(other)


def test_the_callers_random_state_is_as_before():
    keras.utils.set_random_seed(7)
    expected = random.random(), np.random.random(), float(tf.random.uniform(()))  # noqa: NPY002
    keras.utils.set_random_seed(7)
    check_data(Training(Batches(noise=True), (X, Y)))
    assert (random.random(), np.random.random(), float(tf.random.uniform(()))) == expected  # noqa: NPY002


def test_torch_is_seeded_where_it_is_loaded_and_put_back(monkeypatch):
    calls: list[object] = []
    generator = types.SimpleNamespace(get_rng_state=lambda: "before", set_rng_state=calls.append)
    torch = types.SimpleNamespace(random=generator, manual_seed=calls.append)
    monkeypatch.setitem(sys.modules, "torch", torch)
    with drawn_under(3):
        assert calls == [3]
    assert calls == [3, "before"]


def test_torch_loaders(mlp, source_of):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rows = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))

    def loader(shuffle):
        return torch.utils.data.DataLoader(rows, batch_size=16, shuffle=shuffle)

    assert kind_of(loader(shuffle=False)) == "a torch DataLoader"
    plan, arrays = (Training(data, (X, Y), **CUT) for data in (loader(shuffle=False), (X, Y)))
    check_data(plan)
    found = [train_fresh(source_of(mlp), one, 3).metrics for one in (plan, arrays)]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    follows = Training(loader(shuffle=True), (X, Y), **CUT)
    check_data(follows)
    once, again = (train_fresh(source_of(mlp), follows, 3).metrics for _ in range(2))
    assert once == again


def test_frames_are_read_as_keras_reads_them():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    found = split("train", (frame, pandas.Series(Y[:, 0]), pandas.Series(np.arange(ROWS))))
    assert (found.x == X).all()
    assert found.y.shape == (ROWS, 1)
    assert found.sample_weight.shape == (ROWS,)
    with pytest.raises(InputError, match="train x is a DataFrame of pandas with columns that are no numbers"):
        split("train", (frame.assign(a="text"), Y))


def test_no_package_is_imported_for_arrays():
    assert kind_of(X) is None
    assert kind_of([1, 2]) is None
    assert kind_of(tf.constant(X)) is None
