"""The cause is read before its consequences, on small real pairs and on findings made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import pytest
from keras import layers
from tests.common.unread_inputs import needs_unread_inputs

from pytest_kerasequiv import CheckResult, Evidence, Finding, Report, Verdict, compare
from pytest_kerasequiv.reporting.causes import account, culprit
from pytest_kerasequiv.reporting.text import render
from pytest_kerasequiv.verdict import ACCEPTED, MISMATCHED, Kind


def recurrent(sequences: bool) -> keras.Model:
    x = keras.Input((5, 3))
    hidden = layers.LSTM(2, return_sequences=sequences)(x)
    return keras.Model(x, layers.Dense(1)(layers.Flatten()(hidden)))


def convolution(padding: str) -> keras.Model:
    x = keras.Input((8, 2))
    return keras.Model(x, layers.Dense(1)(layers.Flatten()(layers.Conv1D(2, 3, padding=padding)(x))))


def towers(share: bool) -> keras.Model:
    left, right = keras.Input((3,)), keras.Input((3,))
    tower = layers.Dense(2)
    other = tower if share else layers.Dense(2)
    return keras.Model([left, right], layers.Dense(1)(layers.Concatenate()([tower(left), other(right)])))


def pair_of_inputs(swap: bool) -> keras.Model:
    age, income = keras.Input((3,), name="age"), keras.Input((3,), name="income")
    joined = layers.Concatenate()([income, age] if swap else [age, income])
    return keras.Model([age, income], layers.Dense(1)(joined))


PAIRS: dict[str, tuple[Any, Any, str, str]] = {
    "sequences for the last step": (
        lambda: recurrent(False),
        lambda: recurrent(True),
        "return_sequences",
        "",
    ),
    "padding": (lambda: convolution("valid"), lambda: convolution("same"), "padding", ""),
    "shared weights": (lambda: towers(True), lambda: towers(False), "sharing", "shared against separate"),
    "inputs": (lambda: pair_of_inputs(False), lambda: pair_of_inputs(True), "inputs", "0 and 1 are swapped"),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_the_setting_is_read_before_the_shapes_that_follow(pair: str) -> None:
    reference, candidate, field, told = PAIRS[pair]
    first = culprit(compare(reference, candidate))
    assert first is not None
    assert (first.check, first.field) == ("graph", field)
    assert told in first.message


def test_what_default_initialisers_and_one_map_need_no_word_about_is_not_said() -> None:
    def build(activation: str) -> keras.Model:
        return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation=activation), layers.Dense(1)])

    notes = str(compare(lambda: build("relu"), lambda: build("tanh")).findings)
    assert "initialiser form" not in notes
    assert "activation split" not in notes
    assert "which variable is which" not in notes


def test_an_activation_of_its_own_brings_no_word_about_initialisers() -> None:
    def build(apart: bool) -> keras.Model:
        last = [layers.ReLU()] if apart else []
        hidden = layers.Dense(3, activation=None if apart else "relu")
        return keras.Sequential([keras.Input((4,)), hidden, *last, layers.Dense(1)])

    notes = str(compare(lambda: build(False), lambda: build(True)).findings)
    assert "activation split" in notes
    assert "initialiser form" not in notes


def found(check: str, field: str, layer: str | None, kind: Kind) -> CheckResult:
    finding = Finding(check, layer, layer, field, 1, 2, f"{field} of {layer}")
    return CheckResult(check, Verdict.DIFFERENT, Evidence.MEASURED, (finding,), kind=kind)


def first_of(*results: CheckResult) -> tuple[str, str]:
    first = culprit(Report("pair", Verdict.DIFFERENT, None, {one.name: one for one in results}))
    assert first is not None
    return first.check, first.field


GRAPH = found("graph", "rate", "m/a", Kind.INFORMING)


@pytest.mark.parametrize("field", ["kernel shape", "shape", "variables"])
def test_shapes_and_variables_are_explained_by_a_change_of_any_layer(field: str) -> None:
    assert first_of(GRAPH, found("weights", field, "m/b", Kind.START)) == ("graph", "rate")


def test_other_numbers_of_a_layer_are_explained_by_its_own_change_only() -> None:
    assert first_of(GRAPH, found("outputs", "value", "m/b", Kind.NUMERIC)) == ("outputs", "value")
    assert first_of(GRAPH, found("outputs", "value", "m/a", Kind.NUMERIC)) == ("graph", "rate")
    assert first_of(GRAPH, found("outputs", "value", None, Kind.NUMERIC)) == ("graph", "rate")


@pytest.mark.parametrize("field", ["mask", "training"])
def test_a_cause_that_was_found_by_running_stays_the_first(field: str) -> None:
    assert first_of(GRAPH, found("outputs", field, "m/a", Kind.NUMERIC)) == ("outputs", field)


def test_rows_of_summaries_explain_nothing() -> None:
    summary = found("summary", "shape", "m/a", Kind.INFORMING)
    assert first_of(summary, found("weights", "shape", "m/a", Kind.START)) == ("weights", "shape")
    assert first_of(summary) == ("summary", "shape")


def report_of(*results: CheckResult) -> Report:
    return Report("pair", Verdict.DIFFERENT, Evidence.MEASURED, {one.name: one for one in results})


def many(check: str, kind: Kind, *findings: tuple[str, str | None, Any, str]) -> CheckResult:
    """A check that found differences, each given by field, layer, the candidate's value and message."""
    made = tuple(
        Finding(check, layer, layer, field, 1, value, said) for field, layer, value, said in findings
    )
    return CheckResult(check, Verdict.DIFFERENT, Evidence.MEASURED, made, kind=kind)


