"""Models with a ``compile`` of their own: compared as far as they can be, and never refused for it."""

import keras
import pytest
import tensorflow as tf
from keras import layers, ops

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.compiled.settings_findings import compare_settings


class Generator(keras.Model):
    """Trains on noise by an optimizer that Keras does not know of."""

    def __init__(self, factor=1.0, dimension=4):
        super().__init__()
        self.generator, self.judge = layers.Dense(3), layers.Dense(1)
        self.factor, self.dimension = factor, dimension

    def compile(self, g_optimizer, loss_fn, alpha=0.1):
        super().compile()
        self.g_optimizer, self.loss_fn, self.alpha = g_optimizer, loss_fn, alpha

    def call(self, x):
        return self.judge(self.generator(x))

    def train_step(self, real):
        noise = tf.random.normal((ops.shape(real)[0], self.dimension))
        weights = self.generator.trainable_weights
        with tf.GradientTape() as tape:
            judged = self.judge(self.generator(noise))
            loss = self.factor * self.loss_fn(ops.ones_like(judged), judged)
        self.g_optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


def made(factor=1.0, rate=1e-3, alpha=0.1, loss=keras.losses.MeanSquaredError):
    def build():
        model = Generator(factor)
        model.compile(keras.optimizers.Adam(rate), loss(), alpha=alpha)
        return model

    return build


def compared(candidate):
    return compare(made(), candidate, input_shape=(4,), checks=["weights", "outputs", "updates"])


def test_the_same_model_is_the_same_though_it_draws_outside_keras():
    report = compared(made())
    assert {name: result.verdict for name, result in report.checks.items()} == dict.fromkeys(
        ("weights", "outputs", "updates"), Verdict.EQUIVALENT
    )


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (made(rate=1e-2), "another compile.g_optimizer.learning_rate: 0.001 in the reference, 0.01 in the"),
        (made(alpha=0.2), "another compile.alpha: 0.1 in the reference, 0.2 in the candidate"),
        (made(loss=keras.losses.MeanAbsoluteError), "another compile.loss_fn: 'mean_squared_error' in the"),
    ],
)
def test_what_its_compile_sets_is_compared(candidate, words):
    models = made()(), candidate()
    for model in models:
        model(ops.zeros((1, 4)))
    messages = [f.message for f in compare_settings("updates", *map(settings_of, models))]
    assert len(messages) == 1
    assert words in messages[0]


def test_a_step_that_differs_and_is_random_is_not_called_the_same():
    assert compared(made(factor=2.0)).verdict is not Verdict.EQUIVALENT


def test_one_that_is_not_compiled_is_compared_without_steps_or_with_the_others():
    report = compared(Generator)
    assert report["updates"].verdict is not Verdict.DIFFERENT
    assert "could not run" not in str(report)
    assert report["outputs"].verdict is Verdict.EQUIVALENT
    assert "RMSprop" not in str(report)
