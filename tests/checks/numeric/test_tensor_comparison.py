"""Comparing tensors: sharply where twins have one skeleton, by float64 only where it is an oracle."""

import numpy as np
import pytest

from pytest_kerasequiv.checks.numeric.tensor_comparison import compare_tensor, is_oracle

EXACT = np.array([1.0, -2.0])
STORED = EXACT.astype(np.float32)


@pytest.mark.parametrize(
    ("apart", "sharp", "agrees"), [(1e-7, True, False), (1e-7, False, True), (1e-5, False, False)]
)
def test_rewritten_twins_are_held_to_the_rounding_of_their_dtype(apart, sharp, agrees):
    arrays = (STORED, STORED, EXACT, EXACT + apart, EXACT)
    assert compare_tensor("it", 0, arrays, "float32", sharp=sharp).agrees is agrees


def test_a_small_fault_of_a_rewritten_twin_shows_in_float64_before_it_shows_as_stored():
    apart = 20 * 2 * 2**-24
    arrays = (STORED, (EXACT + apart).astype(np.float32), EXACT, EXACT + apart, EXACT)
    compared = compare_tensor("it", 0, arrays, "float32", sharp=False)
    assert compared.stored.agrees
    assert not compared.agrees


@pytest.mark.parametrize("place", [0, 1], ids=["reference", "candidate"])
def test_a_float64_result_far_from_the_float32_result_is_no_oracle(place):
    stored = [STORED, STORED]
    assert is_oracle((*stored, EXACT, EXACT, EXACT), "float32")
    stored[place] = STORED + np.float32(0.1)
    assert not is_oracle((*stored, EXACT, EXACT, EXACT), "float32")


def test_where_there_is_no_float64_result_nothing_speaks_against_it():
    assert is_oracle((STORED, STORED, None, None, None), "float32")
    assert is_oracle((np.array([1]), np.array([2]), np.array([1]), np.array([2]), None), "float32")
