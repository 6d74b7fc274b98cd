"""Sketches of large arrays, and generic values."""

import keras
import numpy as np
from keras import layers

from pytest_kerasequiv import Verdict, compare, record
from pytest_kerasequiv.running.perturbing import (
    about,
    generic_values,
    perturbed_constant,
    perturbed_inputs,
    perturbed_values,
)
from pytest_kerasequiv.running.sketch import LARGEST_KEPT, PROJECTIONS, SAMPLED, sketch
from pytest_kerasequiv.weights.variables import assign, same_buffer, values_of


def test_small_arrays_are_kept_whole_as_copies():
    array = np.arange(6.0).reshape(2, 3)
    kept = sketch(array)
    np.testing.assert_array_equal(kept, array)
    array[0, 0] = 9
    assert kept[0, 0] == 0


def test_any_changed_element_of_a_large_array_shows():
    rng = np.random.default_rng(0)
    array = rng.normal(size=LARGEST_KEPT + 1000)
    before = sketch(array)
    assert before.shape == (SAMPLED + PROJECTIONS,)
    for index in rng.integers(0, array.size, 5):
        changed = array.copy()
        changed[index] *= 1 + 1e-6
        assert np.abs(sketch(changed) - before).max() > 0
    np.testing.assert_array_equal(sketch(array.reshape(2, -1)), before)


def test_generic_values_leave_no_float_variable_constant():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.1)]
    )
    values = values_of(model)
    drawn = generic_values(model, values, 0)
    floats = [v for v in drawn if v.dtype.kind == "f"]
    assert all(np.unique(v).size == v.size for v in floats)
    assert all(v.dtype == w.dtype for v, w in zip(values, drawn, strict=True))
    seeds = [(v, w) for v, w in zip(values, drawn, strict=True) if v.dtype.kind != "f"]
    assert all(np.array_equal(v, w) for v, w in seeds)


def test_a_constant_that_drowns_everything_before_it_is_drawn_about_one_or_zero():
    rng = np.random.default_rng(0)
    assert about(-1e6, (50,), rng).min() < 0 < about(-1e6, (50,), rng).max() <= 0.5
    assert 0.5 <= about(1e9, (50,), rng).min() <= about(1e9, (50,), rng).max() <= 1.5
    assert about(12.0, (50,), rng).min() >= 6


def test_what_a_dead_relu_hides_is_seen(tmp_path):
    def build(activation):
        dead = layers.Dense(4, activation="relu", bias_initializer=keras.initializers.Constant(-1e6))
        return keras.Sequential(
            [keras.Input((6,)), layers.Dense(4, activation=activation), dead, layers.Dense(1)]
        )

    file = record(lambda: build("relu"), tmp_path / "it.kerasequiv")
    for reference in (lambda: build("relu"), file):
        assert compare(reference, lambda: build("tanh"))["outputs"].verdict is Verdict.DIFFERENT


def test_perturbed_values_move_by_at_most_one_roundoff():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    values = values_of(model)
    moved = perturbed_values(model, values, "float32", 0)
    assert 0 < np.abs(moved[0] - values[0]).max() <= 2**-24 * np.abs(values[0]).max()


def test_perturbed_values_are_in_memory_once_while_a_model_holds_them():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="float64")])
    moved = perturbed_values(model, values_of(model), "float32", 0)
    assign(model, moved)
    assert same_buffer(values_of(model)[0], moved[0])


def test_projections_are_alternating_strided_sums_at_any_length():
    for extra in (1, 7, 8, 9, 2048, 4095):
        array = np.random.default_rng(extra).normal(size=LARGEST_KEPT + extra).astype(np.float32)
        parts = [array[k::PROJECTIONS].astype(np.float64) for k in range(PROJECTIONS)]
        expected = [(part[::2].sum() - part[1::2].sum()) / np.sqrt(part.size) for part in parts]
        np.testing.assert_allclose(sketch(array)[SAMPLED:], expected, rtol=1e-9, atol=1e-12)


def test_perturbed_inputs_keep_whole_numbers():
    inputs = np.array([0.0, 255.0, 0.3], np.float32)
    moved = perturbed_inputs([inputs], "float32", 0)[0]
    np.testing.assert_array_equal(moved[:2], inputs[:2])
    assert 0 < abs(moved[2] / float(inputs[2]) - 1) <= 2**-24


def test_a_perturbed_constant_moves_by_one_roundoff_unless_every_dtype_holds_it():
    rng = np.random.default_rng(0)
    wide = np.array([0.1, 1 / 3, 127.5, 2.0, 0.0, np.inf])
    moved = perturbed_constant("float32", rng, wide)
    np.testing.assert_allclose(np.abs(moved[:2] / wide[:2] - 1), 2**-24, rtol=1e-6)
    np.testing.assert_array_equal(moved[2:], wide[2:])


def test_whole_constants_of_a_part_that_computes_in_float32_move_too():
    narrow = np.array([10000.0, 2.0, 1.0, 0.0], np.float32)
    moved = perturbed_constant("float32", np.random.default_rng(1), narrow)
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(moved[1:], narrow[1:])
