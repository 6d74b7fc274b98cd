"""Tolerances: the derivation, the defaults, and the text of a difference."""

import numpy as np
import pytest

from pytest_kerasequiv import InputError, compare
from pytest_kerasequiv.checks import tolerance
from pytest_kerasequiv.checks.numeric.differences import difference
from pytest_kerasequiv.checks.tolerance import Tolerance


def test_amplification_is_the_largest_of_rounding_perturbation_and_roundoff():
    exact = np.array([1.0, -2.0])
    assert tolerance.amplification(exact + 1e-5, exact, None, "float32") == pytest.approx(1e-5)
    assert tolerance.amplification(exact, exact, exact - 1e-4, "float32") == pytest.approx(1e-4)
    assert tolerance.amplification(exact, exact, exact, "float32") == pytest.approx(2 * 2**-24)


def test_float64_is_allowed_as_many_roundoffs_as_float32():
    wide = tolerance.derived(1e-6, "float32", within="float64")
    narrow = tolerance.derived(1e-6, "float32", within="float32")
    assert narrow.atol == pytest.approx(64e-6)
    assert wide.atol / narrow.atol == pytest.approx(2**-29)


def test_float64_results_of_rewritten_programs_are_held_to_float32():
    rewritten = tolerance.derived(1e-6, "float32", within="float64", sharp=False)
    assert rewritten.atol == pytest.approx(16e-6)
    assert tolerance.derived(1e-6, "float32", within="float32", sharp=False).atol == pytest.approx(64e-6)
    assert tolerance.derived(1e-6, "float64", within="float64", sharp=False).atol == pytest.approx(64e-6)


def test_a_float64_result_is_explained_by_a_small_multiple_of_what_one_roundoff_does():
    exact = np.array([1.0, -2.0])
    conditioned = tolerance.conditioning(exact, exact + 1e-6, "float32")
    assert conditioned == pytest.approx(1e-6)
    assert tolerance.conditioning(exact, exact[:1] + 1, "float32") == pytest.approx(2 * 2**-24)
    assert tolerance.explained(exact + 6e-5, exact, conditioned, "float32")
    assert not tolerance.explained(exact + 7e-5, exact, conditioned, "float32")
    assert not tolerance.explained(exact[:1], exact, conditioned, "float32")


def test_what_moves_a_large_part_of_a_result_is_no_rounding():
    exact = np.array([1.0, -2.0])
    assert not tolerance.explained(exact, exact, 0.1, "float32")
    assert tolerance.explained(exact, exact, 0.1, "bfloat16")


def test_a_narrower_dtype_may_overflow_and_may_not_be_finite_alone():
    finite, overflown = np.array([1.0, 2.0]), np.array([1.0, np.inf])
    assert tolerance.explained(overflown, finite, 1e-7, "float32")
    assert not tolerance.explained(finite, overflown, 1e-7, "float32")


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"),
    [("float32", 1.3e-6, 1e-5), ("float16", 1e-3, 1e-5), ("bfloat16", 1.6e-2, 1e-5), ("float64", 1e-7, 1e-7)],
)
def test_defaults_are_those_of_torch_for_numbers_near_one(dtype, rtol, atol):
    assert tolerance.default(dtype, np.array([0.5])) == Tolerance(rtol, atol, "default")
    assert tolerance.default(dtype, np.array([100.0])).atol == pytest.approx(100 * atol)


def test_given_wins_and_what_is_left_away_is_zero():
    assert tolerance.given(None, None) is None
    assert tolerance.given(1e-3, None) == Tolerance(1e-3, 0.0, "given")


@pytest.mark.parametrize("part", [-1e-3, float("nan"), float("inf"), True, "1e-3", np.array([1e-3, 1e-2])])
@pytest.mark.parametrize("name", ["rtol", "atol"])
def test_what_is_no_tolerance_is_refused_before_anything_is_built(name, part):
    def never():
        raise AssertionError("built")

    with pytest.raises(InputError, match=rf"{name}=.* is no tolerance; pass a finite number of at least 0"):
        compare(never, never, checks=["summary"], **{name: part})


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", None, True])
def test_what_is_no_seed_is_refused_before_anything_is_built(seed):
    def never():
        raise AssertionError("built")

    with pytest.raises(InputError, match=r"seed=.* must be a whole number from 0 to 4294967295"):
        compare(never, never, checks=["summary"], seed=seed)


def test_difference_counts_and_locates():
    reference = np.array([[1.0, 2.0], [3.0, 4.0]])
    candidate = reference + np.array([[0.0, 0.0], [0.5, 0.0]])
    found = difference(reference, candidate, Tolerance(0.0, 0.1, "given"))
    assert (found.elements, found.mismatched, found.index) == (4, 1, (1, 0))
    assert found.used == pytest.approx(5)
    text = str(found)
    assert "mismatched elements: 1 / 4 (25.0 %)" in text
    assert "greatest absolute difference: 0.5 at index (1, 0)" in text
    assert "smallest tolerance that would pass: atol=0.5" in text


def test_the_smallest_tolerance_that_would_pass_does_pass():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=50)
    candidate = reference + rng.normal(size=50) * 1e-3
    failed = difference(reference, candidate, Tolerance(1e-6, 1e-6, "given"))
    text = failed.smallest_that_passes()
    parts = dict(part.split("=") for part in text.split(", "))
    again = Tolerance(float(parts["rtol"]), float(parts["atol"]), "given")
    assert difference(reference, candidate, again).agrees


def test_the_smallest_tolerance_is_absolute_where_nothing_was_allowed_at_an_element():
    failed = difference(np.array([0.0, 2.0]), np.array([3.0, 2.0]), Tolerance(1e-6, 0.0, "given"))
    assert failed.smallest_that_passes() == "atol=3"


def test_nan_and_infinity_alike_are_set_apart_and_on_one_side_only_are_a_mismatch():
    reference = np.array([np.nan, np.inf, -np.inf, 1.0])
    alike = difference(reference, reference.copy(), Tolerance(0.0, 0.0, "exact"))
    assert (alike.agrees, alike.nonfinite, alike.split) == (True, 3, 0)
    split = difference(reference, np.array([np.nan, -np.inf, -np.inf, np.nan]), Tolerance(1.0, 1.0, "given"))
    assert (split.agrees, split.split, split.index) == (False, 2, (1,))
    assert "on one side only: 2" in str(split)


def test_empty_arrays_agree():
    assert difference(np.zeros((0, 2)), np.zeros((0, 2)), Tolerance(0.0, 0.0, "exact")).agrees
