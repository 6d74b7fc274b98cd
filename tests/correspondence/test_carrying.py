"""How values are carried between variables of other shapes."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_kerasequiv.correspondence.carrying import carries


@pytest.mark.parametrize(
    ("shape", "other", "kinds"),
    [
        ((4, 3), (4, 3), ["same"]),
        ((4, 4), (4, 4), ["same", "transposed"]),
        ((4, 3), (1, 4, 3), ["ones"]),
        ((4, 3), (4, 1, 3), ["ones"]),
        ((4, 1), (1, 4), ["ones"]),
        ((), (1,), ["ones"]),
        ((6, 2, 4), (6, 8), ["merged"]),
        ((8, 6), (2, 4, 6), ["merged"]),
        ((4, 3), (3, 4), ["transposed", "reshaped"]),
        ((2, 6), (4, 3), ["reshaped"]),
        ((4, 3), (4, 4), []),
    ],
)
def test_which_ways_lead_from_shape_to_shape(
    shape: tuple[int, ...], other: tuple[int, ...], kinds: list[str]
) -> None:
    assert [way.kind for way in carries(shape, other)] == kinds


@pytest.mark.parametrize(("shape", "other"), [((4, 3), (3, 4)), ((2, 3, 4), (4, 1, 2, 3)), ((4, 4), (4, 4))])
def test_a_gradient_comes_back_as_the_value_went(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    value = np.arange(np.prod(shape)).reshape(shape)
    for way in carries(shape, other):
        assert way(value).shape == other
        np.testing.assert_array_equal(way.back(way(value), shape), value)


def test_a_transposed_value_is_transposed() -> None:
    (first, _) = carries((2, 3), (3, 2))
    value = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(first(value), value.T)
