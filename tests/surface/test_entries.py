"""The surface of a model is listed once: which entries it has, and how each is called."""

import keras
import pytest
from keras import layers
from tests.common.models import flow

from pytest_kerasequiv.building.specs import Spec
from pytest_kerasequiv.surface.entries import Given, Kind, entries_of, settled, sizes
from pytest_kerasequiv.surface.lengths import lengths_in_code


def names(model):
    return [entry.name for entry in entries_of(model)]


def test_a_functional_model_of_kerass_layers_has_two_entries():
    model = flow(layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.5))
    assert names(model) == ["inference", "training"]


def test_a_compiled_model_has_its_loss_and_metrics_besides():
    model = flow(layers.Dense(3))
    model.compile("sgd", "mse")
    assert names(model) == ["inference", "training", "loss and metrics"]


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x, scaled=False, power=2, context=None, mask=None):
        return self.dense(x)


def test_keywords_of_an_own_call_are_entries():
    model = Own()
    model(keras.ops.zeros((2, 4)))
    given = [entry.arguments for entry in entries_of(model) if entry.kind is Kind.CALL]
    assert given == [
        (("scaled", True),),
        (("power", 3),),
        (("context", Given.LIKE_INPUT),),
        (("context", True),),
        (("mask", Given.MASK),),
    ]


@pytest.mark.parametrize(
    ("member", "steps"),
    [
        ("train_step", ["train_step"]),
        ("test_step", ["test_step"]),
        ("predict_step", ["predict_step"]),
        ("compute_loss", ["train_step", "test_step"]),
        ("compute_metrics", ["train_step", "test_step"]),
        ("reset_metrics", ["reset_metrics"]),
    ],
)
def test_steps_in_which_a_class_has_a_part_are_entries(member, steps):
    own = type("Own", (keras.Model,), {member: lambda self, *_, **__: None})
    inputs = keras.Input((4,))
    model = own(inputs, layers.Dense(1)(inputs))
    assert [entry.method for entry in entries_of(model) if entry.kind is Kind.STEP] == steps


class Noisy(layers.Layer):
    def call(self, x, training=None):
        return x


@pytest.mark.parametrize("layer", [Noisy(), layers.RandomFlip()], ids=["own", "trains by default"])
def test_a_plain_call_is_an_entry_where_a_layer_may_tell(layer):
    assert "plain call" in names(flow(layer, shape=(4, 4, 3)))


def test_each_optional_input_is_left_out_and_all_of_them():
    a, b, c = keras.Input((2,)), keras.Input((2,), optional=True), keras.Input((2,), optional=True)

    class Sum(layers.Layer):
        def call(self, x, y=None, z=None):
            return x

    model = keras.Model([a, b, c], Sum()(a, b, c))
    shapes = {entry.name: entry.shapes[0] for entry in entries_of(model)}
    assert [one is None for one in shapes["without input 1"]] == [False, True, False]
    assert [one is None for one in shapes["without input 1, 2"]] == [False, True, True]


def test_free_axes_have_a_size_each():
    image = [Spec((None, None, None, 3))]
    assert sizes(image, 64, 32)[0] == [Spec((None, 64, 96, 3))]
    two = [Spec((None, None, 2)), Spec((None, None, 2))]
    assert [[spec.shape[1] for spec in plan] for plan in sizes(two, 37, 8)] == [[37, 45], [37, 37]]
    assert settled(two, lambda *_: 5)[1].shape == (None, 5, 2)


LIMIT = 300


def test_lengths_that_own_code_may_compare_with_are_sizes():
    closed = 70

    class Cut(layers.Layer):
        def __init__(self):
            super().__init__()
            self.limit = 16

        def call(self, x):
            return x if (x.shape[1] or 0) > 100 else x * min(closed, LIMIT, self.limit)

    model = flow(Cut(), shape=(None, 2))
    assert lengths_in_code(model) == [16, 70, 100, 300]
    assert {"free axes of 100", "free axes of 101"} <= set(names(model))
    assert len(names(model)) == len(set(names(model)))
    assert not any("free axes" in name for name in names(flow(layers.Conv1D(2, 7), shape=(None, 2))))
