"""Observations of numeric checks: of one model, on a plan of the reference alone."""

import keras
import numpy as np
from keras import layers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import gradients, outputs, updates
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.layers.fixed_training import resting_layers
from pytest_kerasequiv.verdict import Verdict


def net(*extra, activation="relu", rate=0.3, compiled=True):
    def build():
        inputs = keras.Input((6, 3), name="steps")
        x = layers.LSTM(4, name="lstm")(layers.Masking(name="mask")(inputs))
        x = layers.BatchNormalization(name="norm")(layers.Dense(5, activation=activation, name="dense")(x))
        for make in extra:
            x = make()(x)
        model = keras.Model(inputs, {"y": layers.Dropout(rate, name="y")(x)}, name="net")
        if compiled:
            model.compile("sgd", "mse", metrics=["mae"])
        return model

    return build


PAIRS = {
    "same": (net(), net(lambda: layers.Activation("linear"))),
    "activation": (net(), net(activation="elu")),
    "rate": (net(), net(rate=0.4)),
}


def test_numbers_on_plans_of_the_reference_alone():
    """What a reference shows on a plan that knows nothing of the candidate decides as well."""
    pair = Pair(Twins(*PAIRS["rate"]))
    verdicts = {}
    for check in (outputs.CHECK, gradients.CHECK, updates.CHECK):
        plan = next(check.plan(pair.reference_twin, None))
        reference = check.observe(pair.reference_twin, plan)
        candidate = check.observe(pair.candidate_twin, check.for_candidate(plan.kept(), reference))
        verdicts[check.name] = check.compare(reference, candidate, pair.correspondence).verdict
    assert list(verdicts.values()) == [Verdict.EQUIVALENT, Verdict.DIFFERENT, Verdict.DIFFERENT]


def test_a_reference_without_a_loss_is_compared_by_a_mean_square():
    pair = Pair(Twins(net(compiled=False), net(lambda: layers.Activation("linear"))))
    result = gradients.CHECK(pair)
    assert result.verdict is Verdict.EQUIVALENT
    assert "only the candidate is compiled with a loss" in result.notes[0].message
    assert list(updates.CHECK(pair, steps=1).figures["steps"]) == ["sgd"]


def test_a_candidate_without_a_loss_is_lent_the_references():
    pair = Pair(Twins(net(), net(lambda: layers.Activation("linear"), compiled=False)))
    result = updates.CHECK(pair, steps=1)
    assert result.verdict is Verdict.EQUIVALENT
    assert list(result.figures["steps"]) == ["sgd", "compiled"]
    assert any("the candidate was given the reference's" in note.message for note in result.notes)


class Noisy(layers.Layer):
    """Draws random numbers that no seed reaches."""

    def call(self, x):
        return x + keras.ops.convert_to_tensor(np.random.default_rng().normal(size=(1, 5)), x.dtype)


def test_numbers_that_a_model_does_not_repeat_are_no_answer():
    pair = Pair(Twins(net(Noisy), net(Noisy, compiled=False)))
    for check in (outputs, gradients, updates):
        result = check.CHECK(pair)
        assert (result.verdict, result.findings[0].field) == (Verdict.INCONCLUSIVE, "stochastic")


class Silent(keras.Model):
    """Its ``call`` takes no ``training``, so `fit` passes none."""

    def __init__(self, rate=0.5):
        super().__init__(name="net")
        self.block = keras.Sequential([layers.Dense(8), layers.Dropout(rate), layers.BatchNormalization()])
        self.out = layers.Dense(1)

    def call(self, x):
        return self.out(self.block(x))


class Told(Silent):
    """Takes it, so that the layers inside get it however deep they lie."""

    def call(self, x, training=None):
        return self.out(self.block(x))


def test_a_call_without_training_is_named_first():
    pair = Pair(Twins(Told, Silent, input_shape=(4,), compile={"optimizer": "adam", "loss": "mse"}))
    for check in (gradients, updates):
        first = check.CHECK(pair).findings[0]
        assert (first.field, first.reference, first.candidate) == ("training", True, False)
        assert first.message.startswith("call() of Silent takes no training argument")
        assert "fit runs its BatchNormalization, Dropout in inference mode in the candidate" in first.message


def test_fit_runs_dropout_in_inference_mode_where_call_takes_no_training():
    options = {"input_shape": (4,), "compile": {"optimizer": "adam", "loss": "mse"}}
    pair = Pair(Twins(Silent, lambda: Silent(rate=0.1), **options))
    assert gradients.CHECK(pair).verdict is Verdict.EQUIVALENT
    assert updates.CHECK(pair).verdict is Verdict.EQUIVALENT


def test_layers_that_rest_are_named_by_what_users_wrote():
    class Recurrent(keras.Model):
        def __init__(self, dropout):
            super().__init__(name="net")
            self.rnn = layers.Bidirectional(layers.LSTM(2, dropout=dropout, return_sequences=True))
            self.attention, self.out = layers.MultiHeadAttention(1, 2, dropout=dropout), layers.Dense(1)

        def call(self, x):
            sequence = self.rnn(x)
            return self.out(self.attention(sequence, sequence))

    models = Recurrent(0.3), Recurrent(0.0)
    for model in models:
        model(np.zeros((1, 3, 4), "float32"))
    assert [resting_layers(model) for model in models] == [("Bidirectional", "MultiHeadAttention"), ()]
    assert resting_layers(net()()) == ()
