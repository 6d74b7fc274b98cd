"""The user's arrays: what is taken, and what is refused with its place and a remedy."""

import keras
import numpy as np
import pytest

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.data import split
from pytest_kerasequiv.training.engines.choice import make_arm
from pytest_kerasequiv.training.plan import Training

Y = np.zeros((4, 1), "float32")
X = np.arange(8, dtype="float32").reshape(4, 2)
FIELDS = np.zeros(4, dtype=[("a", "f4"), ("b", "f4")])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ma.masked_greater(X, 5), "train x is a masked array, whose mask Keras would not see; drop"),
        (
            np.array([{}, [], 1, 2], dtype=object),
            r"an array of dtype object and shape \(4,\), not an array of",
        ),
        (X.astype("complex64"), r"an array of dtype complex64 and shape \(4, 2\), not an array of numbers"),
        (X.astype("datetime64[s]"), r"an array of dtype datetime64.* not an array of numbers"),
        (FIELDS, r"an array of dtype .* and shape \(4,\), not an array of numbers"),
        (np.float32(3), "not an array of numbers with one row a sample"),
        (np.full((4, 2), np.nan), "NaN or infinite numbers in 4 of 4 rows, first in row 0"),
        (np.where(X == 5, np.inf, X), "in 1 of 4 rows, first in row 2"),
    ],
)
def test_what_is_refused(x, message):
    with pytest.raises(InputError, match=message):
        split("train", (x, Y))


def taken(tmp_path):
    np.save(tmp_path / "x.npy", X)
    read_only = X.copy()
    read_only.flags.writeable = False
    return {
        "not contiguous": np.asfortranarray(X),
        "a view": np.repeat(X, 2, axis=1)[:, ::2],
        "read-only": read_only,
        "memory-mapped": np.load(tmp_path / "x.npy", mmap_mode="r"),
        "float16": X.astype("float16"),
        "bool": X > 3,
        "constant": np.ones_like(X),
        "masked nowhere": np.ma.masked_array(X),
    }


KINDS = (
    "not contiguous",
    "a view",
    "read-only",
    "memory-mapped",
    "float16",
    "bool",
    "constant",
    "masked nowhere",
)


def build():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


@pytest.fixture(scope="module")
def trained(source_of):
    """Train on inputs whose first column is the target."""

    def train(x, engine):
        data = x, x[:, :1]
        plan = Training(data, data, seeds=3, engine=engine, batch_size=2)
        return list(make_arm(source_of(build), plan, "reference").train([0, 1]))

    return train


@pytest.fixture(scope="module")
def as_numbers(trained):
    """Train on plain arrays, on each content once."""
    known = {}

    def train(x, engine):
        plain = np.array(x, "float32")
        key = plain.tobytes(), engine
        if key not in known:
            known[key] = trained(plain, engine)
        return known[key]

    return train


@pytest.mark.parametrize("engine", ["fit", "vectorized"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_taken_trains_as_its_numbers_do(kind, engine, tmp_path, trained, as_numbers):
    x = taken(tmp_path)[kind]
    first, second = trained(x, engine), as_numbers(x, engine)
    assert [run.metrics for run in first] == [run.metrics for run in second]
    assert [(run.engine, run.failure) for run in first] == [(engine, None)] * 2
