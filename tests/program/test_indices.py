"""Axes and slices that are said otherwise are the same program; others are not."""

import keras
import pytest
from keras import layers, ops

from pytest_kerasequiv.program import match_programs, trace


def net(body, shape=(4, 6)):
    inputs = keras.Input(shape)
    return trace(keras.Model(inputs, body(layers.Dense(6)(inputs))))


def proved(one, other, shape=(4, 6)):
    return match_programs(net(one, shape), net(other, shape)).proved


ALIKE = {
    "sum": (lambda x: ops.sum(x, -1), lambda x: ops.sum(x, 2)),
    "axes in another order": (lambda x: ops.sum(x, (1, 2)), lambda x: ops.sum(x, (-1, 1))),
    "concatenate": (lambda x: ops.concatenate([x, x], -1), lambda x: ops.concatenate([x, x], 2)),
    "last": (lambda x: x[:, -1], lambda x: x[:, 3]),
    "whole": (lambda x: x[:, :, :6], lambda x: x[:, 0:]),
    "ellipsis": (lambda x: x[..., 1:3], lambda x: x[:, :, 1:3]),
    "from the end": (lambda x: x[:, 1:-1], lambda x: x[:, 1:3]),
    "beyond the end": (lambda x: x[:, 2:99], lambda x: x[:, 2:4]),
    "every second": (lambda x: x[:, ::2], lambda x: x[:, 0:3:2]),
    "backwards": (lambda x: x[:, ::-1], lambda x: x[:, 3::-1]),
    "cropping": (layers.Cropping1D((1, 1)), lambda x: x[:, 1:-1]),
    "cumsum": (lambda x: ops.cumsum(x, -1), lambda x: ops.cumsum(x, 2)),
    "take": (lambda x: ops.take(x, -1, axis=1), lambda x: ops.take(x, 3, axis=1)),
    "take several": (lambda x: ops.take(x, [0, -1], axis=2), lambda x: ops.take(x, [0, 5], axis=2)),
}


@pytest.mark.parametrize("name", ALIKE)
def test_indices_said_otherwise(name):
    assert proved(*ALIKE[name])


OTHER = {
    "sum": (lambda x: ops.sum(x, -1), lambda x: ops.sum(x, 1)),
    "concatenate": (lambda x: ops.concatenate([x, x], -1), lambda x: ops.concatenate([x, x], 1)),
    "last": (lambda x: x[:, -1], lambda x: x[:, -2]),
    "one more": (lambda x: x[:, 1:3], lambda x: x[:, 1:4]),
    "backwards": (lambda x: x[:, ::-1], lambda x: x[:, ::1]),
    "one backwards": (lambda x: x[:, 2::-1], lambda x: x[:, 3::-1]),
    "kept": (lambda x: x[:, 0], lambda x: x[:, 0:1]),
    "nothing": (lambda x: x[:, 4:], lambda x: x[:, 0:]),
}


@pytest.mark.parametrize("name", OTHER)
def test_other_indices(name):
    assert not proved(*OTHER[name])


@pytest.mark.parametrize(
    ("one", "other"),
    [(slice(None, 40), slice(None, 512)), (slice(-1, None), slice(0, None)), (slice(1, -1), slice(1, 3))],
)
def test_on_a_free_axis_only_what_is_the_same_for_every_size_is(one, other):
    free = (None, 6)
    assert not proved(lambda x: ops.sum(x[:, one], 1), lambda x: ops.sum(x[:, other], 1), free)
    assert proved(lambda x: x[:, one, 2:4], lambda x: x[:, one, -4:-2], free)
