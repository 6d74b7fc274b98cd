"""Surveys: what is masked, free axes, and what only the candidate tells."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers
from tests.common.unread_inputs import needs_unread_inputs

from pytest_kerasequiv.surface.masking import masks_somewhere
from pytest_kerasequiv.surface.probes import joined, probes_for, survey
from pytest_kerasequiv.surface.surveys import Consumer, wider


def drawn(found):
    return {probe.name: probe for probe in probes_for(found, 0)}


def sequence_model(*before, made=None):
    inputs = keras.Input((6, 2))
    hidden = inputs
    for layer in (*before, *([made] if made else []), layers.GRU(2)):
        hidden = layer(hidden)
    return keras.Model(inputs, hidden)


@pytest.mark.parametrize(
    ("before", "padding"),
    [
        (list, -1.0),
        (lambda: [layers.Dropout(0.1)], -1.0),
        (lambda: [layers.Rescaling(2.0, offset=1.0)], -1.0),
        (lambda: [layers.Rescaling(4.0, offset=1.0)], -0.5),
        (lambda: [layers.Dense(2)], 0.0),
    ],
)
def test_masking_behind_other_layers_is_padded_with_the_value_that_becomes_its_own(before, padding):
    found = survey(sequence_model(*before(), made=layers.Masking(-1.0)))
    assert (drawn(found)["padded rows"].inputs[0][-1] == padding).all()


class Padding(layers.Layer):
    """Makes a mask of its own."""

    def compute_mask(self, inputs, previous=None):
        return keras.ops.any(keras.ops.not_equal(inputs, 0), axis=-1)

    def call(self, x):
        return x


def test_masks_made_anywhere_count():
    assert masks_somewhere(sequence_model(made=Padding()))
    assert masks_somewhere(keras.Sequential([keras.Sequential([layers.Masking()])]))
    assert not masks_somewhere(sequence_model())

    class Masked(keras.Model):
        compute_mask = Padding.compute_mask

    inputs = keras.Input((6, 2))
    assert masks_somewhere(Masked(inputs, layers.GRU(2)(inputs)))


def test_what_only_the_candidate_tells_is_added_by_position():
    def build(embedded):
        ids, values = keras.Input((4,), dtype="int32", name="ids"), keras.Input((4, 3), name="values")
        looked_up = layers.Embedding(7, 3)(ids) if embedded else keras.ops.one_hot(ids, 3)
        masked = layers.Masking(-2.0)(values) if embedded else values
        return keras.Model([ids, values], layers.LSTM(2)(masked) + layers.LSTM(2)(looked_up))

    reference, candidate = survey(build(embedded=False)), survey(build(embedded=True))
    assert [c.ids for c in reference.consumers] == [None, None]
    both = joined(reference, candidate)
    assert [(c.ids, c.mask_value) for c in both.consumers] == [(6, None), (None, -2.0)]
    assert joined(candidate, reference).consumers == candidate.consumers


def test_of_a_candidate_with_other_inputs_masks_alone_are_added():
    one = survey(sequence_model())
    masked = survey(sequence_model(made=layers.Masking(-2.0)))
    two = replace(masked, consumers=(Consumer(mask_value=-2.0), Consumer(ids=3)))
    assert joined(one, two) == replace(one, masks=True)


@pytest.mark.parametrize(
    ("build", "first", "second"),
    [
        pytest.param(lambda a, b: [a, b], [16, 24], [31, 23], id="unlike", marks=needs_unread_inputs),
        pytest.param(lambda a, b: [a + b], [16, 16], [23, 23], id="added"),
    ],
)
def test_two_free_axes_are_probed_at_sizes_of_their_own_where_the_model_takes_them(build, first, second):
    inputs = keras.Input((None, 2)), keras.Input((None, 2))
    found = survey(keras.Model(list(inputs), build(*inputs)))
    assert [spec.shape[1] for spec in found.layout.specs] == first
    assert [spec.shape[1] for spec in found.other.specs] == second


def test_a_free_axis_is_probed_at_two_lengths():
    model = keras.Sequential([keras.Input((None, 2)), layers.GlobalAveragePooling1D()])
    probes = drawn(survey(model))
    assert probes["other lengths"].inputs[0].shape == (2, 23, 2)
    assert {p.inputs[0].shape[1] for p in probes.values()} == {16, 23}


def test_a_second_length_that_is_refused_is_left_out_and_an_even_one_is_tried():
    image = keras.Input((None, None, 1))
    halved = layers.Conv2D(2, 3, strides=2, padding="same")(image)
    joined_up = layers.Concatenate()([image, layers.UpSampling2D()(halved)])
    assert drawn(survey(keras.Model(image, joined_up)))["other lengths"].inputs[0].shape == (2, 32, 24, 1)

    free = keras.Input((None,))
    fixed = keras.Model(free, keras.ops.add(free, np.ones((1, 16), "float32")))
    assert survey(fixed).other is None


def test_an_axis_of_size_zero_is_not_free():
    one, none = keras.Input((3,)), keras.Input((0,))
    found = survey(keras.Model([one, none], layers.Dense(2)(layers.Concatenate()([one, none]))))
    assert [spec.shape for spec in found.layout.specs] == [(None, 3), (None, 0)]
    assert found.other is None
    assert drawn(found)["one sample"].inputs[1].shape == (1, 0)


def test_texts_have_capitals_digits_blanks_and_punctuation():
    model = keras.Sequential(
        [keras.Input((1,), dtype="string"), layers.TextVectorization(vocabulary=["red", "blue"])]
    )
    texts = "|".join(drawn(survey(model))["ids"].inputs[0].ravel())
    assert "RED  blue 7" in texts
    assert "red, blue!" in texts


@pytest.mark.parametrize(("count", "negative"), [(lambda x: x, True), (keras.ops.bincount, False)])
def test_integers_below_zero_are_drawn_only_where_the_model_takes_them(count, negative):
    inputs = keras.Input((4,), dtype="int32")
    found = survey(keras.Model(inputs, layers.Lambda(count)(inputs)))
    assert found.consumers[0].negative is negative
    least = min(probe.inputs[0].min() for probe in probes_for(replace(found, signed=True), 0))
    assert bool(least < 0) is negative


@pytest.mark.parametrize("consumer", [lambda: layers.Embedding(7, 2), lambda: layers.CategoryEncoding(7)])
def test_ids_of_a_table_are_not_below_zero(consumer):
    inputs = keras.Input((4,), dtype="int32")
    (found,) = survey(keras.Model(inputs, consumer()(inputs))).consumers
    assert (found.ids, found.negative) == (6, False)


def test_integers_below_zero_must_be_taken_by_both():
    def build(count):
        inputs = keras.Input((4,), dtype="int32")
        return survey(keras.Model(inputs, layers.Lambda(count)(inputs)))

    any_number, none_below = build(lambda x: x), build(keras.ops.bincount)
    for pair in ((any_number, none_below), (none_below, any_number)):
        assert joined(*pair).consumers[0].negative is False
    assert joined(any_number, any_number).consumers[0].negative is True


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        ("float32", "float32", "float32"),
        ("int32", "float32", "float32"),
        ("float32", "int32", "float32"),
        ("float16", "float32", "float32"),
        ("uint8", "int32", "int32"),
        ("string", "float32", "string"),
        ("bool", "int32", "bool"),
        ("int32", "bool", "int32"),
    ],
)
def test_inputs_are_drawn_in_a_dtype_that_holds_what_either_takes(ours, theirs, both):
    assert wider(ours, theirs) == both


def test_of_an_input_of_whole_numbers_and_one_of_floats_fractions_are_drawn():
    def build(dtype):
        inputs = keras.Input((None,), dtype=dtype)
        return survey(keras.Model(inputs, keras.ops.cast(inputs, "float32") * 2))

    both = joined(build("int32"), build("float32"))
    assert [layout.specs[0].dtype for layout in (both.layout, both.other)] == ["float32", "float32"]
    assert (both.layout.specs[0].shape, both.other.specs[0].shape) == ((None, 16), (None, 23))


def test_of_a_candidate_with_other_inputs_only_its_masks_count():
    one, other = keras.Input((6, 2)), keras.Input((6, 2))
    both = layers.Add()([layers.GRU(2)(layers.Masking(-1.0)(one)), layers.GRU(2)(other)])
    reference, candidate = survey(sequence_model()), survey(keras.Model([one, other], both))
    assert joined(reference, candidate) == replace(reference, masks=True)


def test_what_is_taken_is_asked_at_inference():
    class Refuses(layers.Layer):
        def call(self, x, training=None):
            if training:
                raise ValueError
            return x

    inputs = keras.Input((4,), dtype="int32")
    assert survey(keras.Model(inputs, Refuses()(inputs))).consumers[0].ids is None