def test_what_follows_is_folded_under_its_causes() -> None:
    summary = many("summary", Kind.INFORMING, ("output_shape", "m/a", 2, "another shape"))
    graph = many(
        "graph",
        Kind.INFORMING,
        ("rate", "m/a", 2, "rate of a"),
        ("inner.rate", "m/a", 2, "the same of the layer inside"),
        ("units", "m/b", 3, "units of b"),
        ("mask", "m/c", 4, "c reads no mask"),
    )
    program = many("program", Kind.PROVING, ("constant", "m/a/inner", 9, "parts in a"))
    outputs = many(
        "outputs",
        Kind.NUMERIC,
        ("rate", "m/a/inner", 2, "the rate told again"),
        ("epsilon", "m/d", 5, "epsilon of d"),
        ("value", None, 6, f"output 0 differs\n{MISMATCHED}3"),
        ("inference", None, 7, "only the reference has, in 'inference': a loss"),
    )
    sorted_out = account(report_of(summary, graph, program, outputs))
    assert [f.message for f in sorted_out.causes] == ["rate of a", "units of b", "epsilon of d"]
    assert len(sorted_out.consequences) == 7
    text = render(report_of(summary, graph, program, outputs))
    assert (
        "other findings of summary, graph, program and outputs follow from these: see report.findings" in text
    )
    assert "told again" not in text


def test_two_settings_of_one_layer_are_two_causes() -> None:
    graph = many(
        "graph", Kind.INFORMING, ("dropout", "m/a", 2, "one"), ("recurrent_dropout", "m/a", 2, "two")
    )
    outputs = many("outputs", Kind.NUMERIC, ("value", None, 6, f"differs\n{MISMATCHED}3"))
    assert [f.message for f in account(report_of(graph, outputs)).causes] == ["one", "two"]


def test_two_compile_settings_are_two_causes() -> None:
    updates = many(
        "updates", Kind.NUMERIC, ("optimizer.rate", None, 2, "a"), ("optimizer.clip", None, 2, "b")
    )
    assert [f.message for f in account(report_of(updates)).causes] == ["a", "b"]


def test_a_setting_of_an_outer_layer_is_why_an_inner_one_is_called_otherwise() -> None:
    graph = many("graph", Kind.INFORMING, ("pass_on", "m/block", 2, "pass_on"))
    gradients = many("gradients", Kind.NUMERIC, ("training", "m/block/dropout", 2, "called with training"))
    sorted_out = account(report_of(graph, gradients))
    assert [f.message for f in sorted_out.causes] == ["pass_on"]


def test_what_is_expected_is_folded_and_notes_are_said_once() -> None:
    notes = [f"{ACCEPTED}clip is 1, then 2", "not compiled", "not compiled"]
    found = tuple(Finding("outputs", None, None, "clip", 1, 2, note, "note") for note in notes)
    result = CheckResult("outputs", Verdict.EQUIVALENT, Evidence.MEASURED, found)
    report = Report("pair", Verdict.EQUIVALENT, Evidence.MEASURED, {"outputs": result})
    sorted_out = account(report)
    assert [f.message for f in sorted_out.notes] == ["not compiled"]
    assert [f.message for f in sorted_out.accepted] == notes[:1]
    text = render(report)
    assert "accepted, 1 difference in outputs: clip" in text
    assert text.count("not compiled") == 1


def test_a_setting_explains_the_operation_that_is_called_with_it() -> None:
    graph = many("graph", Kind.INFORMING, ("mask_value", "m/masking", 0, "mask_value"))
    graph = replace(graph, findings=tuple(replace(one, reference=-1) for one in graph.findings))
    outputs = many("outputs", Kind.NUMERIC, ("x2", "m/not_equal", 0.0, "called with x2"))
    outputs = replace(outputs, findings=tuple(replace(one, reference=-1.0) for one in outputs.findings))
    assert [f.message for f in account(report_of(graph, outputs)).causes] == ["mask_value"]


