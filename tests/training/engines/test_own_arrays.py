"""An own loop that changes the arrays it trains on is refused; one that only keeps a log is not."""

import contextlib
import functools

import numpy as np
import pytest

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.engines.fit import FitEngine
from pytest_kerasequiv.training.engines.own_arrays import OwnArrays
from pytest_kerasequiv.training.plan import Training

GLOBAL = np.arange(3.0)


def trained(fit, mlp, source_of):
    return list(FitEngine(source_of(mlp), Training(fit=fit), "reference").train([0, 1]))


def test_a_fit_that_changes_its_data_is_refused(mlp, source_of):
    x = np.ones((8, 4), "float32")

    def fit(model, seed):
        nonlocal x
        x *= 2
        return {"mean": float(x.mean())}

    with pytest.raises(InputError, match=r"fit changes the array 'x' in place.*under seed 0.*on a copy"):
        trained(fit, mlp, source_of)


def test_one_that_keeps_a_log_or_centres_them_once_is_not(mlp, source_of):
    log, x = np.zeros(20), np.arange(8.0)

    def fit(model, seed):
        x[:] = x - x.mean()
        log[seed] = x.std()
        return {"std": float(x.std()), "seed": seed}

    assert [run.metrics["seed"] for run in trained(fit, mlp, source_of)] == [0, 1]


def test_a_fit_that_changes_nothing_is_called_once_a_seed(mlp, source_of):
    calls = []

    def fit(model, seed):
        calls.append(seed)
        return {"sum": float(GLOBAL.sum())}

    trained(fit, mlp, source_of)
    assert calls == [0, 1]


class Loop:
    def __init__(self):
        self.data = {"x": np.zeros(3)}

    def __call__(self, model, seed):
        self.data["x"] += 1
        return {}

    def method(self, model, seed):
        return self(model, seed)


def of_default(model, seed, x=np.zeros(3)):  # noqa: B008
    x += 1


def of_global(model, seed):
    return [inner for inner in [0] if GLOBAL.__iadd__(1) is not None]


def of_keyword(model, seed, *, pairs):
    pairs[0][1][::2] += 1


def of_closure():
    x, unset = np.zeros((4, 4))[:, ::2], None
    del unset

    def fit(model, seed):
        x[0, 0] = np.nan
        return unset  # noqa: F821

    return fit


LOOPS = {
    "an object": (Loop(), "self.data['x']"),
    "a method": (Loop().method, "self.data['x']"),
    "a default": (of_default, "x"),
    "a global": (of_global, "GLOBAL"),
    "a partial": (functools.partial(of_keyword, pairs=[(0, np.zeros(4))]), "pairs[0][1]"),
    "a closure": (of_closure(), "x"),
}


@pytest.mark.parametrize("kind", LOOPS)
def test_wherever_the_array_is(kind):
    loop, name = LOOPS[kind]
    arrays = OwnArrays(loop)
    assert arrays.changed() == []
    with contextlib.suppress(NameError):
        loop(None, 0)
    assert arrays.changed() == [name]
