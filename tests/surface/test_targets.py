"""Targets: of the kind that each output's loss takes."""

import keras
import numpy as np
import pytest

from pytest_kerasequiv.surface.targets import Hints, targets_for

SHAPE = (50, 3, 4)


def target(loss, shape=SHAPE):
    (drawn,) = targets_for([shape], ["out"], loss, 0)
    return drawn


def is_one_hot(drawn):
    flat = drawn.reshape(-1, drawn.shape[-1])
    return set(np.unique(drawn)) == {0, 1} and (flat.sum(-1) == 1).all() and flat.any(0).all()


@pytest.mark.parametrize(
    ("loss", "fits"),
    [
        (
            "sparse_categorical_crossentropy",
            lambda t: set(np.unique(t)) == {0, 1, 2, 3} and t.dtype == np.int32,
        ),
        ("categorical_crossentropy", is_one_hot),
        ("categorical_hinge", is_one_hot),
        ("kl_divergence", lambda t: np.allclose(t.sum(-1), 1) and len(np.unique(t)) > 100),
        ("binary_crossentropy", lambda t: set(np.unique(t)) == {0, 1} and not is_one_hot(t)),
        ("dice", lambda t: set(np.unique(t)) == {0, 1} and not is_one_hot(t)),
        ("tversky", lambda t: set(np.unique(t)) == {0, 1}),
        ("squared_hinge", lambda t: set(np.unique(t)) == {-1, 1}),
        ("poisson", lambda t: set(np.unique(t)) == {0, 1, 2, 3, 4}),
        ("mean_squared_logarithmic_error", lambda t: set(np.unique(t)) == {0, 1, 2, 3, 4}),
        ("mse", lambda t: t.min() < -1 and t.max() > 1 and abs(t.mean()) < 0.3),
        (None, lambda t: t.min() < -1 and t.max() > 1),
    ],
)
def test_each_loss_gets_targets_that_it_takes(loss, fits):
    drawn = target(loss)
    assert fits(drawn)
    assert drawn.dtype == ("int32" if "sparse" in str(loss) else "float32")
    assert drawn.shape == (SHAPE[:-1] if "sparse" in str(loss) else SHAPE)


@pytest.mark.parametrize("loss", [keras.losses.CTC(), "ctc"])
def test_ctc_gets_labels_of_fewer_steps(loss):
    drawn = target(loss, (50, 6, 4))
    assert (drawn.shape, drawn.dtype) == ((50, 6), np.int32)
    assert set(np.unique(drawn[:, :3])) == {1, 2, 3}
    assert not drawn[:, 3:].any()


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.CategoricalCrossentropy(),
        keras.losses.categorical_crossentropy,
        keras.losses.get("categorical_crossentropy"),
    ],
)
def test_a_loss_is_known_by_its_function(loss):
    assert is_one_hot(target(loss))


def test_each_output_has_the_target_of_its_own_loss():
    names, shapes = ["a", "b"], [SHAPE, SHAPE]
    for losses in ({"b": "categorical_crossentropy"}, ["mse", "categorical_crossentropy"]):
        first, second = targets_for(shapes, names, losses, 0)
        assert not is_one_hot(first)
        assert is_one_hot(second)
    assert not any(map(is_one_hot, targets_for(shapes, names, ["categorical_crossentropy"], 0)))
    assert all(map(is_one_hot, targets_for(shapes, names, "categorical_crossentropy", 0)))


def test_equal_seeds_give_equal_targets_and_others_others():
    assert np.array_equal(target("mse"), target("mse"))
    (other,) = targets_for([SHAPE], ["out"], "mse", 1)
    assert not np.array_equal(target("mse"), other)


def test_the_other_loss_counts_where_the_name_of_the_own_one_tells_nothing():
    def own(y, p):
        return p

    def drawn(loss, **hints):
        return targets_for([SHAPE], ["out"], loss, 0, Hints(**hints))[0]

    assert is_one_hot(drawn(own, other="categorical_crossentropy"))
    assert drawn(own, other="sparse_categorical_crossentropy").dtype == np.int32
    assert set(np.unique(drawn("squared_hinge", other="categorical_crossentropy"))) == {-1, 1}
    assert is_one_hot(drawn(own, shares=True))
    assert not is_one_hot(drawn(own, other="mse"))
