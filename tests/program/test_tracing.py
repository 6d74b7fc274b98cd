"""Tracing leaves the caller's world alone, and says why where a program cannot be proved."""

import gc
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tests.common.models import flow

from pytest_kerasequiv.program import match_programs, trace
from pytest_kerasequiv.program.assembling import Assembly

FOREIGN = tf.Variable(1.0)


def rich_model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8,))
    hidden = layers.Dense(4, kernel_regularizer="l2", activity_regularizer="l1")(inputs)
    hidden = layers.Dropout(0.5)(layers.BatchNormalization()(hidden))
    model = keras.Model(inputs, [layers.Dense(2, name="a")(hidden), layers.Dense(1, name="b")(hidden)])
    model.compile("adam", loss=["mse", "mae"], metrics=[["mae"], ["mse"]])
    x = np.random.default_rng(0).normal(size=(16, 8)).astype("float32")
    model.fit(x, [x[:, :2], x[:, :1]], verbose=0)
    return model, x


def state_of(model):
    return [
        keras.ops.convert_to_numpy(v)
        for v in (*model.variables, *model.optimizer.variables, *model.metrics_variables)
    ]


def test_the_model_is_left_as_it_was():
    model, x = rich_model()
    model(x, training=True)
    before, losses, names = (
        state_of(model),
        [float(loss) for loss in model.losses],
        [v.path for v in model.variables],
    )
    attributes = {name: set(vars(layer)) for layer in model._flatten_layers() for name in [layer.name]}
    loss_built = model._compile_loss
    assert trace(model).reason is None
    for old, new in zip(before, state_of(model), strict=True):
        np.testing.assert_array_equal(old, new)
    assert [float(loss) for loss in model.losses] == losses
    assert [v.path for v in model.variables] == names
    assert {layer.name: set(vars(layer)) for layer in model._flatten_layers()} == attributes
    assert model._compile_loss is loss_built


def test_training_goes_on_as_if_nothing_had_been_traced():
    def train(*, traced):
        model, x = rich_model()
        if traced:
            assert trace(model).reason is None
        history = model.fit(x, [x[:, :2], x[:, :1]], verbose=0, epochs=2, shuffle=True)
        return history.history, state_of(model)

    histories, states = zip(train(traced=False), train(traced=True), strict=True)
    assert histories[0] == histories[1]
    for plain, traced in zip(*states, strict=True):
        np.testing.assert_array_equal(plain, traced)


def test_random_state_and_names_are_left_as_they_were():
    keras.utils.set_random_seed(7)
    model = flow(layers.Dropout(0.5), layers.Dense(2))
    model.compile(loss="mse")

    def draw():
        legacy = np.random.rand()  # noqa: NPY002 - the state under test
        return random.random(), legacy, float(tf.random.uniform(())), layers.Dense(1).name

    keras.utils.set_random_seed(7)
    keras.backend.clear_session()
    plain = draw()
    keras.utils.set_random_seed(7)
    keras.backend.clear_session()
    trace(model)
    assert draw() == plain


def test_a_model_never_called_can_still_be_nested():
    """Keras notes where a layer is first called; tracing is no such call."""
    model = flow(layers.Dense(2))
    before = model._parent_path
    trace(model)
    assert model._parent_path == before


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(
            lambda: flow(
                layers.Lambda(lambda x: tf.py_function(lambda y: y, [x], tf.float32), output_shape=(8,))
            ),
            "calls back into Python",
            id="py_function",
        ),
        pytest.param(
            lambda: flow(
                layers.Lambda(lambda x: tf.numpy_function(lambda y: y, [x], tf.float32, stateful=False), (8,))
            ),
            "calls back into Python",
            id="numpy_function",
        ),
        pytest.param(
            lambda: flow(layers.Lambda(lambda x: x + tf.random.uniform((8,)))),
            "has state of its own",
            id="random",
        ),
        pytest.param(
            lambda: flow(layers.Lambda(lambda x: x * FOREIGN)),
            "that Keras does not know of",
            id="variable",
        ),
        pytest.param(
            lambda: flow(
                layers.StringLookup(vocabulary=["a"], output_mode="multi_hot"), shape=(1,), dtype="string"
            ),
            "lookup table",
            id="table",
        ),
        pytest.param(
            lambda: flow(layers.Lambda(lambda x: x if bool(tf.reduce_sum(x) > 0) else -x, output_shape=(8,))),
            "could not be traced",
            id="python branch",
        ),
        pytest.param(lambda: OwnFit(*ends()), "OwnFit.fit is overridden", id="fit"),
        pytest.param(lambda: EagerStep(*ends()), "EagerStep.train_step could not be traced", id="train_step"),
        pytest.param(lambda: Subclassed(), "are not known", id="unknown inputs"),  # noqa: PLW0108 - defined below
        pytest.param(
            lambda: called(Paired(), np.zeros((2, 8), "float32")),
            "missing a required argument",
            id="two arguments",
        ),
    ],
)
def test_says_why_nothing_can_be_proved(make, says):
    program = trace(make())
    assert says in program.reason
    assert program.fingerprint is None
    match = match_programs(program, program)
    assert not match.proved
    assert program.reason in match.reason
    assert match.difference is None


