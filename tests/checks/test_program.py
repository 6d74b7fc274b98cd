"""The check `program`: verdict, evidence, findings, figures."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import program
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.verdict import Evidence, Verdict


def sequential(rate=0.2):
    return keras.Sequential(
        [keras.Input((6, 2)), layers.Conv1D(4, 3, activation="relu"), layers.Dropout(rate, name="drop")]
    )


def functional(rate=0.2):
    inputs = keras.Input((6, 2))
    return keras.Model(inputs, layers.Dropout(rate, name="drop")(layers.ReLU()(layers.Conv1D(4, 3)(inputs))))


class OwnStep(keras.Sequential):
    def train_step(self, data):
        return {}


def test_the_same_program_is_proved():
    result = program.CHECK(Pair(Twins(sequential, functional)))
    assert result.verdict is Verdict.EQUIVALENT
    assert result.evidence is Evidence.PROVED
    assert result.findings == ()
    assert result.figures["entries"] == ["inference", "training"]
    assert result.figures["variables"] == [[0, 0], [1, 1], [2, 2]]
    assert result.figures["fingerprints"][0] == result.figures["fingerprints"][1]


def test_a_constant_of_the_same_program_is_a_difference_at_its_layer():
    result = program.CHECK(Pair(Twins(sequential, lambda: functional(0.3))))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.evidence is None
    assert result.differences == result.findings
    assert all(finding.reference_layer.endswith("/drop") for finding in result.findings)
    assert all(finding.candidate_layer.endswith("/drop") for finding in result.findings)
    assert any("1.25" in finding.message for finding in result.findings)
    assert "variables" not in result.figures


def test_another_operation_is_a_note_naming_the_layers():
    def other():
        layers = keras.layers
        return keras.Sequential([keras.Input((6, 2)), layers.Conv1D(4, 3), layers.ReLU(name="relu")])

    def reference():
        layers = keras.layers
        return keras.Sequential([keras.Input((6, 2)), layers.Conv1D(4, 3), layers.Activation("tanh")])

    result = program.CHECK(Pair(Twins(reference, other)))
    assert (result.verdict, result.figures["skeleton"]) == (Verdict.INCONCLUSIVE, "another")
    (finding,) = result.findings
    assert finding.severity == "note"
    assert finding.candidate_layer.endswith("/relu")


def test_constants_that_rounding_explains_are_notes():
    def scaled(value):
        inputs = keras.Input((3,))
        return keras.Model(inputs, inputs * value)

    value = np.float32(0.1)
    apart = float(np.nextafter(value, np.float32(1)))
    result = program.CHECK(Pair(Twins(lambda: scaled(float(value)), lambda: scaled(apart))))
    assert {finding.severity for finding in result.findings} == {"note"}
    assert "1 units in the last place apart" in result.findings[0].message


def test_a_program_that_cannot_be_proved_says_why():
    candidate = OwnStep(sequential().layers)
    candidate.build((None, 6, 2))
    result = program.compare(program.observe(sequential()), program.observe(candidate))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert any("only the candidate has the entry 'train_step'" in f.message for f in result.findings)
    assert all(finding.severity == "note" for finding in result.findings)


@pytest.mark.parametrize("rate", [0.2, 0.3])
def test_the_result_is_plain_data(rate):
    result = program.compare(program.observe(sequential()), program.observe(functional(rate)))
    json.dumps(result.to_dict(), allow_nan=False)


def test_observing_needs_no_other_side():
    """An observation made earlier, or elsewhere, is compared like a fresh one."""
    import pickle

    observed = pickle.loads(pickle.dumps(program.observe(sequential())))
    assert program.compare(observed, program.observe(functional())).verdict is Verdict.EQUIVALENT


def test_the_mask_of_an_output_is_part_of_the_program():
    def embedding(masked):
        inputs = keras.Input((4,), dtype="int32")
        return keras.Model(inputs, layers.Embedding(5, 3, mask_zero=masked)(inputs))

    def proved(reference, candidate):
        return program.CHECK(Pair(Twins(lambda: embedding(reference), lambda: embedding(candidate)))).evidence

    assert proved(True, True) is Evidence.PROVED
    assert proved(True, False) is None
