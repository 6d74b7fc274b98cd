"""Numbers that one side alone compares a state or a draw with."""

import keras
import pytest
import tensorflow as tf
from keras import layers, ops

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.program import trace
from pytest_kerasequiv.program.hidden_limits import hidden_apart


class Counting(layers.Layer):
    """Counts the calls that train; doubles from a number of calls on, if one is given."""

    def __init__(self, doubled):
        super().__init__(name="middle")
        self.doubled = doubled

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, x, training=None):
        if training:
            self.calls.assign_add(1.0)
        return self.doubled(x, self.calls)


class Drawing(layers.Layer):
    """Doubles a share of the batches that train."""

    def __init__(self, doubled):
        super().__init__(name="middle")
        self.doubled = doubled
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, x, training=None):
        drawn = keras.random.uniform((), seed=self.seeds) if training else 0.5
        return self.doubled(x, drawn)


def net(cls, doubled):
    def build():
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(1, name="out")(cls(doubled)(inputs)), name="net")
        model.compile("sgd", "mse")
        return model

    return build


def plain(x, hidden):
    return x + 0.0 * hidden


HIDDEN = {
    "a state": (Counting, lambda x, calls: ops.where(calls > 1000.0, 2 * x, x), "1000"),
    "a state, at times": (
        Counting,
        lambda x, calls: ops.where(ops.equal(calls % 500.0, 499.0), 2 * x, x),
        "499",
    ),
    "a state, shifted": (Counting, lambda x, calls: x + ops.relu(calls - 700.0), "700"),
    "a small state": (Counting, lambda x, calls: ops.where(calls > 5.0, 2 * x, x), "5"),
    "a draw, shifted": (Drawing, lambda x, drawn: x + ops.relu(drawn - 0.9999), "0.9999"),
    "a far normal draw": (
        Drawing,
        lambda x, drawn: x + ops.clip(keras.random.normal((), seed=1) * drawn, -5.0, 5.0),
        "5",
    ),
    "a rare draw": (Drawing, lambda x, drawn: ops.where(drawn < 1e-4, 2 * x, x), "0.0001"),
}


@pytest.mark.parametrize("kind", HIDDEN)
@pytest.mark.parametrize("turned", [False, True])
def test_what_no_input_moves_is_named_where_one_side_compares_it(kind, turned):
    cls, doubled, number = HIDDEN[kind]
    programs = [trace(net(cls, one)()) for one in (plain, doubled)][:: -1 if turned else 1]
    found = hidden_apart(*programs)
    shown = [(parting.reference, parting.candidate) for parting in found]
    assert any(number in pair for pair in shown), shown
    assert all(pair[0 if not turned else 1] == "none" for pair in shown)
    assert {parting.reference_layer or parting.candidate_layer for parting in found} == {"net/middle"}
    assert hidden_apart(programs[0], programs[0]) == ()


def test_a_difference_that_comes_after_many_steps_is_not_equivalent():
    report = compare(net(Counting, plain), net(Counting, HIDDEN["a state"][1]))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    accepted = compare(net(Counting, plain), net(Counting, HIDDEN["a state"][1]), accept=("middle.constant",))
    assert accepted.verdict is Verdict.EQUIVALENT, str(accepted)


@pytest.mark.parametrize("keep", [0.8, 0.5])
def test_dropout_by_hand_is_left_to_what_its_draws_show(keep):
    by_hand = trace(net(Drawing, lambda x, drawn: ops.where(drawn < keep, x / keep, 0.0 * x))())
    assert hidden_apart(trace(net(Drawing, plain)()), by_hand) == ()


def test_running_statistics_by_hand_have_no_such_number():
    class Normalizing(layers.Layer):
        def build(self, shape):
            self.mean = self.add_weight(shape=(4,), initializer="zeros", trainable=False, name="mean")

        def call(self, x, training=None):
            if training:
                self.mean.assign(0.99 * self.mean + 0.01 * ops.mean(x, 0))
            return x - ops.maximum(self.mean, -1e-3)

    def build(middle):
        return keras.Sequential([keras.Input((4,)), middle, layers.Dense(1)])

    assert hidden_apart(trace(build(Normalizing())), trace(build(layers.BatchNormalization()))) == ()


class Limited(keras.Sequential):
    """Limits gradients, or the loss, in its own step."""

    def __init__(self, gradients=lambda every: every, loss=lambda loss: loss):
        super().__init__([keras.Input((4,)), layers.Dense(3)])
        self._of_gradients, self._of_loss = gradients, loss

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self._of_loss(ops.mean(ops.square(y - self(x, training=True))))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(self._of_gradients(gradients), self.trainable_variables)
        return {"loss": loss}


def limited(**limits):
    def build():
        model = Limited(**limits)
        model.compile("sgd", "mse")
        return model

    return build


def by_value(limit):
    return lambda every: [tf.clip_by_value(one, -limit, limit) for one in every]


def by_norm(limit):
    return lambda every: [tf.clip_by_norm(one, limit) for one in every]


def by_global_norm(limit):
    return lambda every: tf.clip_by_global_norm(every, limit)[0]


@pytest.mark.parametrize("limit", [by_value, by_norm, by_global_norm])
def test_a_limit_of_gradients_that_none_reached_is_inconclusive(limit):
    report = compare(limited(), limited(gradients=limit(50.0)))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert any("50" in finding.message for finding in report["program"].differences)


def test_it_may_be_reached_or_be_the_same_otherwise_written():
    assert compare(limited(), limited(gradients=by_value(1e-3))).verdict is Verdict.DIFFERENT
    again = lambda every: [ops.clip(2.0 * one / 2.0, -50.0, 50.0) for one in every]  # noqa: E731
    report = compare(limited(gradients=by_value(50.0)), limited(gradients=again))
    assert report.verdict is Verdict.EQUIVALENT, str(report)


def test_gradients_limited_in_another_way_are_inconclusive():
    report = compare(limited(gradients=by_value(50.0)), limited(gradients=by_norm(50.0)))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)


def test_a_limit_of_the_loss_that_none_reached_is_inconclusive():
    report = compare(limited(), limited(loss=lambda loss: ops.minimum(loss, 500.0)))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)


def in_parts(e):
    return ops.mean(ops.where(ops.abs(e) < 2.0, 0.5 * e * e, 2.0 * ops.abs(e) - 2.0))


class ByHand(keras.Sequential):
    """Computes its loss in its own step."""

    def __init__(self, loss):
        super().__init__([keras.Input((4,)), layers.Dense(3)])
        self._own = loss

    def train_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self._own(y, self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


def by_hand(loss):
    def build():
        model = ByHand(loss)
        model.compile("sgd", "mse")
        return model

    return build


def test_a_limit_in_the_loss_of_a_later_step_limits_no_gradient():
    keras_own = by_hand(lambda y, p: ops.mean(keras.losses.huber(y, p, delta=2.0)))
    report = compare(by_hand(lambda y, p: in_parts(y - p)), keras_own)
    assert report.verdict is Verdict.EQUIVALENT, str(report)
