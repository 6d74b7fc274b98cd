"""Probes: what is drawn for which input."""

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.surface.probes import NoProbes, probes_for, survey, training_batch


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