MORE: dict[str, tuple[Any, Any, str]] = {
    "the mask's value": (
        lambda: masked(0.0),
        lambda: masked(-1.0),
        "masking (Masking): mask_value is 0 in the reference and -1 in the candidate",
    ),
    "a model that is shared": (
        lambda: two_towers(True),
        lambda: two_towers(False),
        "calls one model, net/tower, where the candidate has 2: net/tower, net/other",
    ),
    "an input that is dropped": (
        lambda: summed(3),
        lambda: summed(2),
        "the candidate does not read 'input 2'",
    ),
    "another activation": (
        lambda: activated("relu"),
        lambda: activated("elu"),
        "activation is 'relu' in the reference and 'elu' in the candidate",
    ),
    "a layer that acts on one side": (
        lambda: flattened(False),
        lambda: flattened(True),
        "return_sequences is False in the reference and True in the candidate",
    ),
}


def masked(value: float) -> keras.Model:
    x = keras.Input((5, 2))
    return keras.Model(x, layers.LSTM(2)(layers.Masking(value)(x)))


def two_towers(share: bool) -> keras.Model:
    def tower(name: str) -> keras.Model:
        return keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dense(2)], name=name)

    left, right = keras.Input((3,)), keras.Input((3,))
    one = tower("tower")
    other = one if share else tower("other")
    both = layers.Concatenate()([one(left), other(right)])
    return keras.Model([left, right], layers.Dense(1)(both), name="net")


def summed(count: int) -> keras.Model:
    inputs = [keras.Input((3,), name=f"input {number}") for number in range(3)]
    return keras.Model(inputs, layers.Dense(1)(layers.Add()(inputs[:count])))


def activated(activation: str) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation=activation), layers.Dense(1)])


def flattened(sequences: bool) -> keras.Model:
    x = keras.Input((5, 3))
    hidden = layers.LSTM(2, return_sequences=sequences)(x)
    return keras.Model(x, layers.Dense(1)(layers.Flatten()(hidden)))


@pytest.mark.parametrize(
    "pair",
    [pytest.param(one, marks=needs_unread_inputs if "dropped" in one else ()) for one in MORE],
)
def test_the_cause_is_said_in_the_users_words(pair: str) -> None:
    reference, candidate, told = MORE[pair]
    sorted_out = account(compare(reference, candidate))
    assert told in sorted_out.causes[0].message
    others = [finding.message for finding in sorted_out.causes[1:]]
    assert all("changes nothing in the reference, but does in the candidate" in other for other in others)


def test_what_fails_is_said_in_its_own_words() -> None:
    class Refusing(layers.Layer):
        def call(self, x, training=None):
            if training:
                raise ValueError("only for inference")
            return x

    def build(refuse: bool) -> keras.Model:
        inner = [Refusing()] if refuse else []
        return keras.Sequential([keras.Input((4,)), *inner, layers.Dense(1)])

    text = " ".join(str(compare(lambda: build(False), lambda: build(True))).split())
    assert "only for inference" in text
    assert "\x1b" not in text
    assert "Arguments received" not in text


class Subclassed(keras.Model):
    """A model whose own code stands before, between and behind its layers."""

    def __init__(self, **functions: Any) -> None:
        super().__init__()
        self.first, self.last = layers.Dense(4), layers.Dense(1)
        self.functions = functions

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.first.build(shape)
        self.last.build((shape[0], 4))
        super().build(shape)

    def call(self, inputs: Any) -> Any:
        hidden = self._changed("between", self.first(inputs))
        return self._changed("behind", self.last(hidden))

    def _changed(self, where: str, tensor: Any) -> Any:
        return self.functions[where](tensor) if where in self.functions else tensor


def told(reference: dict[str, Any], candidate: dict[str, Any]) -> str:
    def build(functions: dict[str, Any]) -> Any:
        def builder() -> keras.Model:
            model = Subclassed(**functions)
            model.build((None, 3))
            return model

        return builder

    report = compare(build(reference), build(candidate), input_shape=(3,))
    assert report.verdict is Verdict.DIFFERENT
    return " ".join(str(report).split())


def test_a_number_in_code_that_calls_the_layers_is_read_first() -> None:
    text = told({"between": lambda x: x * 2.0}, {"between": lambda x: x * 3.0})
    assert "program: the programs are the same but for 2.0 against 3.0 at Mul in subclassed" in text
    assert "wired differently" not in text


def test_operations_in_code_that_calls_the_layers_are_named() -> None:
    relu, gelu = keras.ops.relu, keras.ops.gelu
    text = told({"between": relu}, {"between": gelu})
    assert "gets other inputs: the inference programs part in subclassed: Relu in the reference, Mul" in text
    text = told({"behind": keras.ops.sigmoid}, {"behind": keras.ops.tanh})
    assert (
        "the inference programs part in subclassed: Sigmoid in the reference, Tanh in the candidate" in text
    )
