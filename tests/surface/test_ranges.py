"""Which integers a model takes, found out by trying."""

import numpy as np
import pytest

from pytest_kerasequiv.surface.ranges import WIDE, bounds, drawn_integers, highest_taken


@pytest.mark.parametrize(
    ("dtype", "ends"),
    [
        ("int8", (-128, 127)),
        ("uint8", (0, 255)),
        ("int16", (-(2**15), 2**15 - 1)),
        ("int64", (-WIDE, WIDE)),
        ("uint32", (0, WIDE)),
    ],
)
def test_all_of_a_small_dtype_is_tried(dtype, ends):
    assert bounds(dtype) == ends


@pytest.mark.parametrize("highest", [0, 1, 7, 254])
def test_the_highest_integer_that_is_taken_is_found(highest):
    tried = []

    def takes(number):
        tried.append(number)
        return number <= highest

    assert highest_taken(takes, "uint8") == highest
    assert tried[0] == 255
    assert len(tried) <= 10


def test_where_all_are_taken_there_is_no_highest():
    assert highest_taken(lambda number: True, "int32") is None


def test_integers_are_drawn_over_the_whole_range_small_and_about_constants():
    drawn = drawn_integers(np.random.default_rng(0), (40, 50), -500, 900, (300.0, 5000.0))
    assert (drawn.min(), drawn.max()) == (-500, 900)
    assert drawn.flat[0] == 900
    assert set(drawn.flat[1:4]) == {299, 300, 301}
    assert drawn.flat[-1] == 0
    counts = [np.mean((drawn >= -3) & (drawn <= 9)), np.mean(abs(drawn - 300) <= 1)]
    assert all(0.28 < count < 0.4 for count in counts)


def test_without_constants_a_third_lies_within_a_byte():
    drawn = drawn_integers(np.random.default_rng(0), (40, 50), -9000, 9000, ())
    assert 0.28 < np.mean((np.abs(drawn) <= 255) & ((drawn < -3) | (drawn > 9))) < 0.4


def test_few_integers_hold_the_ends_and_none_are_none():
    rng = np.random.default_rng(0)
    assert drawn_integers(rng, (3,), 2, 8, ()).tolist() == [8, 2, 2]
    assert drawn_integers(rng, (0,), 2, 8, ()).size == 0


def counts_of(low, high, near=()):
    drawn = drawn_integers(np.random.default_rng(0), (400, 500), low, high, near)
    return dict(zip(*np.unique(drawn, return_counts=True), strict=True))


def test_small_integers_go_from_minus_3_to_9_and_bytes_to_255():
    counts = counts_of(-9000, 9000)
    assert all(counts[number] > 4000 for number in range(-3, 10))
    assert all(counts[number] > 60 for number in (-255, -4, 10, 255))
    assert all(counts.get(number, 0) < 30 for number in (-256, 256))


def test_the_whole_range_is_drawn_evenly_to_its_ends():
    counts = counts_of(-20, 20)
    outer = [counts[number] for number in (*range(-20, -3), *range(10, 21))]
    assert max(outer) < 1.2 * min(outer)


@pytest.mark.parametrize(("near", "beside"), [(900, {899, 900}), (-500, {-500, -499})])
def test_about_a_constant_at_an_end_nothing_beyond_it_is_drawn(near, beside):
    counts = counts_of(-500, 900, (float(near),))
    assert {number for number, count in counts.items() if count > 10_000} - set(range(-3, 10)) == beside
    assert (min(counts), max(counts)) == (-500, 900)
