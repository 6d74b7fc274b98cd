"""Check `gradients`: coupled dropout, regularisation, BatchNorm, losses, backward faults; no change left."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, regularizers
from tests.common.models import digest

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import gradients, updates
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.verdict import Verdict


def net(*, rate=0.2, momentum=0.9, epsilon=1e-3, regularizer=None, activity=None, head=None, extra=()):
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, kernel_regularizer=regularizer, activity_regularizer=activity, name="first"),
            layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name="norm"),
            layers.ReLU(name="act"),
            layers.Dropout(rate, name="drop"),
            *[make() for make in extra],
            *([head()] if head else [layers.Dense(2, name="head")]),
        ],
        name="net",
    )


def compare(candidate, reference=net, **options):
    return gradients.CHECK(Pair(Twins(reference, candidate, **options)))


def functional():
    inputs = x = keras.Input((6,))
    for layer in net().layers:
        x = layer(x)
    return keras.Model(inputs, [x])


def test_other_api_has_the_same_gradients_with_dropout_coupled():
    result = compare(functional)
    assert result.verdict is Verdict.EQUIVALENT, result.findings
    assert result.findings[0].field == "loss"
    assert result.findings[0].severity == "note"


def test_rewrite_that_rounds_differently_passes_with_measured_headroom():
    def pooled(*pooling):
        stack = [layers.Conv1D(4, 3), layers.LeakyReLU(), *[make() for make in pooling], layers.Dense(2)]
        return keras.Sequential([keras.Input((12, 3)), *stack])

    result = compare(
        lambda: pooled(lambda: layers.AveragePooling1D(10), layers.Flatten),
        lambda: pooled(layers.GlobalAveragePooling1D),
    )
    assert result.verdict is Verdict.EQUIVALENT, [str(f) for f in result.findings]
    assert result.figures["tolerance"]["origin"] == "derived"


@pytest.mark.parametrize(
    ("settings", "layer", "field"),
    [
        ({"rate": 0.3}, "drop", "rate"),
        ({"rate": 0.0}, "drop", "rate"),
        ({"momentum": 0.8}, "norm", "momentum"),
        ({"epsilon": 1.0001e-3}, "norm", "epsilon"),
        ({"regularizer": regularizers.L2(0.01)}, "first", "kernel_regularizer"),
        ({"activity": regularizers.L1(0.01)}, "first", "activity_regularizer"),
    ],
)
def test_fault_is_found_and_named(settings, layer, field):
    result = compare(lambda: net(**settings))
    assert result.verdict is Verdict.DIFFERENT
    first = result.differences[0]
    assert (first.reference_layer, first.field) == (f"net/{layer}", field), [str(f) for f in result.findings]


class Stopped(layers.Layer):
    """Hands its input on, and no gradient back."""

    def call(self, x):
        return keras.ops.stop_gradient(x)


class Passing(layers.Layer):
    """Hands its input on."""

    def call(self, x):
        return x + 0.0


def test_layer_that_only_sends_other_gradients_back_is_blamed():
    result = compare(
        lambda: net(extra=[lambda: Stopped(name="gate")]), lambda: net(extra=[lambda: Passing(name="gate")])
    )
    assert result.verdict is Verdict.DIFFERENT
    assert any(f.field == "gradient" and f.reference_layer == "net/gate" for f in result.differences)


@pytest.mark.parametrize(
    ("loss", "reference_loss", "field"), [("mae", "mse", "loss"), (keras.losses.Huber(0.5), "mse", "loss")]
)
def test_other_loss_is_named(loss, reference_loss, field):
    def compiled(loss):
        def build():
            model = net()
            model.compile("sgd", loss)
            return model

        return build

    result = compare(compiled(loss), compiled(reference_loss))
    assert result.verdict is Verdict.DIFFERENT
    assert result.differences[0].field == field


@pytest.mark.parametrize(
    "loss",
    [
        "binary_crossentropy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "hinge",
        "poisson",
        "kld",
    ],
)
def test_every_kind_of_loss_gets_targets_it_takes(loss):
    def classifier():
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
        model.compile("sgd", loss)
        return model

    def rewritten():
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Softmax()])
        model.compile("sgd", loss)
        return model

    assert compare(rewritten, classifier).verdict is Verdict.EQUIVALENT


def test_neither_model_is_changed():
    pair = Pair(
        Twins(
            net, lambda: net(momentum=0.8), compile={"optimizer": "adam", "loss": "mse", "metrics": ["mae"]}
        )
    )
    models = pair.reference, pair.candidate
    for model in models:
        model.train_on_batch(np.ones((4, 6)), np.ones((4, 2)))
    kept = [(digest(model), model.optimizer) for model in models]
    gradients.CHECK(pair)
    assert [(digest(model), model.optimizer) for model in models] == kept


class Float32InTraining(layers.Layer):
    """Adds a float32 tensor in training mode, which a float64 twin cannot take."""

    def call(self, x, training=None):
        return x + tf.zeros(tf.shape(x), "float32") if training else x


class UnseededNoise(layers.Layer):
    """Draws outside all generators that a seed reaches, in training mode only."""

    def call(self, x, training=None):
        if not training or x.shape[0] is None:
            return x
        return x + tf.constant(np.random.default_rng().normal(size=x.shape), x.dtype)


def test_a_float64_twin_that_fails_in_training_mode_is_done_without():
    result = compare(lambda: net(rate=0.3), lambda: net(extra=[Float32InTraining]))
    assert result.verdict is Verdict.DIFFERENT
    assert any(finding.reference_layer == "net/drop" for finding in result.differences)
    same = updates.CHECK(Pair(Twins(*[lambda: net(extra=[Float32InTraining])] * 2)))
    assert same.verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("check", [gradients, updates])
def test_randomness_outside_keras_is_inconclusive(check):
    noisy = [lambda: net(extra=[UnseededNoise])] * 2
    result = check.CHECK(Pair(Twins(*noisy)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "keras.random" in result.findings[0].message
