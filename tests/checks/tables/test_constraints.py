"""Weight constraints are compared on values of every size, reached in training or not."""

import keras
import pytest
from keras import layers, ops

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.checks.tables.constraints import alike, constrained


class Bounded(keras.constraints.Constraint):
    """Keras's MaxNorm, written by hand."""

    def __init__(self, most):
        self.most = most

    def __call__(self, w):
        norms = ops.sqrt(ops.sum(ops.square(w), axis=0, keepdims=True))
        return w * (ops.clip(norms, 0, self.most) / (1e-7 + norms))

    def get_config(self):
        return {"most": self.most}


def dense(constraint=None):
    return lambda: keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, kernel_constraint=constraint), layers.Dense(1)]
    )


def convolved(constraint=None):
    x = keras.Input((8, 2))
    return lambda: keras.Model(x, layers.Dense(1)(layers.Conv1D(3, 3, kernel_constraint=constraint)(x)))


def effect(constraint, shape=(4, 3)):
    return constrained(keras.Variable(keras.ops.zeros(shape))), _effect(constraint, shape)


def _effect(constraint, shape):
    layer = layers.Dense(shape[1], kernel_constraint=constraint)
    layer.build((None, shape[0]))
    return constrained(layer.kernel)


@pytest.mark.parametrize(
    "constraint", ["max_norm", "non_neg", "unit_norm", keras.constraints.MaxNorm(500.0), Bounded(3)]
)
def test_a_constraint_is_not_none(constraint):
    without, having = effect(constraint)
    assert without is None
    assert not alike(None, having, ((4, 3), (4, 3)))
    assert alike(having, having, ((4, 3), (4, 3)))


@pytest.mark.parametrize("other", [Bounded(2), "max_norm"])
def test_constraints_of_one_effect_are_alike_whatever_their_class(other):
    assert alike(_effect(keras.constraints.MaxNorm(2), (4, 3)), _effect(other, (4, 3)), ((4, 3), (4, 3)))


def test_other_bounds_are_told_apart():
    one, other = (_effect(keras.constraints.MaxNorm(most), (4, 3)) for most in (2, 2.01))
    assert not alike(one, other, ((4, 3), (4, 3)))


def pointwise(most):
    x = keras.Input((5, 4))
    constraint = keras.constraints.MaxNorm(most, axis=[0, 1])
    return lambda: keras.Model(x, layers.Conv1D(3, 1, kernel_constraint=constraint)(x))


def per_step(most):
    x = keras.Input((5, 4))
    return lambda: keras.Model(x, layers.Dense(3, kernel_constraint=keras.constraints.MaxNorm(most))(x))


def test_the_bound_of_a_reshaped_weight_is_compared():
    assert compare(per_step(30), pointwise(40)).verdict is Verdict.DIFFERENT
    assert compare(per_step(30), pointwise(30)).verdict is not Verdict.DIFFERENT


@pytest.mark.parametrize(("most", "same"), [(2, True), (3, False)])
def test_the_bound_of_a_transposed_weight_is_compared(most, same):
    columns = _effect(keras.constraints.MaxNorm(2, axis=0), (4, 3))
    rows = _effect(keras.constraints.MaxNorm(most, axis=1), (3, 4))
    assert alike(columns, rows, ((4, 3), (3, 4)), transposed=True) == same


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (dense(), dense("max_norm")),
        (dense("max_norm"), dense()),
        (dense(keras.constraints.MaxNorm(40)), dense(keras.constraints.MaxNorm(50))),
        (convolved(), convolved("max_norm")),
        (dense(), dense(Bounded(30))),
    ],
)
def test_a_bound_that_no_weight_reaches_is_a_difference(reference, candidate):
    report = compare(reference, candidate)
    assert report.verdict is Verdict.DIFFERENT
    assert any(f.field == "constraint" for f in report["weights"].findings)


@pytest.mark.parametrize("other", ["max_norm", Bounded(2)])
def test_the_same_bound_is_none(other):
    report = compare(dense("max_norm"), dense(other))
    assert not any(f.field == "constraint" for f in report["weights"].findings)
    assert report.verdict is not Verdict.DIFFERENT
