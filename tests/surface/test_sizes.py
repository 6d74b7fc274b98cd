"""Sizes of free axes: which are tried, in which order."""

import keras
import pytest
from keras import layers
from tests.common.models import flow

from pytest_kerasequiv.running.input_layout import InputLayout, InputSpec
from pytest_kerasequiv.surface.probes import survey
from pytest_kerasequiv.surface.sizes import free_axes, other_layouts, settled_layouts


def layout(*shapes):
    specs = tuple(InputSpec(str(place), shape, "float32") for place, shape in enumerate(shapes))
    return InputLayout(specs, list(range(len(specs))))


def shapes_of(layouts):
    return [tuple(spec.shape[1:] for spec in one.specs) for one in layouts]


def test_the_batch_axis_and_axes_of_a_size_are_not_free():
    assert free_axes(layout((None, None, 3), (None, 2, None))) == [(0, 1), (1, 2)]


def test_sizes_go_from_all_unlike_to_all_alike():
    one = layout((None, None, None), (None, None, None))
    assert shapes_of(settled_layouts(one, 16)) == [
        ((16, 24), (32, 40)),
        ((16, 32), (48, 64)),
        ((16, 24), (16, 24)),
        ((16, 32), (16, 32)),
        ((16, 16), (24, 24)),
        ((16, 16), (32, 32)),
        ((16, 16), (16, 16)),
    ]


def test_second_sizes_turn_the_order_of_the_first_about():
    one = layout((None, None, None))
    (first, *_) = settled_layouts(one, 16)
    assert shapes_of(other_layouts(one, first)) == [((31, 23),), ((32, 24),), ((40, 32),)]
    fixed = layout((None, 4))
    assert list(other_layouts(fixed, fixed)) == []


@pytest.mark.parametrize(
    ("kernel", "size"), [(16, 16), (17, 32), (64, 64), (65, 128), (129, 256), (256, 256)]
)
def test_the_smallest_of_some_powers_of_two_that_is_taken_is_the_size(kernel, size):
    model = keras.Sequential([keras.Input((None, 1)), layers.Conv1D(1, kernel)])
    assert survey(model).layout.specs[0].shape == (None, size, 1)


def test_a_second_size_too_is_one_that_a_graph_takes():
    assert survey(flow(Picky(), shape=(None, 1))).other.specs[0].shape == (None, 24, 1)


class Picky(layers.Layer):
    """Takes 23 steps eagerly only."""

    def call(self, x):
        if x.shape[1] == 23 and not hasattr(x, "numpy"):
            raise ValueError
        return x


def test_a_model_that_makes_no_graph_is_taken_as_it_runs():
    class Eager(layers.Layer):
        def call(self, x):
            return x if not keras.backend.is_keras_tensor(x) and float(keras.ops.sum(x)) < 1 else x * 2

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    inputs = keras.Input((None, 1))
    found = survey(keras.Model(inputs, Eager()(inputs)))
    assert found.layout.specs[0].shape == (None, 16, 1)
    assert found.other.specs[0].shape == (None, 23, 1)
