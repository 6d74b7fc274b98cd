"""How far apart two constants are, in units in the last place."""

import numpy as np
import pytest
from keras import layers, ops
from tests.common.models import functional

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.program import trace
from pytest_kerasequiv.program.attributes import array_of, array_text
from pytest_kerasequiv.program.partings import distance
from pytest_kerasequiv.program.skeleton import align


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_distance_in_units_of_the_dtype(dtype):
    one = ops.convert_to_numpy(ops.convert_to_tensor([1.0, -3.0], dtype))
    epsilon = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    other = ops.convert_to_numpy(ops.convert_to_tensor([1.0 + 3 * epsilon, -3.0], dtype))
    assert distance(array_text(one, dtype), array_text(other, dtype)) == 3.0


def test_distance_of_what_no_rounding_explains():
    def text(value, dtype="float32"):
        return array_text(np.asarray(value, dtype), dtype)

    assert distance(text(1), text(1, "int32")) is None
    assert distance(text([1, 1]), text(1)) is None
    assert distance(text([1, 1]), text(1), broadcast=True) == 0.0
    assert distance(text([1, 2]), text([1, 2, 3]), broadcast=True) is None
    assert distance(text(np.inf), text(1e30)) is None
    assert distance(text(np.nan), text(np.nan)) == 0.0
    assert distance(text(0.0), text(-0.0)) == 0.0
    assert distance("f 0.001", "f 0.00100000012") == 1.0
    assert distance("i 3", "i 4") is None
    assert distance("b True", "b False") is None


def test_a_table_is_rounded_at_the_size_of_its_largest_element():
    angles = np.arange(16.0)
    wide, narrow = np.sin(angles).astype("float32"), np.sin(angles.astype("float32") * np.float32(1 + 1e-7))
    assert 0 < distance(array_text(wide, "float32"), array_text(narrow, "float32")) < 32
    few = np.array([1.0, 1e-3], "float32"), np.array([1.0, 1.0001e-3], "float32")
    assert distance(*(array_text(values, "float32") for values in few)) > 800


def test_a_large_constant_is_known_by_its_digest_alone():
    large = np.zeros(1 << 19, np.float32)
    assert array_of(array_text(large, "float32")) is None
    small = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(array_of(array_text(small, "float32")), small)


ONE_AXIS = {
    "maximum": (layers.GlobalMaxPooling1D(), lambda x: ops.max(x, 1)),
    "norm": (lambda x: ops.norm(x, axis=-1), lambda x: ops.sqrt(ops.sum(x * x, -1))),
    "root of a repeated constant": (
        lambda x: x / ops.sqrt(ops.convert_to_tensor([[4.1]])),
        lambda x: x / ops.sqrt(ops.convert_to_tensor([[4.1] * 3])),
    ),
}


@pytest.mark.parametrize("name", ONE_AXIS)
def test_an_axis_is_the_same_as_a_list_of_it(name):
    report = compare(*(functional(body, (5, 3)) for body in ONE_AXIS[name]))
    assert report.verdict is Verdict.EQUIVALENT, report


def test_another_axis_is_another_model():
    pair = [functional(body, (3, 3)) for body in (layers.GlobalMaxPooling1D(), lambda x: ops.max(x, 2))]
    assert compare(*pair).verdict is Verdict.DIFFERENT


def test_long_arrays_are_shown_where_they_are_furthest_apart():
    tables = np.float32([[1, 1, 1], [1, 0.5, 2]]), np.float32([[1, 1, 1], [1, 0.25, 2]])
    twins = [functional(lambda x, table=table: ops.sum(x[:, None] * table, 1), (3,)) for table in tables]
    found = align(*map(trace, twins)).partings
    assert found
    place = "at [1, 1] of shape (2, 3)"
    assert str(found[0]).startswith(f"0.5 {place} against 0.25 {place} at Mul")
