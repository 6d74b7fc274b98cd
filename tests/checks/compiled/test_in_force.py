"""Compile settings: the optimizer in force, what has no effect, own code, metrics."""

import threading
import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from tests.common.models import dense
from tests.common.settings import compared, differences

from pytest_kerasequiv.checks.compiled.in_force import EFFECTS, settings_of, settings_of_both

OPTIMIZERS, LOSSES, METRICS = keras.optimizers, keras.losses, keras.metrics


def test_the_optimizer_in_force_is_compared_not_the_one_that_compile_was_given(tmp_path):
    replaced, saved = dense("adam"), dense("adam")
    replaced.optimizer = OPTIMIZERS.SGD(0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved.save(tmp_path / "model.h5")
    assert differences(dense("adam"), replaced) == ["optimizer", "optimizer.learning_rate"]
    assert compared(dense("adam"), saved)[0] == []


@pytest.mark.parametrize("loss", ["ce", "crossentropy"])
def test_a_loss_that_keras_chooses_by_the_shapes(loss):
    assert compared(dense(loss=loss), dense(loss="crossentropy"))[0] == []


ADAM, SGD, ADAMW = OPTIMIZERS.Adam, OPTIMIZERS.SGD, OPTIMIZERS.AdamW


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ADAM(ema_momentum=0.9), ADAM()),
        (ADAM(ema_overwrite_frequency=3), ADAM()),
        (ADAM(weight_decay=0.0), ADAM()),
        (SGD(nesterov=True), SGD()),
        (OPTIMIZERS.LossScaleOptimizer(ADAM(ema_momentum=0.9)), OPTIMIZERS.LossScaleOptimizer(ADAM())),
    ],
)
def test_optimizer_settings_without_effect_are_no_difference(ours, theirs):
    assert compared(dense(ours), dense(theirs))[0] == []


@pytest.mark.parametrize(
    ("ours", "theirs", "fields"),
    [
        (ADAM(use_ema=True, ema_momentum=0.9), ADAM(use_ema=True), ["ema_momentum"]),
        (ADAM(use_ema=True, ema_momentum=0.9), ADAM(), ["use_ema"]),
        (ADAM(weight_decay=0.01), ADAM(weight_decay=0.0), ["weight_decay"]),
        (SGD(momentum=0.9, nesterov=True), SGD(momentum=0.9), ["nesterov"]),
        (SGD(momentum=0.9, nesterov=True), SGD(nesterov=True), ["momentum"]),
        (ADAM(1.01e-3), ADAM(), ["learning_rate"]),
        (ADAM(gradient_accumulation_steps=2), ADAM(), ["gradient_accumulation_steps"]),
        (
            OPTIMIZERS.LossScaleOptimizer(ADAM(clipnorm=1.0)),
            OPTIMIZERS.LossScaleOptimizer(ADAM()),
            ["inner_optimizer.clipnorm"],
        ),
    ],
)
def test_optimizer_settings_with_effect_are_named(ours, theirs, fields):
    assert differences(dense(ours), dense(theirs)) == [f"optimizer.{field}" for field in fields]


@pytest.mark.skipif(not hasattr(OPTIMIZERS, "Muon"), reason="Muon came with Keras 3.10")
def test_nesterov_acts_without_momentum_in_muon():
    ours, theirs = (OPTIMIZERS.Muon(momentum=0.0, nesterov=nesterov) for nesterov in (True, False))
    assert differences(dense(ours), dense(theirs)) == ["optimizer.nesterov"]


def test_adamw_is_adam_with_weight_decay():
    same, messages = compared(dense(ADAMW(weight_decay=0.1)), dense(ADAM(weight_decay=0.1)))
    assert same == [("optimizer", "note")]
    assert "AdamW is Adam with a weight decay" in messages[0]
    assert differences(dense(ADAMW()), dense(ADAM())) == ["optimizer", "optimizer.weight_decay"]


