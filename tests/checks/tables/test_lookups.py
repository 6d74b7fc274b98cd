"""Vocabularies and bin boundaries, which are no variables of the model."""

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.checks.tables.lookups import vocabulary_findings
from pytest_kerasequiv.weights.vocabularies import Learned


def looked_up(layer, dtype):
    def build():
        return keras.Sequential(
            [
                keras.Input((4,), dtype=dtype),
                layer(),
                layers.Embedding(8, 3),
                layers.GlobalAveragePooling1D(),
                layers.Dense(2),
            ]
        )

    return build


def integers(*vocabulary):
    return looked_up(lambda: layers.IntegerLookup(vocabulary=list(vocabulary)), "int64")


def strings(*vocabulary):
    return looked_up(lambda: layers.StringLookup(vocabulary=list(vocabulary)), "string")


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (integers(3, 5, 7), integers(3, 7, 5)),
        (integers(3, 5, 7), integers(3, 5)),
        (strings("x", "y"), strings("y", "x")),
    ],
)
def test_another_vocabulary_is_a_difference(reference, candidate):
    report = compare(reference, candidate, checks=["weights", "outputs"])
    assert report["outputs"].verdict is Verdict.DIFFERENT
    (finding,) = report["weights"].differences
    assert (finding.reference_layer.split("/")[-1].split("_")[-1], finding.field) == ("lookup", "vocabulary")


def test_a_permuted_vocabulary_is_found_where_no_input_shows_it():
    batch = np.array([[3, 5, 7, 9]])
    report = compare(integers(3, 5, 7), integers(3, 7, 5), checks=["weights"], inputs=batch)
    assert report.verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("same", [integers(3, 5, 7), strings("x", "y")])
def test_equal_vocabularies(same):
    assert compare(same, same, checks=["weights", "outputs"]).verdict is Verdict.EQUIVALENT


def test_vocabulary_inside_a_text_vectorization_is_named_once():
    def text(*vocabulary):
        return lambda: keras.Sequential(
            [
                keras.Input((), dtype="string"),
                layers.TextVectorization(vocabulary=list(vocabulary), output_sequence_length=4),
                layers.Embedding(8, 3),
                layers.Flatten(),
            ]
        )

    report = compare(text("a", "b"), text("a", "c"), checks=["weights"])
    (finding,) = report["weights"].differences
    assert finding.reference_layer.endswith("text_vectorization")
    assert "entry 3 is 'b' against 'c'" in finding.message


def test_order_of_layers_and_layers_without_a_partner_say_nothing():
    a, b = Learned("m/a", "vocabulary", (1, 2)), Learned("m/b", "vocabulary", (2, 1))
    assert vocabulary_findings("weights", [a, b], [b, a]) == []
    assert vocabulary_findings("weights", [a, b], [a]) == []


def test_bin_boundaries():
    ours, theirs = (Learned("m/bins", "bin_boundaries", edges) for edges in ((0.0, 1.0), (0.0, 1.5)))
    (finding,) = vocabulary_findings("weights", [ours], [theirs])
    assert "entry 1 is 1.0 against 1.5" in finding.message
