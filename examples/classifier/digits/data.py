"""The 1797 handwritten digits, 8 x 8 pixels, that scikit-learn brings along."""

import numpy as np
from sklearn.datasets import load_digits

TEST_FROM = 1400


def load():
    """Return ``((x_train, y_train), (x_test, y_test))``: images ``(n, 8, 8, 1)`` in [0, 1], and labels."""
    digits = load_digits()
    x = (digits.images[..., None] / 16).astype("float32")
    y = digits.target.astype(np.int32)
    return (x[:TEST_FROM], y[:TEST_FROM]), (x[TEST_FROM:], y[TEST_FROM:])
