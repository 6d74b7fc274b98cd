"""Alignment of two programs by operations and edges, and the constants over which they part."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.common.models import functional

from pytest_kerasequiv.program import trace
from pytest_kerasequiv.program.json_form import from_data, to_data
from pytest_kerasequiv.program.skeleton import align


def aligned(one, other, shape=(4,), dtype=None):
    return align(trace(functional(one, shape, dtype=dtype)), trace(functional(other, shape, dtype=dtype)))


def told(alignment):
    return {(p.operation, p.reference.split()[-1], p.candidate.split()[-1]) for p in alignment.partings}


@pytest.mark.parametrize(
    ("one", "other", "operation", "values"),
    [
        (lambda x: ops.minimum(x, 50.0), lambda x: ops.minimum(x, 100.0), "Minimum", ("50.0", "100.0")),
        (lambda x: x * 2.0, lambda x: x * 3.0, "Mul", ("2.0", "3.0")),
        (
            layers.LeakyReLU(negative_slope=0.1),
            layers.LeakyReLU(negative_slope=0.2),
            "LeakyRelu",
            ("0.1", "0.2"),
        ),
    ],
)
def test_one_skeleton_with_another_constant(one, other, operation, values):
    found = aligned(lambda x: one(layers.Dense(3)(x)), lambda x: other(layers.Dense(3)(x)))
    assert found.same
    assert (operation, *values) in told(found)
    assert not any(parting.rounds for parting in found.partings)


def test_the_layer_of_a_parting_is_named():
    models = [
        functional(lambda x, e=e: layers.BatchNormalization(name="bn", epsilon=e)(x), (4,))
        for e in (1e-3, 1.0001e-3)
    ]
    found = align(*map(trace, models))
    assert {p.reference_layer for p in found.partings} == {f"{models[0].name}/bn"}
    assert all(p.units is not None and 800 < p.units < 900 for p in found.partings)


def test_constants_one_unit_apart_are_rounding():
    one, other = np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1))
    found = aligned(lambda x: x + one, lambda x: x + other)
    assert found.same
    assert [parting.units for parting in found.partings] == [1.0]
    assert found.partings[0].rounds


def test_the_same_program_has_no_partings():
    body = lambda x: layers.Dense(2)(layers.LayerNormalization()(layers.Dense(3, activation="gelu")(x)))  # noqa: E731
    assert aligned(body, body) == align(*[trace(functional(body, (4,)))] * 2)
    assert aligned(body, body).same
    assert not aligned(body, body).partings


def used_twice(x):
    dense = layers.Dense(4)
    return dense(dense(x))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: x / 2.0, lambda x: x * 0.5),
        (lambda x: ops.relu(layers.Dense(4)(x)), lambda x: ops.tanh(layers.Dense(4)(x))),
        (lambda x: layers.Dense(4)(layers.Dense(4)(x)), used_twice),
        (lambda x: x - ops.tanh(x), lambda x: ops.tanh(x) - x),
        (layers.Dense(4), layers.Dense(4, use_bias=False)),
    ],
    ids=["operation", "activation", "shared", "operands", "bias"],
)
def test_another_skeleton(one, other):
    assert not aligned(one, other).same


def test_operands_that_may_change_places_are_paired_by_what_they_are():
    def body(first, second, scale):
        def made(x):
            branches = {"relu": ops.relu(x) * 2.0, "tanh": ops.tanh(x) * scale}
            return branches[first] + branches[second]

        return made

    found = aligned(body("relu", "tanh", 3.0), body("tanh", "relu", 4.0))
    assert told(found) == {("Mul", "3.0", "4.0")}


def test_equal_branches_are_paired_by_their_constants():
    def body(*scales):
        return lambda x: ops.tanh(x * scales[0]) + ops.tanh(x * scales[1])

    assert told(aligned(body(2.0, 3.0), body(4.0, 2.0))) == {("Mul", "3.0", "4.0")}


def test_constants_inside_a_loop_are_found():
    def body(scale):
        def step(x):
            return ops.fori_loop(0, 3, lambda _, value: value * scale, x)

        return step

    found = aligned(body(2.0), body(3.0))
    assert found.same
    assert ("Mul", "2.0", "3.0") in told(found)


def test_another_operation_inside_a_loop_is_another_skeleton():
    one = lambda x: ops.fori_loop(0, 3, lambda _, value: value * 2.0, x)  # noqa: E731
    other = lambda x: ops.fori_loop(0, 3, lambda _, value: value + 2.0, x)  # noqa: E731
    assert not aligned(one, other).same


def test_integers_are_no_rounding():
    found = aligned(lambda i: i % 24, lambda i: i % 12, dtype="int32")
    assert found.same
    assert {parting.units for parting in found.partings} == {None}


def test_what_cannot_be_proved_is_aligned_but_not_sharply_and_what_was_not_traced_whole_is_not():
    inputs = keras.Input((4,))
    program = replace(trace(keras.Model(inputs, layers.Dense(1)(inputs))), reason="it calls back into Python")
    found = align(program, program)
    assert found.same
    assert not found.sharp
    assert not align(program, replace(program, whole=False)).same


def test_an_alignment_survives_the_json_form():
    one, other = (trace(functional(lambda x, c=c: ops.minimum(x, c), (4,))) for c in (50.0, 100.0))
    assert align(from_data(to_data(one)), from_data(to_data(other))) == align(one, other)
