"""Large tensors reduced alike on both sides, with S and P of the whole."""

from dataclasses import dataclass

import numpy as np
import pytest

from pytest_kerasequiv.checks import tolerance
from pytest_kerasequiv.correspondence.carrying import Carry
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.recording.leaves import leaves, with_leaves
from pytest_kerasequiv.recording.sketching import like_recorded, reduced, sketched, unfolded

RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Seen:
    """Stands for an observation: outputs, and gradients by variable, in the three views."""

    computed: dict
    exact: dict | None = None
    perturbed: dict | None = None


def seen(shape=(60, 50), *, moved=0.0):
    """An observation whose float64 results differ from those as computed by about 1e-7, once by more."""
    exact = RNG.standard_normal(shape)
    computed = (exact + 1e-7 * RNG.standard_normal(shape)).astype(np.float32)
    perturbed = exact + 1e-8 * RNG.standard_normal(shape)
    perturbed[tuple(size // 3 for size in shape)] += moved
    views = (computed, exact, perturbed)
    return Seen(*({"outputs": (one,), "gradients": {0: one}} for one in views))


def test_leaves_are_found_and_replaced():
    value = {"a": (np.zeros(2), [np.ones(1)]), 3: None}
    paths = [path for path, _ in leaves(value)]
    assert paths == [("a", 0), ("a", 1, 0)]
    doubled = with_leaves(value, lambda _, array: 2 * array)
    assert doubled["a"][1][0].tolist() == [2.0]
    assert doubled[3] is None


def test_small_tensors_stay_and_large_ones_become_small():
    small, shapes = reduced(seen((8, 8)))
    assert not shapes
    assert small.computed["outputs"][0].shape == (8, 8)
    large, shapes = reduced(seen())
    assert {len(array) for path, array in leaves(large) if "perturbed" not in path} == {72}
    assert set(shapes.values()) == {(60, 50)}
    whole_numbers = np.arange(500)
    assert sketched(whole_numbers, ()) is whole_numbers


@pytest.mark.parametrize("field", ["outputs", "gradients"])
def test_what_rounding_does_to_the_whole_is_kept(field):
    """S of a gradient and P of an output, though the worst element is in no sample."""
    whole = seen(moved=3e-6)
    kept = unfolded(reduced(whole)[0])
    names = "computed", "exact", "perturbed"
    place = 0  # the only output, and the gradient of variable 0
    views = [getattr(one, name)[field][place] for one in (whole, kept) for name in names]
    full, small = views[:3], views[3:]
    p, kept_p = (tolerance.conditioning(three[1], three[2], "float32") for three in (full, small))
    s, kept_s = (tolerance.amplification(*three, "float32") for three in (full, small))
    assert p <= kept_p < 2 * p
    if field == "gradients":
        assert s <= kept_s < 2 * s


def test_a_change_of_any_one_element_shows():
    value = RNG.standard_normal(5000)
    for place in RNG.integers(0, 5000, 50):
        other = value.copy()
        other[place] += 1.0
        assert np.abs(sketched(value, ()) - sketched(other, ())).max() > 0.03


def observed(kernel, output):
    return Seen({"outputs": (output,), "gradients": {1: kernel}})


def test_a_candidates_tensors_are_turned_to_the_references_axes():
    kernel, output = RNG.standard_normal((40, 30)), RNG.standard_normal((10, 20))
    recorded, shapes = reduced(Seen({"outputs": (output,), "gradients": {0: kernel}}))
    transposed = VariableMap(((0, 1),), "hypothesis", carried={(0, 1): Carry("transposed", (30, 40), (1, 0))})
    ours, theirs = like_recorded(observed(kernel.T.copy(), output), recorded, shapes, transposed, [(40, 30)])
    np.testing.assert_array_equal(ours.computed["gradients"][0], theirs.computed["gradients"][1])
    np.testing.assert_array_equal(ours.computed["outputs"][0], theirs.computed["outputs"][0])


def test_outputs_of_another_shape_keep_their_shapes_on_both_sides():
    recorded, shapes = reduced(Seen({"outputs": (RNG.standard_normal((10, 20)),), "gradients": {}}))
    other = Seen({"outputs": (RNG.standard_normal((20, 10)),), "gradients": {}})
    ours, theirs = like_recorded(other, recorded, shapes, VariableMap((), "graph"), [])
    assert ours.computed["outputs"][0].shape == (10, 20)
    assert theirs.computed["outputs"][0].shape == (20, 10)