class OwnFit(keras.Model):
    def fit(self, *args, **kwargs):
        return super().fit(*args, **kwargs)


class EagerStep(keras.Model):
    def train_step(self, data):
        x, y = data
        return {"loss": float(keras.ops.mean(self(x) - y))}


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4)

    def call(self, inputs):
        return self.dense(inputs)


class Paired(Subclassed):
    def call(self, first, second):
        return self.dense(first + second)


def ends():
    inputs = keras.Input((8,))
    return inputs, layers.Dense(2)(inputs)


def called(model, *more):
    model(np.zeros((2, 8), "float32"), *more)
    return model


def test_a_subclassed_model_is_proved_where_its_inputs_are_known():
    match = match_programs(trace(flow(layers.Dense(4))), trace(called(Subclassed())))
    assert match.proved, match.reason


def test_the_layer_that_stands_in_the_way_is_named():
    model = flow(layers.Dense(4), layers.Lambda(lambda x: x + tf.random.uniform((4,)), name="noise"))
    program = trace(model)
    assert program.obstacle == f"{model.name}/noise"
    assert (
        f"the reference (layer {model.name}/noise)"
        in match_programs(program, trace(flow(layers.Dense(4)))).reason
    )


def test_other_backends_are_not_traced(monkeypatch):
    model = flow(layers.Dense(4))
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    assert "runs on jax" in trace(model).reason


def test_what_a_layer_draws_from_numpy_while_traced_is_never_proved():
    drawing = flow(layers.Lambda(lambda x: x + float(np.random.rand())))  # noqa: NPY002 - as layers do
    assert not match_programs(trace(drawing), trace(drawing)).proved


def test_what_a_layer_draws_from_python_while_traced_is_never_proved():
    drawing = flow(layers.Lambda(lambda x: x + random.random()))
    assert not match_programs(trace(drawing), trace(drawing)).proved


def test_a_loss_that_takes_no_guessable_targets_is_a_reason():
    def loss(y_true, y_pred):
        raise ValueError("only on Tuesdays")

    model = flow(layers.Dense(2))
    model.compile(loss=loss)
    assert "only on Tuesdays" in trace(model).reason


def test_a_model_compiled_without_loss_trains_on_what_its_layers_add():
    def build(rate):
        model = flow(layers.Dense(2, activity_regularizer=keras.regularizers.L2(rate)))
        model.compile("sgd")
        return trace(model)

    assert match_programs(build(0.1), build(0.1)).proved
    assert not match_programs(build(0.1), build(0.2)).proved


def test_the_states_of_a_stateful_layer_are_compared_by_value():
    def build():
        inputs = keras.Input(batch_shape=(2, 5, 3))
        return keras.Model(inputs, layers.LSTM(4, stateful=True)(inputs))

    reference, candidate = build(), build()
    candidate(np.ones((2, 5, 3), "float32"))
    assert not match_programs(trace(reference), trace(candidate)).proved
    candidate.layers[1].reset_state()
    match = match_programs(trace(reference), trace(candidate))
    assert match.proved
    assert len(match.variables) == len(reference.variables)


def test_unused_variables_must_correspond():
    class Spare(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.spare = self.add_weight(shape=(units,))

        def call(self, inputs):
            return inputs

    reference = trace(flow(Spare(2), Spare(3)))
    assert match_programs(reference, trace(flow(Spare(3), Spare(2)))).variables == ((0, 1), (1, 0))
    match = match_programs(reference, trace(flow(Spare(2), Spare(4))))
    assert "unused trainable variable of shape (3,)" in match.reason


SCRIPT = """
import keras
from keras import layers
from pytest_kerasequiv.program import trace
inputs = keras.Input((5, 3))
a, b = layers.Dense(4)(inputs), layers.Dense(4)(inputs)
outputs = layers.LSTM(2, dropout=0.1)(layers.Add()([a, b]))
print(trace(keras.Model(inputs, outputs)).fingerprint)
"""


def test_the_fingerprint_is_the_same_in_every_process(capsys):
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    exec(SCRIPT, {})
    there, here = (text.split()[-1] for text in (done.stdout, capsys.readouterr().out))
    assert there == here
    assert len(here) == 64


def test_a_chain_of_a_thousand_layers():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # Keras needs it to build such a model; tracing does not
    try:
        model = flow(*(layers.Activation("relu") for _ in range(1000)), layers.Dense(1))
    finally:
        sys.setrecursionlimit(before)
    program = trace(model)
    assert program.reason is None
    assert match_programs(program, program).proved


@pytest.mark.parametrize("enabled", [True, False])
def test_collecting_garbage_goes_on_as_before(enabled):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        trace(model)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_no_garbage_is_looked_for_until_the_program_is_made(monkeypatch):
    enabled, made = [], Assembly.program
    monkeypatch.setattr(Assembly, "program", lambda one: enabled.append(gc.isenabled()) or made(one))
    trace(keras.Sequential([keras.Input((3,)), layers.Dense(2)]))
    assert enabled == [False]