def test_adamw_computes_as_adam_with_weight_decay():
    def trained(kind):
        model = dense(kind(0.1, weight_decay=0.1))
        model.set_weights([np.full(weight.shape, 0.5) for weight in model.weights])
        model.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=3, verbose=0)
        return model.get_weights()

    for ours, theirs in zip(trained(ADAMW), trained(ADAM), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def schedule(at, *, told=None, value=0.01):
    class Drop(OPTIMIZERS.schedules.LearningRateSchedule):
        def __init__(self):
            self._told = told

        def __call__(self, step):
            return ops.where(ops.cast(step, "float32") > at, 0.001, value)

        def get_config(self):
            return {}

    return Drop()


class Warm(OPTIMIZERS.schedules.LearningRateSchedule):
    """Wraps a schedule, and names it in its config."""

    def __init__(self, after):
        self.after = after

    def __call__(self, step):
        return self.after(step)

    def get_config(self):
        return {"after": keras.saving.serialize_keras_object(self.after)}


def own_optimizer(*, factor=1.0, minus=False, base: Any = SGD):
    class Scaled(base):
        scale = 1.0

        def update_step(self, gradient, variable, learning_rate):
            sign = -1.0 if minus else 1.0
            super().update_step(gradient, variable, sign * learning_rate * self.scale)

    made = Scaled()
    if factor != 1.0:
        made.scale = factor
    return made


@pytest.mark.parametrize(
    ("ours", "theirs", "field", "message"),
    [
        (
            SGD(schedule(100)),
            SGD(schedule(10_000)),
            "optimizer.learning_rate",
            "at is 100 in the reference and 10000 in the candidate",
        ),
        (
            SGD(Warm(schedule(100))),
            SGD(Warm(schedule(10_000))),
            "optimizer.learning_rate",
            "at is 100 in the reference and 10000 in the candidate",
        ),
        (SGD(lambda: 0.1), SGD(lambda: 0.2), "optimizer.learning_rate", "0.1 in the reference is 0.2 in the"),
        (
            own_optimizer(),
            own_optimizer(minus=True),
            "optimizer.code",
            "minus is False in the reference and True",
        ),
        (
            own_optimizer(factor=2.0),
            own_optimizer(),
            "optimizer.code",
            "scale is 2.0 in the reference and 1.0 in",
        ),
        (
            OPTIMIZERS.LossScaleOptimizer(own_optimizer()),
            OPTIMIZERS.LossScaleOptimizer(own_optimizer(minus=True)),
            "optimizer.inner_optimizer.code",
            "compiled with another optimizer.inner_optimizer: Scaled: update_step.minus is False in the",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_own_schedules_and_optimizers_are_known_by_their_code(ours, theirs, field, message):
    found, messages = compared(dense(ours), dense(theirs))
    assert (field, "difference") in found
    assert message in messages[[name for name, _ in found].index(field)]


def test_an_own_class_that_is_called_as_one_of_keras_is_told_apart():
    own = type("SGD", (SGD,), {"__module__": "mine", "update_step": lambda *_: None})
    found, messages = compared(dense(own()), dense(SGD()))
    assert ("optimizer.code", "difference") in found
    assert "your own code in the reference and Keras's in the candidate" in " ".join(messages)


@pytest.mark.parametrize("base", [SGD, ADAM])
def test_the_same_own_code_is_no_difference_even_after_training(base):
    trained = dense(own_optimizer(base=base))
    trained.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    assert compared(trained, dense(own_optimizer(base=base)))[0] == [("steps taken", "note")]
    assert compared(dense(SGD(Warm(schedule(5)))), dense(SGD(Warm(schedule(5)))))[0] == []


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_a_learning_rate_by_a_function_is_known_by_its_code_not_its_place():
    first = dense(SGD(lambda: 0.1))
    assert compared(first, dense(SGD(lambda: 0.1)))[0] == []


def test_settings_of_a_metric_are_compared():
    ours, theirs = (dense(metrics=[METRICS.BinaryAccuracy(threshold=t)]) for t in (0.5, 0.4))
    found, messages = compared(ours, theirs)
    assert found == [("metrics", "difference")]
    assert "binary_accuracy(threshold=0.5) in the reference" in messages[0]
    assert compared(ours, dense(metrics=["binary_accuracy"]))[0] == []
    assert differences(dense(metrics=[METRICS.AUC(9)]), dense(metrics=[METRICS.AUC(8)])) == ["metrics"]


class OwnAccuracy(METRICS.MeanMetricWrapper):
    """A metric with a setting beside those of its function."""

    def __init__(self, times=1.0, name="own"):
        super().__init__(keras.losses.mean_absolute_error, name)
        self.times = times

    def result(self):
        return self.times * super().result()

    def get_config(self):
        return {"name": self.name, "times": self.times}


def test_settings_of_an_own_metric_are_compared():
    assert differences(dense(metrics=[OwnAccuracy()]), dense(metrics=[OwnAccuracy(2.0)])) == ["metrics"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: METRICS.MeanAbsoluteError(name="mae"), lambda: METRICS.MeanAbsoluteError(name="error")),
        (lambda: "acc", lambda: "accuracy"),
        (lambda: "mae", METRICS.MeanAbsoluteError),
    ],
)
def test_another_log_name_is_a_note(ours, theirs):
    found, messages = compared(dense(metrics=[ours()]), dense(metrics=[theirs()]))
    assert found == [("metrics.names", "note")]
    assert "logged under other names" in messages[0]


def test_the_same_log_name_is_not_noted():
    named = METRICS.MeanAbsoluteError(name="mae")
    assert compared(dense(metrics=["mae"]), dense(metrics=[named]))[0] == []
    first, second = METRICS.AUC(), METRICS.AUC()  # Keras numbers the second one
    assert first.name != second.name
    assert compared(dense(metrics=[first]), dense(metrics=[second]))[0] == []


def test_log_names_are_those_that_keras_reports():
    def error(true, predicted):
        return ops.mean(ops.abs(true - predicted))

    given = ["mae", "accuracy", METRICS.MeanSquaredError(), METRICS.MeanAbsoluteError(name="x"), error]
    model = dense(metrics=given)
    reported = model.evaluate(np.ones((2, 3)), np.ones((2, 2)), verbose=0, return_dict=True)
    assert set(settings_of(model)["metrics.names"]) == set(reported) - {"loss"}


def test_a_default_of_a_loss_is_shown_as_what_it_is():
    focal = LOSSES.CategoricalFocalCrossentropy
    found, messages = compared(dense(loss=focal(gamma=2.0)), dense(loss=focal(gamma=3.0)))
    assert found == [("loss.gamma", "difference")]
    assert "2 in the reference, 3 in the candidate" in messages[0]
    assert "1 in the reference, 2" in compared(dense(loss="huber"), dense(loss=LOSSES.Huber(2.0)))[1][0]


def test_settings_of_another_loss_are_not_listed():
    assert differences(dense(loss="mse"), dense(loss=LOSSES.Huber(2.0))) == ["loss"]
    summed = dense(loss=LOSSES.MeanAbsoluteError(reduction="sum"))
    assert differences(dense(loss="mse"), summed) == ["loss", "loss.reduction"]


def with_an_untold_object():
    lock = threading.Lock()
    return lambda y, p: ops.mean(ops.square(y - p)) if lock is not None else y


@pytest.mark.parametrize(
    ("ours", "theirs", "looked_at"),
    [
        ({"loss": "mse"}, {"loss": "mse"}, False),
        ({"optimizer": "adam"}, {"optimizer": "sgd"}, False),
        ({"loss": "mse"}, {"loss": "mae"}, True),
        ({"metrics": ["mae"]}, {"metrics": ["mse"]}, True),
        ({"loss": with_an_untold_object()}, {"loss": with_an_untold_object()}, True),
    ],
)
def test_effects_are_looked_at_where_descriptions_leave_something_open(ours, theirs, looked_at):
    models = dense(**ours), dense(**theirs)
    assert [EFFECTS in found for found in settings_of_both(*models)] == [looked_at] * 2
    whole = [settings_of(model) for model in models]
    for found, one in zip(settings_of_both(*models), whole, strict=True):
        assert one | found == one
