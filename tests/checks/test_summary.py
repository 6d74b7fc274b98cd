"""Check ``summary``: aligned rows, totals, side by side."""

import json

import keras
import pytest
from keras import layers

from pytest_kerasequiv import Twins, Verdict, compare
from pytest_kerasequiv.checks import summary


def forecaster(*, between=(), units=4, strides=1, rate=0.2, frozen=False):
    return keras.Sequential(
        [
            keras.Input((20, 2)),
            layers.Conv1D(4, 7, strides=strides, trainable=not frozen),
            *between,
            layers.LSTM(units),
            layers.Dropout(rate),
            layers.Dense(2),
        ]
    )


def functional():
    inputs = keras.Input((20, 2), name="days")
    x = layers.Conv1D(4, 7, name="first")(inputs)
    x = layers.LSTM(4, name="second")(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def result(reference, candidate):
    return summary.compare(summary.observe(reference), summary.observe(candidate))


def found(outcome):
    return [(f.field, f.reference_layer, f.candidate_layer, f.severity) for f in outcome.findings]


def test_names_and_input_layers_do_not_matter():
    outcome = result(forecaster(), functional())
    assert outcome.verdict is Verdict.EQUIVALENT
    assert outcome.findings == ()


def test_the_check_runs_over_twins():
    report = compare(Twins(functional, forecaster), checks=["summary"])
    assert report.verdict is Verdict.EQUIVALENT
    report = compare(functional, lambda: forecaster(units=5), checks=["summary"])
    assert report.verdict is Verdict.DIFFERENT
    json.dumps(report.to_dict())


@pytest.mark.parametrize(
    "layer", [layers.BatchNormalization, lambda: layers.Dropout(0.5), lambda: layers.MaxPooling1D(2)]
)
def test_one_inserted_layer_is_one_difference(layer):
    outcome = result(forecaster(), forecaster(between=[layer()]))
    assert outcome.verdict is Verdict.DIFFERENT
    (difference,) = outcome.differences
    assert difference.field == "layer"
    assert difference.reference_layer is None
    assert "only the candidate has" in difference.message
    outcome = result(forecaster(between=[layer()]), forecaster())
    (difference,) = outcome.differences
    assert difference.candidate_layer is None
    assert "only the reference has" in difference.message


def test_a_replaced_layer_is_one_difference():
    outcome = result(
        forecaster(between=[layers.MaxPooling1D(2)]), forecaster(between=[layers.AveragePooling1D(2)])
    )
    (difference,) = outcome.differences
    assert (difference.field, difference.reference, difference.candidate) == (
        "layer",
        "MaxPooling1D",
        "AveragePooling1D",
    )


def test_what_follows_from_another_shape_is_a_note():
    outcome = result(forecaster(), forecaster(strides=2))
    (difference,) = outcome.differences
    assert (difference.field, difference.reference, difference.candidate) == (
        "output_shape",
        "(14, 4)",
        "(7, 4)",
    )
    assert difference.reference_layer.endswith("/conv1d") or "conv1d" in difference.reference_layer
    assert outcome.notes == ()

    outcome = result(forecaster(), forecaster(units=5))
    assert {f.field for f in outcome.differences} == {"output_shape", "parameters"}
    assert all("lstm" in f.reference_layer for f in outcome.differences)
    assert {f.reference_layer.rsplit("/")[-1].split("_")[0] for f in outcome.notes} == {"dropout", "dense"}
    assert all("another shape from above" in f.message for f in outcome.notes)


def test_where_only_inputs_differ_the_first_row_counts():
    def model(steps):
        return keras.Sequential(
            [keras.Input((steps, 2)), layers.Conv1D(4, 3), layers.MaxPooling1D(2), layers.LSTM(2)]
        )

    outcome = result(model(20), model(24))
    assert outcome.verdict is Verdict.DIFFERENT
    (difference,) = outcome.differences
    assert difference.field == "output_shape"
    assert len(outcome.notes) == 1


def test_a_frozen_layer():
    outcome = result(forecaster(), forecaster(frozen=True))
    (difference,) = outcome.differences
    assert (difference.field, difference.reference, difference.candidate) == ("trainable", True, False)
    assert "frozen Conv1D (" in outcome.figures["text"]


def test_a_rate_is_not_in_a_summary():
    assert result(forecaster(), forecaster(rate=0.3)).verdict is Verdict.EQUIVALENT


def test_nested_models_are_expanded():
    def nested():
        block = keras.Sequential([keras.Input((20, 2)), layers.Conv1D(4, 7), layers.LSTM(4)], name="block")
        return keras.Sequential([block, layers.Dropout(0.2), layers.Dense(2)], name="outer")

    outcome = result(forecaster(), nested())
    assert outcome.verdict is Verdict.EQUIVALENT
    layers_named = [row["layer"] for row in outcome.figures["candidate"]["rows"]]
    assert layers_named[0].startswith("outer/block/")


class Tied(layers.Layer):
    """Multiplies by the kernel of another layer, or by one of its own."""

    def __init__(self, other=None):
        super().__init__()
        self.kernel = self.add_weight(shape=(3, 3)) if other is None else other.kernel

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.kernel)

    def compute_output_shape(self, input_shape):
        return input_shape


