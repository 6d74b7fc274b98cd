"""What preprocessing layers have learned goes with the weights: a file against today's builder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv import Twins, Verdict, compare, record
from pytest_kerasequiv.weights.adapted import (
    adapted_of,
    adapting_layers,
    has_learned,
    learned_statistics,
    lent,
)
from pytest_kerasequiv.weights.variables import assign, values_of

Build = Callable[[], keras.Model]
NUMBERS = np.random.default_rng(0).normal(5, 2, (64, 3)).astype("float32")


def normalized() -> keras.Model:
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Dense(2)(layers.Normalization()(inputs)))


def looked_up(*vocabulary: str) -> Build:
    def build() -> keras.Model:
        inputs = keras.Input((3,), dtype="string")
        known = layers.StringLookup(vocabulary=list(vocabulary) or None)(inputs)
        return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Embedding(8, 2)(known))))

    return build


def binned() -> keras.Model:
    inputs = keras.Input((3,))
    bins = layers.Discretization(num_bins=4)(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Embedding(8, 2)(bins))))


def adapted(build: Build, data: Any, path: Path) -> str:
    model = build()
    model.layers[1].adapt(data)
    model.save(path)
    return str(path)


@pytest.mark.parametrize(
    ("build", "data"),
    [(normalized, NUMBERS), (looked_up(), np.array([["x", "y", "x"]])), (binned, NUMBERS)],
    ids=["statistics", "vocabulary", "boundaries"],
)
def test_a_file_against_todays_builder(build: Build, data: Any, tmp_path: Path) -> None:
    path = adapted(build, data, tmp_path / "model.keras")
    for pair in ((path, build), (build, path)):
        report = compare(*pair)
        assert report.verdict is Verdict.EQUIVALENT, str(report)
    assert any("adapt() learned" in note.message for note in report["weights"].notes) or build is normalized


def test_every_build_of_the_builder_has_learned(tmp_path: Path) -> None:
    twins = Twins(adapted(normalized, NUMBERS, tmp_path / "model.keras"), normalized)
    expected = twins.reference.layers[1].adapt_mean.numpy()
    assert expected.any()
    np.testing.assert_array_equal(twins.candidate.layers[1].adapt_mean.numpy(), expected)
    again = twins.candidate_source.build(3).layers[1]
    np.testing.assert_array_equal(again.adapt_mean.numpy(), expected)
    np.testing.assert_array_equal(np.squeeze(again.mean), expected)


def test_another_vocabulary_is_not_overruled(tmp_path: Path) -> None:
    path = adapted(looked_up(), np.array([["x", "y", "x"]]), tmp_path / "model.keras")
    assert compare(path, looked_up("y", "x")).verdict is Verdict.DIFFERENT


def test_between_builders_what_is_learned_belongs_to_the_model() -> None:
    def learned() -> keras.Model:
        model = normalized()
        model.layers[1].adapt(NUMBERS)
        return model

    assert compare(learned, learned).verdict is Verdict.EQUIVALENT
    report = compare(learned, normalized, checks=["program", "weights"])
    assert {finding.field for finding in report["weights"].differences} >= {"mean", "variance"}
    assert compare(learned, normalized, weights="copy").verdict is Verdict.EQUIVALENT


def test_assigned_statistics_are_computed_with() -> None:
    model, other = normalized(), normalized()
    model.layers[1].adapt(NUMBERS)
    assign(other, values_of(model))
    np.testing.assert_array_equal(other(NUMBERS[:4]), model(NUMBERS[:4]))


def test_layers_without_a_partner_of_their_class_are_given_nothing() -> None:
    inputs = keras.Input((3,))
    twice = keras.Model(inputs, layers.Normalization()(layers.Normalization()(inputs)))
    once = normalized()
    once.layers[1].adapt(NUMBERS)
    assert not list(lent(once, twice, statistics=True))
    assert not list(lent(once, normalized(), statistics=False))


def test_a_vocabulary_is_given_only_to_a_layer_without_any() -> None:
    with_one, without = looked_up("x"), looked_up()
    assert has_learned(with_one().layers[1])
    assert len(list(lent(with_one(), without(), statistics=False))) == 1
    for giver, taker in ((without, with_one), (with_one, with_one), (without, without)):
        assert not list(lent(giver(), taker(), statistics=False))


def test_statistics_that_a_layer_is_told_are_not_learned() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Normalization(mean=1.0, variance=2.0)])
    assert not adapting_layers(model)


def test_what_a_text_vectorization_learned_is_plain_data() -> None:
    model = keras.Sequential([keras.Input((), dtype="string"), layers.TextVectorization()])
    model.layers[0].adapt(np.array(["a b", "a"]))
    found = adapted_of(adapting_layers(model)[0])
    assert b"a" in next(iter(found.assets.values()))


def told(factor: float = 1.0) -> keras.Model:
    """The statistics of `NUMBERS`, written down instead of learned."""
    inputs = keras.Input((3,))
    norm = layers.Normalization(mean=NUMBERS.mean(0), variance=factor * NUMBERS.var(0))
    return keras.Model(inputs, layers.Dense(2)(norm(inputs)))


def by_hand() -> keras.Model:
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Dense(2)((inputs - NUMBERS.mean(0)) / NUMBERS.std(0)))


def learning() -> keras.Model:
    model = normalized()
    model.layers[1].adapt(NUMBERS)
    return model


def test_learned_statistics_are_those_that_another_twin_has_in_its_code(tmp_path: Path) -> None:
    recording = str(record(learning, tmp_path / "learned.kerasequiv"))
    for reference in (learning, recording):
        for candidate in (told, by_hand):
            assert compare(reference, candidate).verdict is Verdict.EQUIVALENT
        assert compare(reference, partial(told, 1.01)).verdict is Verdict.DIFFERENT
    assert compare(told, learning).verdict is Verdict.EQUIVALENT


def test_statistics_are_learned_once_they_are_not_those_of_the_start() -> None:
    assert not learned_statistics(normalized())
    model = learning()
    assert learned_statistics(model) == {id(variable) for variable in model.layers[1].weights}
