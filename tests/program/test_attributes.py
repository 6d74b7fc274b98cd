"""Constants and attributes as a reader writes them."""

import numpy as np
import pytest
import tensorflow as tf

from pytest_kerasequiv.program.attributes import attribute_text, shortened, tensor_text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.float32(0.001), "float32 0.001"),
        (np.float64(0.001), "float64 0.001"),
        (np.float32([0.1, 0.2]), "float32 of shape (2) 0.1, 0.2"),
        (np.arange(6, dtype="int32"), "int32 of shape (6) 0, 1, 2, 3, …"),
        (np.float32(np.inf), "float32 inf"),
        (True, "bool True"),
    ],
)
def test_constants_have_the_digits_of_their_dtype(value, shown):
    assert shortened(tensor_text(tf.make_tensor_proto(value))) == shown


def test_attributes_have_no_letters_before_them():
    value = tf.compat.v1.AttrValue
    assert shortened(attribute_text(value(s=b"SAME"), str)) == "'SAME'"
    assert shortened(attribute_text(value(i=3), str)) == "3"
    assert shortened(attribute_text(value(b=True), str)) == "True"
    assert shortened(attribute_text(value(f=0.1), str)) == "0.1"
