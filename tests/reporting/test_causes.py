"""The cause is read before its consequences, on small real pairs and on findings made by hand."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers

from pytest_kerasequiv import CheckResult, Evidence, Finding, Report, Verdict, compare
from pytest_kerasequiv.reporting.causes import culprit
from pytest_kerasequiv.verdict import Kind


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
