"""Which pairs of models are proved to be one program, and what is said of those that are not."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tests.common.models import flow

from pytest_kerasequiv.keras_access.supported import is_before
from pytest_kerasequiv.program import match_programs, trace


def listed(layer):
    inputs = keras.Input((8,))
    return keras.Model([inputs], [layer(inputs)])


def compiled(model, **settings):
    model.compile(**settings)
    return model


def matched(reference, candidate):
    return match_programs(trace(reference), trace(candidate))


def two_branches(*, swapped=False, second_first=False, merge=layers.Add):
    inputs = keras.Input((8,))

    def deep():
        return layers.Dense(4, activation="tanh")(layers.Dense(6)(inputs))

    def shallow():
        return layers.Dense(4)(inputs)

    if second_first:
        second, first = shallow(), deep()
    else:
        first, second = deep(), shallow()
    merged = merge()([second, first] if swapped else [first, second])
    return keras.Model(inputs, layers.Dense(2)(merged))


def three_branches(order):
    inputs = keras.Input((8,))
    start = layers.Dense(5)(inputs)
    branches = [layers.Dense(4, activation=name)(start) for name in ("relu", "tanh", "elu")]
    return keras.Model(inputs, layers.Add()([branches[i] for i in order]))


def symmetric_branches(order):
    inputs = keras.Input((8,))
    outputs = {}
    for name in order:
        outputs[name] = layers.Dense(4)(layers.Dense(3)(inputs))
    return keras.Model(inputs, layers.Add()([layers.Add()([outputs["a"], outputs["b"]]), outputs["c"]]))


def twice(*, shared):
    inputs = keras.Input((8,))
    first = layers.Dense(8)
    second = first if shared else layers.Dense(8)
    return keras.Model(inputs, second(first(inputs)))


def frozen(index=None):
    model = flow(layers.Dense(4), layers.Dense(4))
    if index is not None:
        model.layers[1 + index].trainable = False
    return model


def stateful(*, keep=True):
    inputs = keras.Input(batch_shape=(2, 5, 3))
    return keras.Model(inputs, layers.LSTM(4, stateful=keep)(inputs))


def attention(*, heads=2, dropout=0.1):
    inputs = keras.Input((5, 8))
    seen = layers.MultiHeadAttention(heads, 4, dropout=dropout)(inputs, inputs)
    return keras.Model(inputs, layers.LayerNormalization()(layers.Add()([inputs, seen])))


def embedding(*, mask_zero=True):
    return flow(layers.Embedding(10, 4, mask_zero=mask_zero), layers.LSTM(3), shape=(6,), dtype="int32")


def two_outputs(*, swapped=False, **settings):
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    joined = layers.Concatenate()([b, a] if swapped else [a, b])
    outputs = {"o": layers.Dense(2, name="o")(joined), "p": layers.Dense(1, name="p")(a)}
    model = keras.Model({"a": a, "b": b}, outputs)
    return compiled(model, **settings) if settings else model


def under_policy(policy, build):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return build()
    finally:
        keras.config.set_dtype_policy(before)


def nested():
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(4, activation="relu"), layers.Dropout(0.1)])
    return flow(inner, layers.Dense(2))


class Noise(layers.Layer):
    """Draws twice from one seed generator."""

    def __init__(self, *, multiplier_first):
        super().__init__()
        self.generator = keras.random.SeedGenerator(3)
        self.multiplier_first = multiplier_first

    def call(self, inputs):
        first = keras.random.uniform((8,), seed=self.generator)
        second = keras.random.uniform((8,), seed=self.generator)
        multiplier, summand = (first, second) if self.multiplier_first else (second, first)
        return keras.ops.tanh(inputs * multiplier) + summand


EIGHT = tf.range(8.0)

PROVED = {
    "sequential": lambda: (
        keras.Sequential([keras.Input((8,)), layers.Dense(4, "relu"), layers.Dropout(0.2)]),
        flow(layers.Dense(4), layers.ReLU(), layers.Dropout(0.2)),
    ),
    "nested": lambda: (nested(), flow(layers.Dense(4), layers.ReLU(), layers.Dropout(0.1), layers.Dense(2))),
    "built in another order": lambda: (two_branches(), two_branches(second_first=True)),
    "inputs of Add swapped": lambda: (two_branches(), two_branches(swapped=True, second_first=True)),
    "inputs of Multiply swapped": lambda: (
        two_branches(merge=layers.Multiply),
        two_branches(swapped=True, merge=layers.Multiply),
    ),
    "symmetric branches": lambda: (symmetric_branches("abc"), symmetric_branches("cba")),
    "shared layer": lambda: (twice(shared=True), twice(shared=True)),
    "frozen layer": lambda: (frozen(0), frozen(0)),
    "batch normalisation": lambda: (
        flow(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), shape=(6, 6, 2)),
        flow(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Activation("relu"), shape=(6, 6, 2)),
    ),
    "constraint": lambda: (
        flow(layers.Dense(4, kernel_constraint="max_norm")),
        flow(layers.Dense(4, kernel_constraint=keras.constraints.MaxNorm(2))),
    ),
    "RNN of a cell": lambda: (
        flow(layers.LSTM(4), shape=(5, 3)),
        flow(layers.RNN(layers.LSTMCell(4)), shape=(5, 3)),
    ),
    "stacked cells with dropout": lambda: tuple(
        flow(layers.RNN([layers.LSTMCell(4, dropout=0.1), layers.GRUCell(3)]), shape=(5, 3)) for _ in "ab"
    ),
    "bidirectional": lambda: tuple(flow(layers.Bidirectional(layers.GRU(4)), shape=(5, 3)) for _ in "ab"),
    "stateful": lambda: (stateful(), stateful()),
    "attention": lambda: (attention(), attention()),
    "mixed precision": lambda: tuple(
        under_policy("mixed_float16", lambda: flow(layers.Dense(4), layers.BatchNormalization()))
        for _ in "ab"
    ),
    "float64": lambda: tuple(
        under_policy("float64", lambda: flow(layers.Dense(4), dtype="float64")) for _ in "ab"
    ),
    "masked embedding": lambda: (embedding(), embedding()),
    "dicts": lambda: (two_outputs(), two_outputs()),
    "other optimizer": lambda: tuple(
        two_outputs(optimizer=name, loss={"o": "mse", "p": "mae"}, loss_weights={"o": 1.0, "p": 0.5})
        for name in ("adam", "sgd")
    ),
    "integer classes": lambda: tuple(
        compiled(flow(layers.Dense(4, "softmax")), loss="sparse_categorical_crossentropy") for _ in "ab"
    ),
    "two sparse losses": lambda: tuple(
        two_outputs(loss={"o": "sparse_categorical_crossentropy", "p": "mse"}) for _ in "ab"
    ),
    "lambda": lambda: tuple(flow(layers.Lambda(lambda x: x * 2)) for _ in "ab"),
    "captured constant": lambda: tuple(flow(layers.Lambda(lambda x: x + EIGHT)) for _ in "ab"),
    "dropout of nothing": lambda: (flow(layers.Dropout(0.0), layers.Dense(3)), flow(layers.Dense(3))),
    "reshape": lambda: (
        flow(layers.Flatten(), shape=(3, 4)),
        flow(layers.Reshape((-1,)), shape=(3, 4)),
    ),
    "one generator": lambda: tuple(flow(Noise(multiplier_first=True)) for _ in "ab"),
    "dropout seed": lambda: (flow(layers.Dropout(0.2, seed=1)), flow(layers.Dropout(0.2, seed=2))),
    "augmentation": lambda: tuple(flow(layers.RandomFlip(), shape=(8, 8, 3)) for _ in "ab"),
    "dropout over time": lambda: tuple(
        flow(layers.TimeDistributed(layers.Dropout(0.3)), shape=(5, 4)) for _ in "ab"
    ),
    "one output as a list": lambda: (flow(layers.Dense(3)), listed(layers.Dense(3))),
}


if is_before(keras, 3, 15):  # there a Reshape asks for the batch's size, and Flatten does not
    del PROVED["reshape"]


@pytest.mark.parametrize("pair", PROVED.values(), ids=PROVED.keys())
def test_is_proved(pair):
    reference, candidate = pair()
    match = matched(reference, candidate)
    assert match.proved, match.reason
    assert match.reason == ""
    assert match.difference is None
    for side, variables in enumerate((reference.variables, candidate.variables)):
        assert sorted(pair[side] for pair in match.variables) == list(range(len(variables)))
    for ours, theirs in match.variables:
        assert reference.variables[ours].shape == candidate.variables[theirs].shape


UNPROVED = {
    "activation": (lambda: (flow(layers.Dense(4, "relu")), flow(layers.Dense(4, "relu6"))), "Relu .*Relu6"),
    "swapped layers": (
        lambda: (
            flow(layers.Dense(4, "relu"), layers.Dense(4, "tanh")),
            flow(layers.Dense(4, "tanh"), layers.Dense(4, "relu")),
        ),
        "Relu in the reference, Tanh in the candidate",
    ),
    "inputs of Subtract": (
        lambda: (two_branches(merge=layers.Subtract), two_branches(swapped=True, merge=layers.Subtract)),
        "Sub with input 0",
    ),
    "inputs of Maximum": (
        lambda: (two_branches(merge=layers.Maximum), two_branches(swapped=True, merge=layers.Maximum)),
        "Maximum",
    ),
    "sum of three in another order": (
        lambda: (three_branches([0, 1, 2]), three_branches([0, 2, 1])),
        "AddV2",
    ),
    "sharing": (lambda: (twice(shared=True), twice(shared=False)), "shares its variables otherwise"),
    "frozen": (lambda: (frozen(0), frozen()), "trainable variable of shape"),
    "another layer frozen": (lambda: (frozen(0), frozen(1)), "variable of shape"),
    "epsilon": (
        lambda: (flow(layers.BatchNormalization()), flow(layers.BatchNormalization(epsilon=1.0001e-3))),
        "batch_normalization.*0.0010001",
    ),
    "momentum": (
        lambda: (flow(layers.BatchNormalization()), flow(layers.BatchNormalization(momentum=0.98))),
        "training programs part.*0.98",
    ),
    "constraint": (
        lambda: (flow(layers.Dense(4, kernel_constraint="max_norm")), flow(layers.Dense(4))),
        "only the reference has",
    ),
    "regulariser": (
        lambda: (flow(layers.Dense(4, kernel_regularizer="l2")), flow(layers.Dense(4))),
        "inference programs part: only the reference has (Mul|Square)",  # Keras 3.9 squares otherwise
    ),
    "activity regulariser": (
        lambda: (flow(layers.Dense(4, activity_regularizer="l2")), flow(layers.Dense(4))),
        "inference programs part in .*dense",
    ),
    "dropout rate": (lambda: (flow(layers.Dropout(0.2)), flow(layers.Dropout(0.3))), "dropout.*1.25.*1.42"),
    "dropout in the cell": (
        lambda: (
            flow(layers.LSTM(4, recurrent_dropout=0.1), shape=(5, 3)),
            flow(layers.LSTM(4, recurrent_dropout=0.2), shape=(5, 3)),
        ),
        "training programs part in .*lstm",
    ),
    "activation of the cell": (
        lambda: (flow(layers.LSTM(4), shape=(5, 3)), flow(layers.LSTM(4, activation="relu"), shape=(5, 3))),
        "While with another body: Tanh .*lstm_cell.* in the reference, Relu",
    ),
    "backwards": (
        lambda: (flow(layers.LSTM(4), shape=(5, 3)), flow(layers.LSTM(4, go_backwards=True), shape=(5, 3))),
        "ReverseV2",
    ),
    "merge of both directions": (
        lambda: tuple(
            flow(layers.Bidirectional(layers.GRU(4), merge_mode=mode), shape=(5, 3))
            for mode in ("sum", "ave")
        ),
        "bidirectional",
    ),
    "state kept": (lambda: (stateful(), stateful(keep=False)), "lstm"),
    "heads": (lambda: (attention(), attention(heads=4)), "multi_head_attention.*/query"),
    "precision": (
        lambda: (
            under_policy("mixed_float16", lambda: flow(layers.Dense(4))),
            flow(layers.Dense(4)),
        ),
        "Cast",
    ),
    "mask": (lambda: (embedding(), embedding(mask_zero=False)), "NotEqual"),
    "swapped inputs": (lambda: (two_outputs(), two_outputs(swapped=True)), "Input a against Input b"),
    "loss weights": (
        lambda: tuple(
            two_outputs(loss={"o": "mse", "p": "mae"}, loss_weights={"o": 1.0, "p": weight})
            for weight in (0.5, 0.6)
        ),
        r"0\.5.* 0\.6",
    ),
    "loss": (
        lambda: (compiled(flow(layers.Dense(4)), loss="mse"), compiled(flow(layers.Dense(4)), loss="huber")),
        "training",
    ),
    "kind of targets": (
        lambda: tuple(
            compiled(flow(layers.Dense(4, "softmax")), loss=name)
            for name in ("categorical_crossentropy", "sparse_categorical_crossentropy")
        ),
        "Target 0 with dtype float32 against int32",
    ),
    "compiled or not": (
        lambda: (compiled(flow(layers.Dense(4)), loss="mse"), flow(layers.Dense(4))),
        "compiled is",
    ),
    "XLA": (
        lambda: tuple(compiled(flow(layers.Dense(4)), loss="mse", jit_compile=jit) for jit in (False, True)),
        "jit_compile is False for the reference and True for the candidate",
    ),
    "lambda": (
        lambda: (flow(layers.Lambda(lambda x: x * 2)), flow(layers.Lambda(lambda x: x * 2.0001))),
        "lambda.*2.0001",
    ),
    "captured constant": (
        lambda: (flow(layers.Lambda(lambda x: x + EIGHT)), flow(layers.Lambda(lambda x: x + (EIGHT + 1e-6)))),
        "Const float32",
    ),
    "a function compiled by XLA": (
        lambda: tuple(flow(layers.Lambda(tf.function(tf.tanh, jit_compile=jit))) for jit in (True, False)),
        "another f|f function",
    ),
    "negative zero": (
        lambda: (flow(layers.Lambda(lambda x: x + 0.0)), flow(layers.Lambda(lambda x: x + -0.0))),
        "Const float32",
    ),
    "order of draws": (
        lambda: tuple(flow(Noise(multiplier_first=first)) for first in (True, False)),
        "noise",
    ),
    "input length": (
        lambda: (flow(layers.Dense(4), shape=(8,)), flow(layers.Dense(4), shape=(9,))),
        "Input 0 with",
    ),
    "input dtype": (
        lambda: (flow(layers.Dense(4), dtype="int32"), flow(layers.Dense(4), dtype="int64")),
        "Input 0 with dtype",
    ),
}


@pytest.mark.parametrize(("pair", "says"), UNPROVED.values(), ids=UNPROVED.keys())
def test_is_not_proved(pair, says):
    reference, candidate = pair()
    match = matched(reference, candidate)
    assert not match.proved
    assert match.variables == ()
    assert re.search(says, match.reason), match.reason


def test_names_the_layer_on_both_sides():
    reference = flow(layers.Dense(4, name="one"), layers.Activation("relu", name="act"))
    candidate = flow(layers.Dense(4, name="one"), layers.Activation("tanh", name="other"))
    difference = matched(reference, candidate).difference
    assert difference.part == "inference"
    assert difference.reference_layer == f"{reference.name}/act"
    assert difference.candidate_layer == f"{candidate.name}/other"
    assert (difference.reference_op, difference.candidate_op) == ("Relu", "Tanh")


def test_names_a_layer_of_a_nested_model_and_a_wrapper():
    def build(activation):
        inner = keras.Sequential(
            [
                keras.Input((5, 3)),
                layers.Bidirectional(layers.SimpleRNN(2, activation=activation), name="both"),
            ],
            name="inner",
        )
        return flow(inner, shape=(5, 3))

    reference = build("relu")
    difference = matched(reference, build("tanh")).difference
    assert difference.reference_layer.startswith(f"{reference.name}/inner/both/forward_simple_rnn")


def test_tells_layers_apart_whose_names_differ_by_a_number():
    def build(activation):
        stack = [
            layers.Dense(4, name="dense"),
            layers.Dense(4, name="dense_1"),
            layers.Dense(4, name="dense_1_1"),
        ]
        stack[1].activation = keras.activations.get(activation)
        return flow(*stack)

    difference = matched(build("relu"), build("tanh")).difference
    assert difference.reference_layer.endswith("/dense_1")


def test_first_of_several_differences_is_named():
    reference = flow(layers.Dense(4, "relu"), layers.BatchNormalization(), layers.Dense(4, "relu"))
    candidate = flow(layers.Dense(4, "relu"), layers.BatchNormalization(epsilon=0.1), layers.Dense(4, "elu"))
    assert "batch_normalization" in matched(reference, candidate).difference.reference_layer


def test_variables_correspond_through_the_program_not_by_position():
    reference, candidate = two_branches(), two_branches(swapped=True)
    shapes = [[tuple(v.shape) for v in model.variables] for model in (reference, candidate)]
    assert shapes[0] != shapes[1]
    carry_and_compare(reference, candidate)


def carry_and_compare(reference, candidate):
    match = matched(reference, candidate)
    assert match.proved
    rng = np.random.default_rng(0)
    values = [rng.normal(size=v.shape) for v in reference.variables]
    for variable, value in zip(reference.variables, values, strict=True):
        variable.assign(value)
    for ours, theirs in match.variables:
        candidate.variables[theirs].assign(values[ours])
    x = rng.normal(size=(3, 8)).astype("float32")
    np.testing.assert_array_equal(reference(x), candidate(x))


def test_swapping_two_identical_layers_is_the_same_program():
    """Renaming variables makes `a - b` out of `b - a` where both come from equal layers."""

    def build(*, swapped):
        inputs = keras.Input((8,))
        a, b = layers.Dense(4)(inputs), layers.Dense(4)(inputs)
        return keras.Model(inputs, layers.Subtract()([b, a] if swapped else [a, b]))

    carry_and_compare(build(swapped=False), build(swapped=True))
