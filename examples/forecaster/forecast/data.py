"""Daily highest and lowest temperature of Seattle, as windows of 60 days and the day that follows."""

from pathlib import Path

import numpy as np

from forecast.models import STEPS

PATH = Path(__file__).with_name("seattle-weather.csv")
FIRST_TEST_YEAR = 2015


def load():
    """Return ``((x_train, y_train), (x_test, y_test))``, split by time.

    ``x`` has shape ``(days, 60, 2)``, ``y`` has shape ``(days, 1, 2)``, both float32 and scaled so that the
    training years lie in [0, 1]. The forecast days of 2015 are the test, all before are for training; nothing
    is shuffled or augmented.
    """
    years, degrees = read()
    past = degrees[years < FIRST_TEST_YEAR]
    series = (degrees - past.min(axis=0)) / (past.max(axis=0) - past.min(axis=0))
    windows = np.lib.stride_tricks.sliding_window_view(series, STEPS, axis=0)[:-1]
    x, y, year = windows.swapaxes(1, 2).copy(), series[STEPS:, None, :], years[STEPS:]
    train, test = year < FIRST_TEST_YEAR, year >= FIRST_TEST_YEAR
    return (x[train], y[train]), (x[test], y[test])


def read():
    """Return the year of each day and its (highest, lowest) temperature, shape ``(1461, 2)``."""
    table = np.genfromtxt(PATH, delimiter=",", skip_header=1, dtype=None, encoding="utf-8")
    years = np.array([int(row[0][:4]) for row in table])
    return years, np.array([[row[1], row[2]] for row in table], "float32")
