"""Comparing tensors: sharply where twins have one skeleton, by float64 only where it is an oracle."""

import numpy as np
import pytest

from pytest_kerasequiv.checks.numeric.tensor_comparison import compare_tensor, is_oracle
from pytest_kerasequiv.checks.tolerance import Precision

EXACT = np.array([1.0, -2.0])
STORED = EXACT.astype(np.float32)


@pytest.mark.parametrize(
    ("apart", "sharp", "agrees"), [(1e-7, True, False), (1e-7, False, True), (1e-5, False, False)]
)
def test_rewritten_twins_are_held_to_the_rounding_of_their_dtype(apart, sharp, agrees):
    arrays = (STORED, STORED, EXACT, EXACT + apart, EXACT)
    assert compare_tensor("it", 0, arrays, "float32", Precision(sharp=sharp)).agrees is agrees


def test_a_small_fault_of_a_rewritten_twin_shows_in_float64_before_it_shows_as_stored():
    apart = 20 * 2 * 2**-24
    arrays = (STORED, (EXACT + apart).astype(np.float32), EXACT, EXACT + apart, EXACT)
    compared = compare_tensor("it", 0, arrays, "float32", Precision(sharp=False))
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


@pytest.mark.parametrize(("roundings", "agrees"), [(32, True), (100, False)])
def test_a_candidate_without_float64_is_held_to_the_rounding_of_the_reference(roundings, agrees):
    apart = STORED + np.float32(roundings * 2 * 2**-24)
    compared = compare_tensor("it", 0, (STORED, apart, EXACT, None, EXACT), "float32")
    assert compared.agrees is agrees
    assert compared.stored.tolerance.origin == "derived"
    assert compared.exact is None


def test_a_reference_whose_float64_is_no_oracle_tells_so_without_the_candidates():
    far = STORED + np.float32(0.1)
    assert is_oracle((STORED, STORED, EXACT, None, EXACT), "float32")
    assert not is_oracle((far, far, EXACT, None, EXACT), "float32")


def test_what_rounding_leaves_of_a_tensor_that_is_truly_zero_is_no_difference():
    zero, left = np.zeros(2), np.array([3e-8, -2e-8], np.float32)
    arrays = (np.array([1e-10, 0], np.float32), left, zero, None, zero)
    assert not compare_tensor("it", 0, arrays, "float32").agrees
    assert compare_tensor("it", 0, arrays, "float32", noise=2**-24).agrees
    assert not compare_tensor("it", 0, arrays, "float32", noise=2**-34).agrees
