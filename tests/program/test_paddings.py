"""Padding that adds nothing is the same program under either name; what adds something is another."""

import keras
import pytest
from keras import layers

from pytest_kerasequiv.program import match_programs, trace


def programs(layer, shape, **settings):
    for padding in ("valid", "same"):
        inputs = keras.Input(shape)
        yield trace(keras.Model(inputs, layer(padding=padding, **settings)(inputs)))


FREE, EVEN, ODD = (None, None, 2), (8, 8, 2), (9, 9, 2)
NOTHING = {
    "size 1": (layers.Conv2D, FREE, {"filters": 3, "kernel_size": 1}),
    "size 1, every second": (layers.Conv2D, FREE, {"filters": 3, "kernel_size": 1, "strides": 2}),
    "size 1 of a sequence": (layers.Conv1D, (None, 2), {"filters": 3, "kernel_size": 1}),
    "patches": (layers.Conv2D, EVEN, {"filters": 3, "kernel_size": 4, "strides": 4}),
    "patches, channels first": (
        layers.MaxPooling2D,
        (2, 8, 8),
        {"pool_size": 2, "data_format": "channels_first"},
    ),
    "depthwise patches": (layers.DepthwiseConv2D, EVEN, {"kernel_size": 2, "strides": 2}),
    "blocks": (layers.Conv3D, (4, 4, 4, 2), {"filters": 3, "kernel_size": 2, "strides": 2}),
    "transposed": (layers.Conv2DTranspose, EVEN, {"filters": 3, "kernel_size": 2, "strides": 2}),
    "mean": (layers.AveragePooling2D, EVEN, {"pool_size": 2}),
    "maximum": (layers.MaxPooling2D, EVEN, {"pool_size": 2}),
    "mean of blocks": (layers.AveragePooling3D, (4, 4, 4, 2), {"pool_size": 2}),
    "overlapping": (layers.MaxPooling2D, ODD, {"pool_size": 1, "strides": 2}),
}


@pytest.mark.parametrize("name", NOTHING)
def test_padding_that_adds_nothing(name):
    layer, shape, settings = NOTHING[name]
    assert match_programs(*programs(layer, shape, **settings)).proved


SOMETHING = {
    "size 3": (layers.Conv2D, EVEN, {"filters": 3, "kernel_size": 3}),
    "patches that do not fill": (layers.Conv2D, ODD, {"filters": 3, "kernel_size": 4, "strides": 4}),
    "patches of an open axis": (layers.Conv2D, FREE, {"filters": 3, "kernel_size": 4, "strides": 4}),
    "overlapping": (layers.MaxPooling2D, EVEN, {"pool_size": 3, "strides": 2}),
    "one axis": (layers.Conv2D, (8, 9, 2), {"filters": 3, "kernel_size": (4, 2), "strides": (4, 2)}),
    "a maximum of an odd axis": (layers.MaxPooling2D, ODD, {"pool_size": 2}),
}


@pytest.mark.parametrize("name", SOMETHING)
def test_padding_that_adds_something(name):
    layer, shape, settings = SOMETHING[name]
    assert not match_programs(*programs(layer, shape, **settings)).proved
