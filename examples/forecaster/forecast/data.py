"""Daily highest and lowest temperature of Seattle, as windows of 60 days and the day that follows."""

from pathlib import Path

import numpy as np

from forecast.models import STEPS

PATH = Path(__file__).with_name("seattle-weather.csv")
FIRST_TEST_YEAR = 2015


def load():
    """Return ``((x_train, y_train), (x_test, y_test))``, split by time.

    ``x`` has shape ``(days, 60, 2)`` and is standardised with the mean and deviation of the training years,
    ``y`` has shape ``(days, 1, 2)``, in degrees Celsius; both are float32. The forecast days of 2015 are the
    test, all before are for training; nothing is shuffled or augmented.
    """
    years, series = read()
    past = series[years < FIRST_TEST_YEAR]
    scaled = (series - past.mean(axis=0)) / past.std(axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(scaled, STEPS, axis=0)[:-1]
    x, y, year = windows.swapaxes(1, 2).copy(), series[STEPS:, None, :], years[STEPS:]
    train, test = year < FIRST_TEST_YEAR, year >= FIRST_TEST_YEAR
    return (x[train], y[train]), (x[test], y[test])


def read():
    """Return the year of each day and its (highest, lowest) temperature, shape ``(1461, 2)``."""
    table = np.genfromtxt(PATH, delimiter=",", skip_header=1, dtype=None, encoding="utf-8")
    years = np.array([int(row[0][:4]) for row in table])
    return years, np.array([[row[1], row[2]] for row in table], "float32")
