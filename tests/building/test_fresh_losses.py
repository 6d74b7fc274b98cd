"""A loss with state: each model gets its own."""

import keras
import numpy as np
import pytest

from pytest_kerasequiv import compare
from pytest_kerasequiv.building.compiling import compile_fresh


def model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


class Stateful(keras.losses.Loss):
    """A loss that counts its calls, in a variable and in an attribute, and is not told so by its config."""

    def __init__(self, base=None):
        super().__init__(name="stateful")
        self.calls = keras.Variable(0.0, trainable=False)
        self.seen = []
        self.seeds = keras.random.SeedGenerator(3)
        self.base = base
        self.norm = ops_mean

    def call(self, true, predicted):
        self.calls.assign_add(1.0)
        self.seen.append(1)
        return self.norm((true - predicted) ** 2)


def ops_mean(values):
    return keras.ops.mean(values, -1)


def test_a_loss_with_state_is_copied_as_it_is_now():
    given = Stateful(base=Stateful())
    given(np.ones((2, 1)), np.ones((2, 1)))
    models = model(), model()
    for each in models:
        compile_fresh(each, {"optimizer": "sgd", "loss": given})
    one, other = (each.loss for each in models)
    assert len({id(loss) for loss in (one, other, given)}) == 3
    assert one.base is not given.base
    one(np.ones((2, 1)), np.ones((2, 1)))
    assert [float(loss.calls) for loss in (given, one, other)] == [1, 2, 1]
    assert [len(loss.seen) for loss in (given, one, other)] == [1, 2, 1]
    assert one.seeds.state is not other.seeds.state
    assert one.norm is ops_mean


def test_one_loss_of_two_outputs_is_copied_once():
    inputs, given = keras.Input((2,)), Stateful()
    each = keras.Model(inputs, [keras.layers.Dense(1)(inputs) for _ in range(2)])
    compile_fresh(each, {"optimizer": "sgd", "loss": [given, given]})
    assert each.loss[0] is each.loss[1] is not given


class Scale(keras.losses.Loss):
    """A loss with a setting that its config forgets; a copy must not fall back to the default."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale

    def call(self, true, predicted):
        return self.scale * ops_mean((true - predicted) ** 2)


class NeedyLoss(Scale):
    """A loss that cannot be made from its config."""

    def __init__(self, scale, other):
        super().__init__(scale)


class Tracking(Scale):
    """A loss with an object whose state cannot be copied."""

    def __init__(self):
        super().__init__()
        self.tracker = keras.metrics.Mean()


class Stateless(keras.losses.Loss):
    """A loss without state."""

    def call(self, true, predicted):
        return ops_mean((true - predicted) ** 2)


def test_what_a_loss_does_not_tell_in_its_config_is_kept_in_a_copy():
    each, given = model(), Scale(4.0)
    compile_fresh(each, {"optimizer": "sgd", "loss": given})
    assert each.loss is not given
    assert (each.loss.scale, each.loss.name) == (4.0, given.name)


@pytest.mark.parametrize(
    "loss", [keras.losses.Huber(2.0), Stateless(), NeedyLoss(1.0, 2.0), Tracking()], ids=type
)
def test_a_loss_without_state_or_that_cannot_be_copied_serves_both(loss):
    each = model()
    compile_fresh(each, {"optimizer": "sgd", "loss": loss})
    assert each.loss is loss


def test_identical_twins_with_a_stateful_loss_train_alike():
    def other():
        return model()

    report = compare(model, other, compile={"optimizer": "sgd", "loss": Stateful()}, checks=["updates"])
    assert report.verdict == "EQUIVALENT", report
