"""A program written as JSON is read back as it was, and proves the same."""

import json

import keras
import pytest
from keras import layers

from pytest_kerasequiv.program import match_programs, trace
from pytest_kerasequiv.program.json_form import from_data, to_data


def build(rate=0.1):
    inputs = keras.Input((5, 3))
    return keras.Model(inputs, layers.Dense(2)(layers.SimpleRNN(4, dropout=rate)(inputs)))


@pytest.fixture(scope="module")
def program():
    return trace(build())


def test_it_is_read_back_as_it_was(program):
    assert program.bodies
    assert from_data(json.loads(json.dumps(to_data(program), allow_nan=False))) == program


def test_a_program_read_back_proves_and_refuses_the_same(program):
    read = from_data(json.loads(json.dumps(to_data(program))))
    assert match_programs(read, trace(build())).proved
    other = trace(build(0.2))
    assert match_programs(read, other) == match_programs(program, other)


def test_another_format_is_refused(program):
    with pytest.raises(ValueError, match="format 99 of a program cannot be read; this version reads 4"):
        from_data({**to_data(program), "format": 99})
