"""The user's arrays: what is taken, and what is refused with its place and a remedy."""

import numpy as np
import pytest

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.data import split

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


def test_what_is_taken(tmp_path):
    for kind, x in taken(tmp_path).items():
        assert split("train", (x, Y)).samples == 4, kind
