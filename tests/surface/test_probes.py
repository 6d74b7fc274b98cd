"""Probes: what is drawn for which input."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers
from tests.common.models import flow

from pytest_kerasequiv.running.input_layout import InputLayout, InputSpec
from pytest_kerasequiv.surface.probes import (
    MOST_SCALED,
    NoProbes,
    probes_for,
    random_texts,
    survey,
    training_batch,
)
from pytest_kerasequiv.surface.surveys import Consumer, Survey


def drawn(model, seed=0):
    return {probe.name: probe for probe in probes_for(survey(model), seed)}


def test_floats_get_scales_zeros_and_batch_sizes_one_two_and_odd():
    probes = drawn(keras.Sequential([keras.Input((7,)), layers.Dense(2)]))
    scales = [float(np.abs(p.inputs[0]).max()) for n, p in probes.items() if n.startswith("normal")]
    assert max(scales) > 100
    assert min(scales) < 0.5
    assert not probes["zeros"].inputs[0].any()
    sizes = {probe.batch_size for probe in probes.values()}
    assert {1, 2} < sizes
    assert any(size % 2 and size > 1 for size in sizes)


def test_ids_are_valid_with_the_first_and_the_last_and_masks_get_padding():
    tokens = keras.Input((9,), dtype="int32")
    probes = drawn(keras.Model(tokens, layers.LSTM(2)(layers.Embedding(11, 3, mask_zero=True)(tokens))))
    ids = probes["ids"].inputs[0]
    assert (ids.min(), ids.max()) == (0, 10)
    assert not any(name.startswith("normal") for name in probes)
    padded = probes["padded rows"].inputs[0]
    assert not padded[-1].any()
    assert padded[0, 0] or padded[0, 1]
    assert not padded[0, -1]


def test_masking_layer_gets_its_mask_value():
    sequence = keras.Input((6, 2))
    probes = drawn(keras.Model(sequence, layers.GRU(2)(layers.Masking(-1.0)(sequence))))
    assert (probes["padded rows"].inputs[0][-1] == -1.0).all()


def test_images_get_both_ranges():
    probes = drawn(keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3)]))
    assert probes["image, 0..255"].inputs[0].max() > 200
    assert 0.5 < probes["image, 0..1"].inputs[0].max() <= 1


def test_free_axes_are_settled_by_what_the_model_takes():
    model = keras.Sequential([keras.Input((None, 2)), layers.Conv1D(2, 20), layers.GlobalMaxPooling1D()])
    assert survey(model).layout.specs[0].shape == (None, 32, 2)


def test_fixed_batch_is_kept():
    model = keras.Sequential([keras.Input(batch_shape=(4, 3, 2)), layers.LSTM(2, stateful=True)])
    assert {probe.batch_size for probe in drawn(model).values()} == {4}


def test_equal_seeds_give_equal_probes_and_others_others():
    model = keras.Sequential([keras.Input((7,)), layers.Dense(2)])
    found = survey(model)
    first, again, other = (training_batch(found, seed).inputs[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_dict_inputs_are_drawn_by_name():
    ids, floats = keras.Input((4,), dtype="int32", name="ids"), keras.Input((2,), name="values")
    joined = layers.Concatenate()([layers.Flatten()(layers.Embedding(5, 2)(ids)), floats])
    model = keras.Model({"ids": ids, "values": floats}, layers.Dense(1)(joined))
    found = survey(model)
    assert found.layout.names == ("ids", "values")
    assert found.consumers[0].ids == 4
    assert found.consumers[1].ids is None


def test_a_model_that_cannot_tell_its_inputs_is_refused():
    class Bare(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, first, second):
            return self.dense(first) + self.dense(second)

    model = Bare()
    model(np.zeros((1, 3)), np.zeros((1, 3)))
    with pytest.raises(NoProbes, match="inputs="):
        survey(model)


def test_lookup_layers_get_tokens_they_know_and_one_they_do_not():
    tokens = keras.Input((40,), dtype="int64")
    probes = drawn(keras.Model(tokens, layers.IntegerLookup(vocabulary=[30, 50, 70])(tokens)))
    assert set(np.unique(probes["ids"].inputs[0])) == {30, 50, 70, 71}


def test_of_large_samples_one_is_drawn_and_two_where_what_mixes_samples_is_looked_for():
    model = keras.Sequential([keras.Input((130, 130, 3)), layers.GlobalAveragePooling2D()])
    sizes = {name: probe.batch_size for name, probe in drawn(model).items()}
    assert sizes.pop("normal, scale 1") == 2
    assert set(sizes.values()) == {1}
    assert {"zeros", "image, 0..255"} <= set(sizes)


def surveyed(shape, dtype="float32", consumer=None, **told):
    layout = InputLayout((InputSpec("x", (None, *shape), dtype),), 0)
    return Survey(layout, (consumer or Consumer(),), **told)


def probes_of(found):
    return {probe.name: probe for probe in probes_for(found, 0)}


def test_every_probe_has_its_size_and_its_scale():
    layout = surveyed((90, 90, 3)).layout
    found = probes_of(surveyed((90, 90, 3), near=(40.0,), batches=(7,), lengths=(layout,)))
    assert {
        name: (probe.batch_size, round(float(probe.inputs[0].std()), 1)) for name, probe in found.items()
    } == {
        "normal, scale 1": (5, 1.0),
        "one sample": (1, 1.0),
        "normal, scale 0.1": (2, 0.1),
        "normal, scale 10": (3, pytest.approx(10, rel=0.01)),
        "normal, scale 100": (3, pytest.approx(100, rel=0.005)),
        "zeros": (2, 0.0),
        "image, 0..255": (3, pytest.approx(73.9, rel=0.01)),
        "image, 0..1": (2, 0.3),
        "near constants": (4, pytest.approx(30.1, rel=0.02)),
        "as large as constants": (3, pytest.approx(400, rel=0.01)),
        "of size 90x90x3": (1, 1.0),
        "of 7 samples": (7, 1.0),
    }
    for name, ends in {"image, 0..255": (0, 255), "image, 0..1": (0, 1)}.items():
        drawn_ones = found[name].inputs[0]
        assert (drawn_ones.min(), drawn_ones.max()) == pytest.approx(ends, abs=0.001)
    batch = training_batch(surveyed((90, 90, 3)), 0)
    assert (batch.batch_size, round(float(batch.inputs[0].std()), 1)) == (6, 1.0)
    assert not batch.generic


@pytest.mark.parametrize(
    ("shape", "dtype", "images"),
    [
        ((9, 9, 1), "float32", True),
        ((9, 9, 3), "float16", True),
        ((9, 9, 4), "float32", True),
        ((9, 9, 2), "float32", False),
        ((1, 9, 9), "float32", True),
        ((3, 9, 9), "float32", True),
        ((4, 9, 9), "float32", False),
        ((2, 9, 9), "float32", False),
        ((9, 9, 5), "float32", False),
        ((9, 9, 3), "int32", False),
        ((9, 3), "float32", False),
        ((9, 9, 9, 3), "float32", False),
    ],
)
def test_images_are_told_by_their_axes(shape, dtype, images):
    assert ("image, 0..1" in probes_of(surveyed(shape, dtype))) is images


def test_half_of_the_numbers_lie_about_the_constants():
    values = probes_of(surveyed((5000,), near=(50.0,)))["near constants"].inputs[0]
    aimed = values[np.abs(values) > 10]
    expected = {*(sign * (50 + d) for sign in (1, -1) for d in (-1, 0, 1)), 25, 49.5, 50.5, 100}
    assert set(np.round(np.unique(aimed), 4).tolist()) == expected
    assert 0.45 < len(aimed) / values.size < 0.55


@pytest.mark.parametrize(
    ("dtype", "consumer"), [("int32", Consumer(ids=60)), ("string", Consumer()), ("bool", Consumer())]
)
def test_what_takes_no_numbers_gets_none_about_the_constants(dtype, consumer):
    assert "near constants" not in probes_of(surveyed((40,), dtype, consumer, near=(50.0,)))


def test_each_number_about_a_constant_comes_to_every_place_of_a_sample():
    values = probes_of(surveyed((2, 3), near=(50.0, -7.0)))["near constants"].inputs[0]
    about = {sign * c + d for c in (50, -7) for sign in (1, -1) for d in (-1, 0, 1)}
    about |= {factor * c for c in (50, -7) for factor in (0.5, 0.99, 1.01, 2)}
    expected = np.float32(sorted(about))
    for row, column in np.ndindex(2, 3):
        assert np.isin(expected, values[:, row, column]).all()
    aimed = np.isin(values, expected).reshape(len(values), 6)
    assert (aimed.any(1) & ~aimed.all(1)).any(), "places of one sample are drawn by themselves"


def test_each_integer_about_a_constant_comes_to_every_place_of_a_sample():
    found = surveyed((2, 3), "int32", near=(50.0, -7.0), signed=True)
    values = probes_of(found)["near constants"].inputs[0]
    about = {sign * c + d for c in (50, -7) for sign in (1, -1) for d in (-1, 0, 1)} | {25, 100}
    for row, column in np.ndindex(2, 3):
        assert about <= set(values[:, row, column].tolist())


def test_small_floats_are_of_one_sign_in_each_row():
    values = probes_of(surveyed((50,)))["normal, scale 0.1"].inputs[0]
    assert (np.sign(values) == [[1.0], [-1.0]]).all()


@pytest.mark.parametrize(("told", "name"), [("missing", "with NaN"), ("infinite", "with infinite numbers")])
def test_numbers_that_are_none_are_drawn_where_a_twin_looks_for_them(told, name):
    plain, asked = probes_of(surveyed((500,))), probes_of(surveyed((500,), **{told: True}))
    assert set(asked) - set(plain) == {name}
    values = asked[name].inputs[0]
    odd = np.isnan(values) if told == "missing" else np.isinf(values)
    assert 0.28 < odd.mean() < 0.39
    assert np.isfinite(values[~odd]).all()
    if told == "infinite":
        assert 0.4 < (values[odd] > 0).mean() < 0.6
    ids = surveyed((500,), "int32", Consumer(ids=7), **{told: True})
    assert name not in probes_of(ids)


@pytest.mark.parametrize(
    ("dtype", "consumer", "drawn_large"),
    [
        ("int32", None, True),
        ("int32", Consumer(ids=9), False),
        ("float32", None, False),
        ("bool", None, False),
    ],
)
def test_integers_of_any_size_are_drawn_for_what_calculates_with_them(dtype, consumer, drawn_large):
    found = probes_of(surveyed((400,), dtype, consumer, large=True, signed=True))
    assert ("whole numbers of any size" in found) is drawn_large
    if drawn_large:
        values = found["whole numbers of any size"].inputs[0]
        assert (values.min(), values.max()) == (-(2**24), 2**24)
        assert np.abs(found["one sample"].inputs[0]).max() <= 10_000


def test_what_one_twin_alone_narrows_is_tried_beyond_32_bits():
    found = probes_of(surveyed((400,), "int64", large=True, beyond=True, signed=True))
    values = found["whole numbers of any size"].inputs[0]
    assert (values.min(), values.max()) == (-(2**33), 2**33)


@pytest.mark.parametrize(
    ("near", "scale"), [((30.0,), None), ((31.0,), 310), ((-50.0, 1e7), 500), ((MOST_SCALED,), 1e7)]
)
def test_floats_reach_the_largest_constant_that_is_not_too_large(near, scale):
    found = probes_of(surveyed((5000,), near=near))
    assert ("as large as constants" in found) is (scale is not None)
    if scale:
        assert found["as large as constants"].inputs[0].std() == pytest.approx(scale, rel=0.03)


@pytest.mark.parametrize(("numbers", "sizes"), [(50_000, (5, 1, 2, 4)), (50_001, (2, 1, 1, 2))])
def test_smaller_batches_are_drawn_of_samples_beyond_50_000_numbers(numbers, sizes):
    found = probes_of(surveyed((numbers,), near=(1.0,)))
    names = ("normal, scale 1", "one sample", "normal, scale 0.1", "near constants")
    assert tuple(found[name].batch_size for name in names) == sizes


def test_rows_are_padded_at_the_right_at_the_left_in_between_and_wholly():
    found = surveyed((10, 2), consumer=Consumer(mask_value=-9.0), masks=True)
    probes = probes_of(found)
    assert [name for name, probe in probes.items() if (probe.inputs[0] == -9.0).any()] == ["padded rows"]
    padded = (probes["padded rows"].inputs[0] == -9.0).all(-1)
    assert [np.flatnonzero(row).tolist() for row in padded] == [
        [8, 9],
        [0, 1, 2, 3],
        [2, 3, 4, 5, 6, 7],
        [2, 3, 4, 5, 6, 7, 8, 9],
        list(range(10)),
    ]


@pytest.mark.parametrize(
    ("shape", "dtype", "masks", "padding"),
    [
        ((6, 2), "float32", False, 0.0),
        ((9,), "int32", False, 0),
        ((8,), "float32", True, 0.0),
        ((8,), "float32", False, None),
        ((9, 2), "int32", False, None),
        ((8,), "bool", False, None),
        ((8, 2), "bool", True, "left"),
        ((8,), "string", False, None),
        ((8,), "string", True, "left"),
    ],
)
def test_which_inputs_are_padded(shape, dtype, masks, padding):
    found = probes_of(surveyed(shape, dtype, masks=masks)).get("padded rows")
    assert (found is None) is (padding is None)
    if found is not None:
        last = found.inputs[0][-1]
        assert (last == padding).all() if padding != "left" else len(np.unique(last)) > 1


def test_tokens_are_not_padded_over():
    found = probes_of(surveyed((9,), "int64", Consumer(tokens=(30, 50)), masks=True))
    assert 0 not in found["padded rows"].inputs[0]


@pytest.mark.parametrize(
    ("dtype", "drawn_as"),
    [
        ("float16", "float32"),
        ("bfloat16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
        ("int8", "int8"),
    ],
)
def test_inputs_have_their_dtype_and_narrow_floats_are_drawn_as_float32(dtype, drawn_as):
    assert training_batch(surveyed((4,), dtype), 0).inputs[0].dtype == drawn_as


def test_counts_begin_at_zero_and_what_may_be_negative_below():
    counts = [{"consumer": Consumer(negative=False), "signed": True}, {"consumer": Consumer()}]
    for told in counts:
        batch = training_batch(surveyed((40,), "int32", **told), 0).inputs[0]
        assert [int(batch.min()), int(batch.flat[-1])] == [0, 0]
    assert training_batch(surveyed((40,), "int32", Consumer(), signed=True), 0).inputs[0].min() < -1000


@pytest.mark.parametrize(
    ("dtype", "told", "least"),
    [
        ("int32", {"signed": True}, -9),
        ("int32", {}, 0),
        ("uint8", {"signed": True}, 0),
        ("int32", {"signed": True, "consumer": Consumer(ids=9, negative=False)}, 0),
    ],
)
def test_ids_count_from_the_end_too_and_one_lies_beyond_where_they_may_be_negative(dtype, told, least):
    batch = training_batch(surveyed((400,), dtype, **{"consumer": Consumer(ids=8), **told}), 0).inputs[0]
    assert (int(batch.min()), int(batch.max())) == (least, told.get("consumer", Consumer(ids=8)).ids)


def test_categories_are_drawn_up_to_the_last():
    tokens = keras.Input((9,), dtype="int32")
    batch = training_batch(survey(keras.Model(tokens, layers.CategoryEncoding(7)(tokens))), 0).inputs[0]
    assert (int(batch.min()), int(batch.max())) == (0, 6)


def test_truth_values_are_both_drawn():
    values = training_batch(surveyed((400,), "bool"), 0).inputs[0]
    assert values.dtype == bool
    assert 0.4 < values.mean() < 0.6


def test_one_single_id_is_drawn_as_it_is():
    found = survey(flow(layers.Embedding(1, 2), shape=(4,), dtype="int32"))
    assert not any(probe.inputs[0].any() for probe in probes_for(found, 0))


@pytest.mark.parametrize(("count", "untidy"), [(1, False), (2, False), (3, True)])
def test_texts_that_need_tidying_leave_room_for_others(count, untidy):
    texts = random_texts(np.random.default_rng(0), (count,), ["red", "blue"])
    assert any("RED  blue 7" in text for text in texts) is untidy


def test_other_lengths_are_those_of_the_survey():
    found = surveyed((6, 2), other=surveyed((9, 2)).layout)
    shapes = {name: probe.inputs[0].shape for name, probe in probes_of(found).items()}
    assert shapes["other lengths"] == (2, 9, 2)
    assert shapes["normal, scale 1"] == (5, 6, 2)
    assert "other lengths" not in probes_of(replace(found, other=None))
