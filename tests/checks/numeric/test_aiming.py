"""Probes that reach what twins part over: integers, sizes of free axes, padding, constants."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from tests.common.models import functional

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.checks.numeric.aiming import aimed, constants_apart
from pytest_kerasequiv.program import trace
from pytest_kerasequiv.running.input_layout import input_layout
from pytest_kerasequiv.surface.probes import joined, probes_for, survey


def together(reference, candidate):
    """Return the probes of a pair, by name."""
    found = joined(survey(reference), survey(candidate))
    found = aimed(found, input_layout(reference), trace(reference), trace(candidate))
    return {probe.name: probe.inputs for probe in probes_for(found, 0)}


def shapes_of(model):
    return [spec.shape[1:] for spec in survey(model).layout.specs]


def test_every_free_axis_has_a_size_of_its_own_and_the_shorter_becomes_the_longer():
    image = functional(layers.Resizing(4, 4), (None, None, 3))
    assert shapes_of(image) == [(16, 24, 3)]
    assert survey(image).other.specs[0].shape[1:] == (31, 23, 3)


def test_two_inputs_have_unlike_lengths_where_the_model_takes_them():
    concatenated = functional(lambda a, b: ops.concatenate([a, b], axis=1), (None, 2), (None, 2))
    assert shapes_of(concatenated) == [(16, 2), (24, 2)]
    added = functional(ops.add, (None, 2), (None, 2))
    assert shapes_of(added) == [(16, 2), (16, 2)]


def test_inputs_that_are_alike_keep_their_axes_unlike():
    assert shapes_of(functional(ops.add, (None, None, 2), (None, None, 2))) == [(16, 24, 2), (16, 24, 2)]


def test_unsigned_integers_get_their_whole_range():
    found = together(*[functional(lambda i: ops.cast(i, "float32"), (4, 4, 3), dtype="uint8")] * 2)
    values = np.concatenate([inputs[0].ravel() for inputs in found.values()])
    assert {0, 255} <= set(values.tolist())
    assert len(set(values.tolist())) > 100


@pytest.mark.parametrize("rows", [3, 37, 200])
def test_ids_go_as_far_as_a_table_does(rows):
    table = np.ones((rows, 2), "float32")
    model = functional(lambda i: ops.take(ops.convert_to_tensor(table), i, axis=0), (5,), dtype="int32")
    values = np.concatenate([inputs[0].ravel() for inputs in together(model, model).values()])
    assert (values.min(), values.max()) == (0, rows - 1)


def test_integers_are_negative_only_where_none_is_an_index():
    counted = functional(lambda i: ops.cast(i, "float32"), (5,), dtype="int32")
    encoded = functional(lambda i: ops.one_hot(i, 7), (5,), dtype="int32")
    assert min(inputs[0].min() for inputs in together(counted, counted).values()) < -100
    assert min(inputs[0].min() for inputs in together(encoded, encoded).values()) == 0


def test_constants_that_only_one_program_holds_are_aimed_at():
    one, other = (
        functional(lambda i, n=n: ops.cast(i % n, "float32"), (4,), dtype="int32") for n in (24, 12)
    )
    assert constants_apart(trace(one), trace(other)) == (12.0, 24.0)
    values = {int(v) for inputs in together(one, other).values() for v in inputs[0].ravel()}
    assert {11, 12, 13, 23, 24, 25} <= values
    assert constants_apart(trace(one), trace(one)) == ()


def test_floats_come_near_a_threshold_and_up_to_its_scale():
    one, other = (functional(lambda x, t=t: ops.minimum(x, t), (4,)) for t in (5e4, 6e4))
    found = together(one, other)
    assert np.any((found["near constants"][0] > 5e4) & (found["near constants"][0] < 6e4))
    assert np.abs(found["as large as constants"][0]).max() > 1e5
    assert not {"near constants", "as large as constants"} & set(together(one, one))


def test_free_axes_get_the_lengths_at_which_slices_part():
    one, other = (functional(lambda x, n=n: ops.sum(x[:, :n], axis=1), (None, 2)) for n in (40, 512))
    lengths = {inputs[0].shape[1] for inputs in together(one, other).values()}
    assert {39, 40, 41, 513} <= lengths


def test_rows_are_padded_at_the_right_at_the_left_and_in_between_whether_or_not_a_layer_masks():
    rows = together(*[functional(layers.LSTM(2), (6, 2))] * 2)["padded rows"][0]
    zero = np.all(rows == 0, axis=-1)
    assert zero[0, -1]
    assert zero[1, 0]
    assert not zero[1, -1]
    assert zero[2].any()
    assert not zero[2, 0]
    assert not zero[2, -1]
    assert zero[-1].all()


def by_size(limit):
    def double(x):
        return tf.cond(tf.shape(x)[0] > limit, lambda: x * 2.0, lambda: x)

    return functional(layers.Lambda(double, output_shape=(4,)), (4,))


def test_batches_are_as_large_as_sizes_are_compared_with():
    plain = functional(layers.Identity(), (4,))
    for pair in ((plain, by_size(64)), (by_size(64), plain)):
        assert {"of 64 samples", "of 65 samples"} <= set(together(*pair))
        assert together(*pair)["of 65 samples"][0].shape == (65, 4)
    assert not any(name.endswith("samples") for name in together(plain, plain))
    assert not any(name.endswith("samples") for name in together(plain, by_size(10**6)))
    assert compare(plain, by_size(64), weights="copy").verdict is Verdict.DIFFERENT


def scores(masked):
    def attention(x):
        return ops.softmax(masked(x, ops.cast(ops.arange(4) < 2, "float32"))) @ x

    return functional(lambda x: attention(layers.Dense(4)(x)), (4, 4))


def test_a_number_that_stands_for_infinity_is_no_threshold():
    added = scores(lambda x, keep: x + (1 - keep) * -1e9)
    chosen = scores(lambda x, keep: ops.where(keep > 0, x, -1e9))
    near = constants_apart(trace(added), trace(chosen))
    assert all(abs(number) < 2 for number in near)
    report = compare(added, chosen, weights="copy")
    assert report.verdict is Verdict.EQUIVALENT, report


def test_a_number_that_values_are_compared_with_is_a_threshold_however_large():
    one, other = (functional(body, (4,)) for body in (lambda x: ops.minimum(x, 1e9), lambda x: x * 1.0))
    assert 1e9 in constants_apart(trace(one), trace(other))
    assert compare(one, other).verdict is Verdict.DIFFERENT


def test_every_place_of_a_sample_gets_the_numbers_about_a_constant():
    one, other = (functional(lambda x, t=t: ops.minimum(x, t), (5,)) for t in (5e7, 1e9))
    columns = together(one, other)["near constants"][0].T
    assert all({np.float32(2e9), np.float32(1e8)} <= set(column) for column in columns)
    counted, other = (
        functional(lambda x, n=n: ops.where(ops.equal(x[:, 3], n), -1, x[:, 3]), (5,), dtype="int32")
        for n in (777, 778)
    )
    columns = together(counted, other)["near constants"][0].T
    assert all({776, 777, 778, 779} <= set(column) for column in columns)


def filled(value):
    return lambda x: layers.Dense(2)(ops.where(ops.isnan(x), value, x))


@pytest.mark.parametrize("other", [layers.Dense(2), filled(-1.0)], ids=["kept", "filled with -1"])
def test_missing_numbers_are_tried_where_a_model_looks_for_them(other):
    one, other = functional(filled(0.0), (4,)), functional(other, (4,))
    for pair in ((one, other), (other, one)):
        assert compare(*pair, weights="copy").verdict is Verdict.DIFFERENT
    again = functional(lambda x: layers.Dense(2)(1.0 * ops.where(ops.isnan(x), 0.0, x)), (4,))
    assert compare(one, again, weights="copy").verdict is Verdict.EQUIVALENT


def bounded(asked, value):
    return lambda x: layers.Dense(2)(ops.where(asked(x), value, x))


@pytest.mark.parametrize(
    ("asked", "value", "other"),
    [
        (ops.isinf, 0.0, layers.Dense(2)),
        (ops.isinf, 0.0, bounded(ops.isinf, 1.0)),
        (lambda x: ~ops.isfinite(x), 0.0, bounded(ops.isnan, 0.0)),
    ],
    ids=["kept", "another value", "NaN alone"],
)
def test_infinite_numbers_are_tried_where_a_model_looks_for_them(asked, value, other):
    one, two = functional(bounded(asked, value), (4,)), functional(other, (4,))
    assert compare(one, two, weights="copy").verdict is Verdict.DIFFERENT
    again = functional(lambda x: layers.Dense(2)(1.0 * ops.where(asked(x), value, x)), (4,))
    assert compare(one, again, weights="copy").verdict is Verdict.EQUIVALENT


def logsumexp_by_hand(x):
    top = ops.max(x, -1, keepdims=True)
    return top + ops.log(ops.sum(ops.exp(x - top), -1, keepdims=True))


def finite_maximum_off(x):
    top = ops.max(x, -1, keepdims=True)
    return x - ops.where(ops.isfinite(top), top, 0.0)


@pytest.mark.parametrize(
    ("reference", "candidate", "verdict"),
    [
        (ops.log_softmax, lambda x: x - ops.logsumexp(x, (-1,), keepdims=True), Verdict.EQUIVALENT),
        (lambda x: ops.logsumexp(x, (-1,), keepdims=True), logsumexp_by_hand, Verdict.EQUIVALENT),
        (finite_maximum_off, lambda x: x - ops.max(x, -1, keepdims=True), Verdict.DIFFERENT),
    ],
    ids=["log_softmax", "by hand", "own look"],
)
def test_infinite_numbers_are_not_tried_for_the_sake_of_a_logsumexp(reference, candidate, verdict):
    report = compare(*(functional(body, (4,)) for body in (reference, candidate)))
    assert report.verdict is verdict, report


WHOLE = {
    "uint16 overflows": (
        "uint16",
        lambda x: ops.cast(x * 2, "float32"),
        lambda x: ops.cast(x, "float32") * 2,
    ),
    "int32 overflows": ("int32", lambda x: ops.cast(x * x, "float32"), lambda x: ops.cast(x, "float32") ** 2),
    "int64 in 32 bits": ("int64", lambda x: x % 7, lambda x: ops.cast(x, "int32") % 7),
    "a large id": ("int32", lambda x: x * 1, lambda x: ops.minimum(x, 5_000_000)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_twins_that_calculate_otherwise_with_integers_are_tried_with_large_ones(name):
    dtype, *bodies = WHOLE[name]
    pair = [functional(body, (3,), dtype=dtype) for body in bodies]
    assert compare(*pair).verdict is Verdict.DIFFERENT
    assert compare(*pair[::-1]).verdict is Verdict.DIFFERENT


def test_ids_of_a_table_may_be_narrowed():
    def embedded(narrow):
        def body(x):
            return layers.Embedding(10, 2, name="table")(narrow(x))

        return functional(body, (3,), dtype="int64")

    pair = embedded(lambda x: x), embedded(layers.Lambda(lambda x: ops.cast(x, "int32")))
    assert compare(*pair).verdict is Verdict.EQUIVALENT


def test_integers_that_may_be_lengths_stay_short_and_others_exact_in_float32():
    def lengths(more):
        def body(x):
            return tf.cast(tf.sequence_mask(x + more - more), "float32")

        return functional(layers.Lambda(body, output_shape=(3, None)), (3,), dtype="int32")

    assert "whole numbers of any size" not in together(lengths(0), lengths(1))
    bodies = (lambda x: ops.cast(x % 24, "float32")), (lambda x: ops.cast(x, "float32") % 24.0)
    pair = [functional(body, (3,), dtype="int32") for body in bodies]
    largest = together(*pair)["whole numbers of any size"][0].max()
    assert 10_000 < largest <= 2**24
    assert compare(*pair).verdict is Verdict.EQUIVALENT


def test_numbers_of_one_sign_are_tried():
    def all_positive(x):
        return ops.where(ops.all(x > 0, axis=-1, keepdims=True), 2.0 * x, x)

    one, other = (functional(body, (16,)) for body in (lambda x: x * 1.0, all_positive))
    assert compare(one, other).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_a_number_that_both_compare_with_is_aimed_at_where_they_compare_otherwise(dtype):
    def grouped(oldest):
        return lambda x: ops.where(oldest(x), 2, ops.where(x >= 18, 1, 0))

    models = [
        functional(body, (3,), dtype=dtype)
        for body in (
            lambda x: ops.cast(x >= 18, "int32") + ops.cast(x >= 65, "int32"),
            grouped(lambda x: x >= 65),
            grouped(lambda x: x > 65),
        )
    ]
    assert compare(*models[:2]).verdict is Verdict.EQUIVALENT
    for pair in ((models[0], models[2]), (models[2], models[0]), models[1:]):
        assert compare(*pair).verdict is Verdict.DIFFERENT


def test_nan_that_is_only_handed_on_is_not_tried():
    def build(body):
        def built():
            inputs = keras.Input((5,))
            return keras.Model(inputs, body(inputs))

        return built

    median, middle = build(lambda x: ops.median(x, -1)), build(lambda x: ops.sort(x, -1)[:, 2])
    assert compare(median, middle).verdict is Verdict.EQUIVALENT
    filled = build(lambda x: ops.median(ops.where(ops.isnan(x), 0.0, x), -1))
    assert compare(median, filled).verdict is Verdict.DIFFERENT
