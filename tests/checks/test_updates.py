"""Check `updates`: lock-step steps, compile settings by name, masked weights; nothing is changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tests.common.models import digest

import pytest_kerasequiv
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import updates
from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.compiled.settings_findings import compare_settings
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.reporting.causes import culprit
from pytest_kerasequiv.verdict import Verdict


def net(optimizer="adam", loss="mse", *, constraint=None, pooled=False, **settings):
    pooling = [layers.AveragePooling1D(8), layers.Flatten()] if pooled else [layers.GlobalAveragePooling1D()]
    model = keras.Sequential(
        [
            keras.Input((8, 3)),
            layers.Conv1D(4, 1, name="conv", kernel_constraint=constraint),
            layers.BatchNormalization(name="norm"),
            *pooling,
            layers.Dense(2, name="head"),
        ],
        name="net",
    )
    model.compile(optimizer if isinstance(optimizer, str) else optimizer(), loss, **settings)
    return model


def compare(candidate, reference=net, *, steps=3, **options):
    return updates.CHECK(Pair(Twins(reference, candidate, **options)), steps=steps)


def test_rewrite_trains_alike_and_weights_without_gradient_are_masked():
    result = compare(lambda: net(pooled=True))
    assert result.verdict is Verdict.EQUIVALENT, [str(f) for f in result.findings]
    assert result.figures["masked"] == ["net/conv/bias"]
    assert result.figures["tolerance"]["origin"] == "derived"
    assert len(result.figures["metrics"]["compiled"]["reference"]) == 3


ADAM = keras.optimizers.Adam


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"optimizer": lambda: ADAM(1.01e-3)}, "optimizer.learning_rate"),
        ({"optimizer": lambda: ADAM(clipnorm=0.1)}, "optimizer.clipnorm"),
        ({"optimizer": lambda: ADAM(amsgrad=True)}, "optimizer.amsgrad"),
        ({"optimizer": "sgd"}, "optimizer"),
        ({"loss": "mae"}, "loss"),
        ({"loss_weights": [2.0]}, "loss_weights"),
        ({"metrics": ["mae"]}, "metrics"),
    ],
)
def test_differing_compile_setting_is_named_first(settings, field):
    result = compare(lambda: net(**settings), steps=2)
    assert result.verdict is Verdict.DIFFERENT
    assert result.findings[0].field == field


class TakesZeros(layers.Layer):
    def call(self, x):
        tf.debugging.assert_equal(x, 0.0)
        return x


@pytest.mark.parametrize(
    ("rate", "verdict"), [(2e-3, Verdict.DIFFERENT), (1e-3, Verdict.EQUIVALENT)], ids=["another", "same"]
)
def test_steps_that_cannot_be_run_do_not_hide_another_setting(rate, verdict):
    def build(rate):
        model = keras.Sequential([keras.Input((3,)), TakesZeros(), layers.Dense(2)])
        model.compile(ADAM(rate), "mse")
        return model

    report = pytest_kerasequiv.compare(lambda: build(1e-3), lambda: build(rate))
    assert report.verdict is verdict, report


def test_constraint_is_named():
    result = compare(lambda: net(constraint=keras.constraints.MaxNorm(0.3)))
    assert result.verdict is Verdict.DIFFERENT
    assert (result.findings[0].reference_layer, result.findings[0].field) == ("net/conv", "kernel_constraint")


def test_uncompiled_twins_take_plain_descent_only_and_say_so():
    def plain():
        return keras.Sequential([keras.Input((3,)), layers.Dense(2)])

    def split():
        return keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Activation("linear")])

    result = compare(split, plain)
    assert result.verdict is Verdict.EQUIVALENT
    assert list(result.figures["steps"]) == ["sgd"]
    assert any(f.field == "loss" and f.severity == "note" for f in result.findings)


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "five"])
def test_bad_steps_are_refused(steps):
    with pytest.raises(InputError, match="steps="):
        compare(net, steps=steps)


def test_neither_model_is_changed():
    pair = Pair(Twins(net, lambda: net(optimizer=lambda: ADAM(1e-2))))
    models = pair.reference, pair.candidate
    for model in models:
        model.train_on_batch(np.ones((4, 8, 3)), np.ones((4, 2)))
    kept = [(digest(model), model.optimizer, model.train_function) for model in models]
    updates.CHECK(pair, steps=2)
    assert [(digest(model), model.optimizer, model.train_function) for model in models] == kept


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"loss": "mse"}, {"loss": keras.losses.MeanSquaredError()}),
        ({"metrics": ["mae"]}, {"metrics": [keras.metrics.MeanAbsoluteError()]}),
        ({"metrics": ["acc"]}, {"metrics": ["accuracy"]}),
        ({"optimizer": "adam"}, {"optimizer": ADAM}),
        ({"loss": "huber"}, {"loss": keras.losses.Huber(1.0)}),
    ],
)
def test_two_spellings_of_one_setting_are_equal(ours, theirs):
    found = compare_settings("updates", settings_of(net(**ours)), settings_of(net(**theirs)))
    logged = [("metrics.names", "note")] if "metrics" in ours else []  # under other names
    assert [(finding.field, finding.severity) for finding in found] == logged


def test_metrics_in_another_order_are_told_as_that():
    orders = [["mae", "mape"], ["mape", "mae"]]
    sides = [settings_of(net(metrics=one)) for one in orders]
    (finding,) = compare_settings("updates", *sides)
    assert finding.severity == "difference"
    assert finding.message.startswith(
        "the same metrics in another order, mean_absolute_error, mean_absolute_perc"
    )


def adamw(*names, listed=False):
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=0.5)
    model = net(lambda: optimizer)
    if listed:
        optimizer.exclude_from_weight_decay(var_list=[v for v in model.variables if v.name in names])
    elif names:
        optimizer.exclude_from_weight_decay(var_names=list(names))
    return model


@pytest.mark.parametrize("listed", [True, False])
def test_what_is_excluded_from_weight_decay_is_no_part_of_a_config_and_still_compared(listed):
    result = compare(lambda: adamw("bias", listed=listed), adamw, steps=2)
    assert result.verdict is Verdict.DIFFERENT
    assert result.findings[0].field == "optimizer.weights"
    assert "bias" in result.findings[0].message
    assert "no weight decay in the candidate" in result.findings[0].message


@pytest.mark.parametrize("listed", [True, False])
def test_exclusions_from_weight_decay_act_in_the_updates(listed):
    result = compare(lambda: adamw("bias", listed=listed), adamw, steps=2)
    assert any("weight '" in f.message and "/bias' after step" in f.message for f in result.differences)
    same = compare(lambda: adamw("bias", listed=listed), lambda: adamw("bias"), steps=2)
    assert same.verdict is Verdict.EQUIVALENT


def test_speed_settings_are_notes():
    found = compare_settings("updates", settings_of(net()), settings_of(net(run_eagerly=True)))
    assert [(f.field, f.severity) for f in found] == [("run_eagerly", "note")]


@pytest.mark.parametrize("ones", [[1.0], {"head": 1}])
def test_loss_weights_of_one_are_none(ones):
    inputs = keras.Input((4,))
    models = [keras.Model(inputs, {"head": layers.Dense(2, name="head")(inputs)}) for _ in range(2)]
    for model, weights in zip(models, (None, ones), strict=True):
        model.compile("sgd", {"head": "mse"}, loss_weights=weights)
    assert compare_settings("updates", *map(settings_of, models)) == []


def looks_up(embedded, optimizer):
    ids = keras.Input((2,), dtype="int32")
    if embedded:
        rows = layers.Embedding(5, 3, name="table")(ids)
    else:
        table = layers.Dense(3, use_bias=False, kernel_initializer="uniform", name="table")
        rows = table(keras.ops.one_hot(ids, 5))
    model = keras.Model(ids, layers.Dense(2)(layers.Flatten()(rows)))
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("embedded", [False, True])
def test_a_gradient_that_is_sparse_on_one_side_is_named_where_the_optimizer_squares_it(embedded):
    report = pytest_kerasequiv.compare(
        lambda: looks_up(embedded, "adam"), lambda: looks_up(not embedded, "adam")
    )
    assert report.verdict is Verdict.DIFFERENT
    finding = culprit(report)
    assert finding.field == "sparse_gradient"
    assert (finding.reference, finding.candidate) == (("dense", "sparse"), ("sparse", "dense"))[embedded]


def test_a_sparse_gradient_that_is_only_added_is_no_difference():
    report = pytest_kerasequiv.compare(lambda: looks_up(False, "sgd"), lambda: looks_up(True, "sgd"))
    assert report.verdict is Verdict.EQUIVALENT, report


class Dense(layers.Layer):
    """A dense layer whose kernel may lie the other way round."""

    def __init__(self, units, *, transposed=False):
        super().__init__(name="dense")
        self.units, self.transposed = units, transposed

    def build(self, shape):
        sizes = (shape[-1], self.units)[:: -1 if self.transposed else 1]
        self.kernel = self.add_weight(shape=sizes, initializer="glorot_uniform", name="kernel")

    def call(self, x):
        return keras.ops.matmul(x, keras.ops.transpose(self.kernel) if self.transposed else self.kernel)


def test_slots_of_a_row_or_a_column_have_no_counterpart_where_the_weight_is_transposed():
    def build(transposed):
        hidden = Dense(6, transposed=transposed)
        made = keras.Sequential([keras.Input((4,)), hidden, layers.Dense(2, name="out")])
        made.compile(keras.optimizers.Adafactor(0.1), "mse")
        return made

    result = compare(lambda: build(True), lambda: build(False))
    assert result.verdict is Verdict.EQUIVALENT, result
    assert compare(lambda: build(True), lambda: build(True)).verdict is Verdict.EQUIVALENT


class TwoWeights(keras.Model):
    """Two weights, as many as plain SGD has variables, listed in the order in which their layers are made."""

    def __init__(self, names):
        super().__init__()
        for name in names:
            setattr(self, name, layers.Dense(1 if name == "last" else 3, use_bias=False, name=name))

    def call(self, x):
        return self.last(self.first(x))


def test_the_list_of_all_variables_of_an_optimizer_holds_no_slots():
    def build(*names):
        model = TwoWeights(names)
        model(keras.Input((4,)))
        model.compile("sgd", "mse")
        return model

    result = compare(lambda: build("last", "first"), lambda: build("first", "last"))
    assert result.verdict is Verdict.EQUIVALENT, result
