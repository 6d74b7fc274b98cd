"""Copying weights through the map, and the map as a table."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv import InputError, Report, Twins, Verdict, compare
from pytest_kerasequiv.weight_map import WeightMap

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def branches(first, second):
    """Two branches whose weights stand in the order in which their layers were made."""

    def build():
        x = keras.Input((4,))
        made = {name: layers.Dense(3, name=name) for name in (first, second)}
        left, right = made["left"](x), made["right"](x)
        return keras.Model(x, layers.Dense(1, name="out")(layers.Subtract()([left, layers.ReLU()(right)])))

    return build


def by_convolution():
    x = keras.Input((4,))
    return keras.Model(x, layers.Reshape((2,))(layers.Conv1D(2, 1)(layers.Reshape((1, 4))(x))))


def dense():
    return keras.Sequential([keras.Input((4,)), layers.Dense(2)])


def test_weights_are_copied_by_what_they_do_and_not_by_order():
    twins = Twins(branches("left", "right"), branches("right", "left"))
    reference, candidate = twins.reference, twins.candidate
    reference.set_weights([w + 1.0 for w in reference.get_weights()])
    assert not np.allclose(reference(X), candidate(X))
    copied = twins.copy_weights()
    np.testing.assert_allclose(reference(X), candidate(X), rtol=1e-6)
    assert {row.reference.split("/")[-2]: row.candidate.split("/")[-2] for row in copied} == {
        "left": "left",
        "right": "right",
        "out": "out",
    }
    assert twins.candidate is candidate


def test_the_twins_are_compared_as_before_after_copying():
    twins = Twins(branches("left", "right"), branches("right", "left"))
    twins.copy_weights()
    assert compare(twins).verdict is Verdict.EQUIVALENT


def test_a_value_is_reshaped_on_the_way():
    twins = Twins(dense, by_convolution)
    copied = twins.copy_weights()
    np.testing.assert_allclose(twins.reference(X), twins.candidate(X), rtol=1e-6)
    kernel = next(row for row in copied if row.reference.endswith("kernel"))
    assert (kernel.reference_shape, kernel.candidate_shape) == ((4, 2), (1, 4, 2))
    assert "(4, 2) -> (1, 4, 2)" in str(copied)


def test_states_of_random_generators_are_left_alone():
    def build():
        return keras.Sequential([keras.Input((4,)), layers.Dropout(0.5), layers.Dense(2)])

    reference, candidate = build(), build()
    states = [v.numpy().copy() for v in candidate.non_trainable_variables]
    assert len(Twins(reference, candidate).copy_weights()) == 2
    for before, now in zip(states, candidate.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(before, now.numpy())


def test_nothing_is_copied_where_a_weight_has_no_partner():
    def wider():
        return keras.Sequential([keras.Input((4,)), layers.Dense(2), layers.Dense(2)])

    twins = Twins(dense, wider)
    before = twins.candidate.get_weights()
    with pytest.raises(InputError, match=r"weights cannot be copied: .* has no partner"):
        twins.copy_weights()
    for ours, theirs in zip(before, twins.candidate.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_report_has_the_map_also_after_json():
    report = compare(dense, by_convolution, checks=["weights"])
    table = report.weight_map
    assert len(table) == 2
    assert table.certain
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))).weight_map == table
    header, first, *_ = str(table).splitlines()
    assert header.split("  ")[0] == "reference"
    assert first.split()[-1] == table.rows[0].by


def test_without_the_check_there_is_no_map():
    with pytest.raises(KeyError, match="weights"):
        _ = compare(dense, by_convolution, checks=["summary"]).weight_map


def test_a_map_that_is_not_certain_says_so():
    table = WeightMap((), certain=False, unmapped_reference=("m/a",), unmapped_candidate=("n/b",))
    told = str(table)
    assert "not certain" in told
    assert "only in the reference: m/a" in told
    assert "only in the candidate: n/b" in told
