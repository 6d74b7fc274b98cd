"""Compile settings per output: spelled in several ways, compared by position."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.common.models import dense
from tests.common.settings import compared, differences

from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.keras_access.supported import is_before

LOSSES = keras.losses


def two(names="ab", *, as_dict=False, **settings):
    inputs = keras.Input((3,))
    outputs = [layers.Dense(2, name=names[0])(inputs), layers.Dense(1, name=names[1])(inputs)]
    model = keras.Model(inputs, dict(zip(names, outputs, strict=True)) if as_dict else outputs)
    model.compile("sgd", **settings)
    return model


SPELLINGS = {
    "loss dict, list": ({"loss": {"a": "mse", "b": "mae"}}, {"loss": ["mse", "mae"]}),
    "one loss for all": ({"loss": "mse"}, {"loss": ["mse", LOSSES.MeanSquaredError()]}),
    "order of the dict": ({"loss": {"a": "mse", "b": "mae"}}, {"loss": {"b": "mae", "a": "mse"}}),
    "no loss": ({"loss": {"a": "mse", "b": None}}, {"loss": ["mse", None]}),
    "weights": (
        {"loss": ["mse", "mae"], "loss_weights": [1.0, 2]},
        {"loss": {"b": "mae", "a": "mse"}, "loss_weights": {"b": 2.0, "a": 1}},
    ),
    "weights of one": ({"loss": ["mse", "mae"], "loss_weights": [1.0, 1]}, {"loss": ["mse", "mae"]}),
    "metrics": (
        {"loss": "mse", "metrics": {"a": ["mae"], "b": "mse"}},
        {"loss": "mse", "metrics": [["mae"], ["mse"]]},
    ),
    "metrics of one output": (
        {"loss": "mse", "weighted_metrics": {"b": ["mae"]}},
        {"loss": "mse", "weighted_metrics": [None, "mae"]},
    ),
    "no metrics": ({"loss": "mse", "metrics": [[], []]}, {"loss": "mse"}),
}


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("name", SPELLINGS)
def test_settings_of_two_outputs_may_be_spelled_in_several_ways(name, as_dict):
    ours, theirs = SPELLINGS[name]
    assert compared(two(as_dict=as_dict, **ours), two(as_dict=as_dict, **theirs))[0] == []


def test_outputs_correspond_by_position_not_by_name():
    ours, theirs = {"a": "mse", "b": "mae"}, {"c": "mse", "d": "mae"}
    assert compared(two(loss=ours, metrics=ours), two("cd", loss=theirs, metrics=theirs))[0] == []


def test_a_dictionary_of_outputs_is_ordered_as_keras_orders_it():
    swapped = two("ba", as_dict=True, loss=["mae", "mse"])  # Keras sorts the keys: a, then b
    assert compared(two("ba", as_dict=True, loss={"a": "mae", "b": "mse"}), swapped)[0] == []


@pytest.mark.parametrize(
    ("loss", "same"), [(["mse"], "mse"), ([LOSSES.Huber(2.0)], LOSSES.Huber(2.0)), ({"head": "mse"}, "mse")]
)
def test_a_loss_for_one_output_may_be_wrapped(loss, same):
    inputs = keras.Input((3,))
    models = [keras.Model(inputs, layers.Dense(2, name="head")(inputs)) for _ in range(2)]
    for model, given in zip(models, (loss, same), strict=True):
        model.compile("sgd", given)
    assert compared(*models)[0] == []


@pytest.mark.parametrize(
    ("ours", "theirs", "field", "message"),
    [
        (
            {"loss": "mse"},
            {"loss": ["mse", "mae"]},
            "loss",
            "'mean_squared_error' in the reference, ['mean_squared_error', 'mean_absolute_error'] in",
        ),
        (
            {"loss": ["mse", LOSSES.Huber(2.0)]},
            {"loss": {"a": "mse", "b": "huber"}},
            "loss.delta",
            "2 in the reference, 1 in",
        ),
        (
            {"loss": ["mse", "mae"]},
            {"loss": ["mse", "mae"], "loss_weights": {"a": 1.0, "b": 2.0}},
            "loss_weights",
            "None in the reference, [1, 2] in the candidate",
        ),
        ({"loss": "mse"}, {"loss": "mse", "loss_weights": 2.0}, "loss_weights", "2 in the candidate"),
        (
            {"loss": "mse", "metrics": {"a": ["mae"]}},
            {"loss": "mse", "metrics": {"b": ["mae"]}},
            "metrics",
            "[['mean_absolute_error'], []] in the reference, [[], ['mean_absolute_error']] in the candidate",
        ),
    ],
)
def test_differences_per_output_are_named_and_readable(ours, theirs, field, message):
    found, messages = compared(two(**ours), two(**theirs))
    assert found == [(field, "difference")]
    assert message in messages[0]
    assert "(" not in messages[0]


def test_of_several_losses_of_one_output_those_count_that_keras_computes():
    assert compared(dense(loss=["mse", "mae"]), dense(loss=("mse", "mae")))[0] == []
    assert differences(dense(loss=["mse", "mae"]), dense(loss=["huber", "mae"])) == ["loss"]
    models = [dense(loss=given) for given in (["mse", "mae"], "mse")]
    x, y = np.ones((2, 3)), np.zeros((2, 2))
    values = [float(model.compute_loss(y=y, y_pred=model(x) * 0 + 3)) for model in models]
    assert (differences(*models) == []) == (values[0] == values[1])


def test_settings_in_the_structure_of_nested_outputs():
    def nested(**settings):
        inputs = keras.Input((3,))
        outputs = {"x": [layers.Dense(2)(inputs), layers.Dense(2)(inputs)], "y": layers.Dense(1)(inputs)}
        model = keras.Model(inputs, outputs)
        model.compile("sgd", **settings)
        return model

    if is_before(keras, 3, 12):
        pytest.skip("this Keras takes no metrics in the structure of nested outputs")
    same = nested(loss={"x": ["mse", "mse"], "y": "mae"}, metrics={"x": [["mae"], []], "y": ["mse"]})
    again = nested(loss={"y": "mae", "x": ["mse", "mse"]}, metrics={"y": ["mse"], "x": (["mae"], [])})
    other = nested(loss={"y": "mse", "x": ["mse", "mse"]}, metrics={"y": ["mse"], "x": ([], ["mae"])})
    assert compared(same, again)[0] == []
    assert differences(same, other) == ["loss", "metrics"]
    stacked = nested(loss={"y": "mae", "x": "mse"})  # one loss, of the list of two outputs
    assert differences(nested(loss={"y": "mae", "x": ["mse", "mse"]}), stacked) == ["loss"]


class TwoHeads(keras.Model):
    """A model that does not tell its outputs before it is called."""

    def __init__(self):
        super().__init__()
        self.heads = [layers.Dense(2), layers.Dense(1)]

    def call(self, inputs):
        return [head(inputs) for head in self.heads]


def test_outputs_that_only_a_call_tells():
    def heads(**settings):
        model = TwoHeads()
        model.compile("sgd", **settings)
        model(np.ones((2, 3)))
        return model

    assert compared(heads(loss="mse"), heads(loss=["mse", "mse"]))[0] == []
    assert differences(heads(loss=["mse", "mae"]), heads(loss=["mae", "mse"])) == ["loss"]
    ours, theirs = ({"loss": "mse", "metrics": [["mae"], [name]]} for name in ("mse", "mae"))
    assert differences(heads(**ours), heads(**theirs)) == ["metrics"]


def test_loss_weights_that_keras_will_refuse_are_shown_as_given():
    model = two(loss={"a": "mse", "b": "mae"}, loss_weights=[1.0, 2.0, 3.0])
    assert settings_of(model)["loss_weights"] == [1, 2, 3]


def own_mse(y, p):
    return ops.mean(ops.square(y - p), axis=-1)


def own_mae(y, p):
    return ops.mean(ops.abs(y - p), axis=-1)


@pytest.mark.parametrize("as_dict", [False, True])
def test_own_losses_of_several_outputs_are_what_they_compute(as_dict):
    ours = two(as_dict=as_dict, loss={"a": own_mse, "b": own_mae}, loss_weights={"a": 1.0, "b": 2.0})
    same = two(as_dict=as_dict, loss={"a": "mse", "b": "mae"}, loss_weights={"a": 1.0, "b": 2.0})
    swapped = two(as_dict=as_dict, loss={"a": "mae", "b": "mse"}, loss_weights={"a": 1.0, "b": 2.0})
    heavier = two(as_dict=as_dict, loss={"a": "mse", "b": "mae"}, loss_weights={"a": 1.0, "b": 3.0})
    assert differences(ours, same) == []
    assert "loss" in differences(ours, swapped)
    assert "loss_weights" in differences(ours, heavier)