def test_shared_weights_show_in_the_totals():
    def model(*, shared):
        inputs = keras.Input((3,))
        first = layers.Dense(3)
        x = first(inputs)
        return keras.Model(inputs, Tied(first if shared else None)(x))

    outcome = result(model(shared=False), model(shared=True))
    assert outcome.verdict is Verdict.DIFFERENT
    finding = outcome.findings[0]
    assert (finding.field, finding.reference, finding.candidate) == ("parameters", 21, 12)
    assert "shares weights" in finding.message


def test_the_order_in_which_a_merge_names_its_inputs_does_not_matter():
    def model(*, swapped):
        inputs = keras.Input((3,))
        a = layers.Dense(4, name="a")(inputs)
        b = layers.BatchNormalization()(layers.Dense(4, name="b")(inputs))
        return keras.Model(inputs, layers.Add()([b, a] if swapped else [a, b]))

    one, other = model(swapped=False), model(swapped=True)
    assert [layer.name for layer in one.layers] != [layer.name for layer in other.layers]
    assert result(one, other).verdict is Verdict.EQUIVALENT


def test_a_subclassed_model_has_rows_too():
    class Model(keras.Model):
        def __init__(self, units=4):
            super().__init__()
            self.conv = layers.Conv1D(4, 7)
            self.lstm = layers.LSTM(units)
            self.dropout = layers.Dropout(0.2)
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(self.dropout(self.lstm(self.conv(x))))

    twins = Twins(forecaster, Model)
    outcome = result(twins.reference, twins.candidate)
    assert outcome.verdict is Verdict.EQUIVALENT
    (note,) = outcome.notes
    assert note.message == "1 of 4 rows tell no output shape on one side; the first is model/dropout"
    twins = Twins(forecaster, lambda: Model(units=5))
    assert result(twins.reference, twins.candidate).verdict is Verdict.DIFFERENT


def test_an_operator_counts_as_its_layer():
    def model(*, operator):
        inputs = keras.Input((3,))
        a, b = layers.Dense(4)(inputs), layers.Dense(4)(inputs)
        return keras.Model(inputs, a + b if operator else layers.Add()([a, b]))

    assert result(model(operator=False), model(operator=True)).verdict is Verdict.EQUIVALENT


def test_the_text_is_at_most_100_columns_wide():
    wide = [
        layers.Dense(10**5, name="a_name_that_is_much_too_long_for_any_column_in_a_table"),
        layers.LeakyReLU(),
    ]
    outcome = result(forecaster(), forecaster(between=wide))
    lines = outcome.figures["text"].splitlines()
    assert max(len(line) for line in lines) <= 100
    assert any(line.startswith("+") and "Dense (a_name_" in line for line in lines)
    assert lines[0].split() == ["reference", "candidate"]
    assert any("trainable parameters" in line and line.startswith("!") for line in lines)


def test_one_layer_is_counted_as_one():
    one = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    two = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dense(2)])
    lines = result(one, two).figures["text"].splitlines()
    assert ["!", "1", "layer", "2", "layers"] in [line.split() for line in lines]


def test_the_report_shows_the_rows_side_by_side_where_only_structure_was_compared():
    report = compare(forecaster, lambda: forecaster(units=5), checks=["summary", "graph"])
    assert "\n! LSTM (lstm)" in str(report)
    assert max(len(line) for line in str(report).splitlines()) <= 100
    report = compare(forecaster, functional, checks=["summary"])
    assert "LSTM" not in str(report)


def test_long_equal_stretches_are_shortened():
    def model(count, last):
        return keras.Sequential([keras.Input((3,)), *[layers.Dense(3) for _ in range(count)], last])

    outcome = result(model(30, layers.Dense(2)), model(30, layers.Dense(1)))
    assert "... 28 equal rows" in outcome.figures["text"]
    assert len(outcome.figures["text"].splitlines()) < 15


def test_figures_hold_both_tables_and_the_alignment():
    outcome = result(forecaster(), forecaster(between=[layers.BatchNormalization()]))
    figures = json.loads(json.dumps(outcome.to_dict()))["figures"]
    assert [row["kind"] for row in figures["reference"]["rows"]] == ["Conv1D", "LSTM", "Dropout", "Dense"]
    assert figures["reference"]["parameters"] == 214
    states = [(line["reference"], line["candidate"], line["state"]) for line in figures["alignment"]]
    assert states == [(0, 0, "same"), (None, 1, "extra"), (1, 2, "same"), (2, 3, "same"), (3, 4, "same")]


def test_the_counters_of_keras_names_are_left_alone():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.last = layers.Dense(2)

        def call(self, x):
            return self.last(x)

    def next_name():
        return keras.KerasTensor((1,)).name

    twins = Twins(Subclassed, Subclassed, input_shape=(3,))
    _ = twins.reference, twins.candidate
    before = next_name()
    compare(twins, checks=["summary"])
    assert int(next_name().rpartition("_")[2]) == int(before.rpartition("_")[2] or 0) + 1
