"""Each benign rewrite both ways: what it accepts computes the same numbers, a near miss is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_kerasequiv.correspondence.known import known_variables
from pytest_kerasequiv.correspondence.mapping import possible_maps
from pytest_kerasequiv.layers.graph_reading import layer_graph
from pytest_kerasequiv.layers.matching import Match, match
from pytest_kerasequiv.layers.rewrites import REASONS, RULES
from pytest_kerasequiv.weights.variables import assign, values_of

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")

Body = Callable[[Any, Any], Any]
"""Makes the output from the symbolic input, given ``keras.layers``."""


def sequence(body: Body, **given: Any) -> Any:
    """A model on sequences of 6 steps of 4 numbers."""
    import keras

    inputs = keras.Input((6, 4), **given)
    return keras.Model(inputs, body(inputs, keras.layers))


def tokens(body: Body) -> Any:
    """A model on sequences of tokens, embedded with a mask."""
    import keras

    inputs = keras.Input((6,), dtype="int32")
    embedded = keras.layers.Embedding(9, 4, mask_zero=True)(inputs)
    return keras.Model(inputs, body(embedded, keras.layers))


def image(body: Body) -> Any:
    import keras

    inputs = keras.Input((6, 6, 3))
    return keras.Model(inputs, body(inputs, keras.layers))


def matched(reference: Any, candidate: Any) -> Match:
    return match(layer_graph(reference), layer_graph(candidate))


def assert_same_numbers(reference: Any, candidate: Any, found: Match) -> None:
    """With weights carried through the map, both give the same outputs."""
    known = known_variables(reference), known_variables(candidate)
    (carried,) = possible_maps(*known, layer_match=found, program_match=None, programs=None)
    assert carried.complete
    rng = np.random.default_rng(0)
    assign(candidate, carried.carry(values_of(reference), values_of(candidate)))
    shape = (3, *reference.inputs[0].shape[1:])
    integers = reference.inputs[0].dtype == "int32"
    x = rng.integers(0, 9, shape).astype("int32") if integers else rng.normal(size=shape).astype("float32")
    np.testing.assert_allclose(np.array(reference(x)), np.array(candidate(x)), rtol=1e-5, atol=1e-6)


def relu(x: Any) -> Any:
    import keras

    return keras.activations.relu(x)


def op(name: str, *given: Any, **more: Any) -> Any:
    import keras

    return getattr(keras.ops, name)(*given, **more)


def glorot(**more: Any) -> Any:
    import keras

    return keras.initializers.VarianceScaling(1.0, "fan_avg", "uniform", **more)


def l1_l2() -> Any:
    import keras

    return keras.regularizers.L1L2(l1=0.0, l2=0.01)


def twice(x: Any, layer: Any, other: Any = None) -> Any:
    import keras

    return keras.layers.Concatenate()([layer(x), (other or layer)(keras.ops.negative(x))])


BENIGN: list[tuple[str, Any, Body, Body]] = [
    (
        "activation split",
        sequence,
        lambda x, L: L.Dense(3, activation="relu")(x),
        lambda x, L: L.ReLU()(L.Dense(3)(x)),
    ),
    (
        "activation split",
        sequence,
        lambda x, L: L.Conv1D(3, 2, activation="tanh", activity_regularizer="l2")(x),
        lambda x, L: L.Activation("tanh", activity_regularizer="l2")(L.Conv1D(3, 2)(x)),
    ),
    (
        "activation split",
        image,
        lambda x, L: L.SeparableConv2D(3, 2, activation="elu")(x),
        lambda x, L: L.ELU()(L.SeparableConv2D(3, 2)(x)),
    ),
    ("activation form", sequence, lambda x, L: L.Activation("relu")(x), lambda x, L: L.ReLU()(x)),
    ("activation form", sequence, lambda x, L: L.Activation("relu")(x), lambda x, L: relu(x)),
    ("activation form", sequence, lambda x, L: L.Activation("relu")(x), lambda x, L: op("relu", x)),
    (
        "activation form",
        sequence,
        lambda x, L: L.Activation("relu6")(x),
        lambda x, L: L.ReLU(max_value=6.0)(x),
    ),
    ("activation form", sequence, lambda x, L: L.Activation("softmax")(x), lambda x, L: L.Softmax(axis=2)(x)),
    (
        "activation form",
        sequence,
        lambda x, L: L.LeakyReLU(0.2)(x),
        lambda x, L: L.Activation("leaky_relu")(x),
    ),
    (
        "activation form",
        sequence,
        lambda x, L: L.LeakyReLU(0.3)(x),
        lambda x, L: L.ReLU(negative_slope=0.3)(x),
    ),
    ("activation form", sequence, lambda x, L: L.Activation("swish")(x), lambda x, L: op("silu", x)),
    (
        "activation form",
        sequence,
        lambda x, L: L.Activation("gelu")(x),
        lambda x, L: op("gelu", x, approximate=False),
    ),
    ("identity", sequence, lambda x, L: L.Dense(3)(x), lambda x, L: L.Identity()(L.Dense(3)(x))),
    ("identity", sequence, lambda x, L: L.Dense(3)(x), lambda x, L: L.Dense(3)(L.Dropout(0.0)(x))),
    ("identity", sequence, lambda x, L: L.Dense(3)(x), lambda x, L: L.Activation("linear")(L.Dense(3)(x))),
    ("identity", sequence, lambda x, L: L.Dense(3)(x), lambda x, L: L.Dense(3)(L.GaussianNoise(0.0)(x))),
    ("identity", sequence, lambda x, L: L.Flatten()(x), lambda x, L: L.Flatten()(L.Flatten()(x))),
    ("identity", tokens, lambda x, L: L.LSTM(3)(x), lambda x, L: L.LSTM(3)(L.Identity()(x))),
    ("reshape form", sequence, lambda x, L: L.Flatten()(x), lambda x, L: L.Reshape((-1,))(x)),
    ("reshape form", sequence, lambda x, L: L.Flatten()(x), lambda x, L: op("reshape", x, (-1, 24))),
    ("reshape form", sequence, lambda x, L: L.Reshape((3, 8))(x), lambda x, L: L.Reshape((3, -1))(x)),
    (
        "TimeDistributed(Dense)",
        sequence,
        lambda x, L: L.Dense(3)(x),
        lambda x, L: L.TimeDistributed(L.Dense(3))(x),
    ),
    (
        "TimeDistributed(Dense)",
        tokens,
        lambda x, L: L.LSTM(2)(L.Dense(3, activation="relu")(x)),
        lambda x, L: L.LSTM(2)(L.TimeDistributed(L.Dense(3, activation="relu"))(x)),
    ),
    ("convolution of kernel size 1", sequence, lambda x, L: L.Dense(3)(x), lambda x, L: L.Conv1D(3, 1)(x)),
    (
        "convolution of kernel size 1",
        image,
        lambda x, L: L.Dense(3, kernel_regularizer="l2", activation="relu")(x),
        lambda x, L: L.Conv2D(3, 1, padding="same", kernel_regularizer="l2", activation="relu")(x),
    ),
    (
        "separable convolution",
        image,
        lambda x, L: L.SeparableConv2D(5, 3, strides=2, depth_multiplier=2, depthwise_regularizer="l1")(x),
        lambda x, L: L.Conv2D(5, 1)(
            L.DepthwiseConv2D(3, strides=2, depth_multiplier=2, use_bias=False, depthwise_regularizer="l1")(x)
        ),
    ),
    (
        "separable convolution",
        sequence,
        lambda x, L: L.SeparableConv1D(5, 3)(x),
        lambda x, L: L.Dense(5)(L.DepthwiseConv1D(3, use_bias=False)(x)),
    ),
    ("RNN cell", sequence, lambda x, L: L.LSTM(3)(x), lambda x, L: L.RNN(L.LSTMCell(3))(x)),
    (
        "RNN cell",
        tokens,
        lambda x, L: L.GRU(3, return_sequences=True, go_backwards=True)(x),
        lambda x, L: L.RNN(L.GRUCell(3), return_sequences=True, go_backwards=True)(x),
    ),
    ("RNN cell", sequence, lambda x, L: L.SimpleRNN(3)(x), lambda x, L: L.RNN(L.SimpleRNNCell(3))(x)),
    ("unroll", sequence, lambda x, L: L.LSTM(3)(x), lambda x, L: L.LSTM(3, unroll=True)(x)),
    (
        "unroll",
        sequence,
        lambda x, L: L.Bidirectional(L.GRU(3))(x),
        lambda x, L: L.Bidirectional(L.GRU(3, unroll=True))(x),
    ),
    (
        "global pooling",
        sequence,
        lambda x, L: L.GlobalAveragePooling1D()(x),
        lambda x, L: L.Flatten()(L.AveragePooling1D(6)(x)),
    ),
    (
        "global pooling",
        image,
        lambda x, L: L.GlobalMaxPooling2D(keepdims=True)(x),
        lambda x, L: L.MaxPooling2D(6)(x),
    ),
    ("operator", sequence, lambda x, L: L.Add()([L.Dense(4)(x), x]), lambda x, L: L.Dense(4)(x) + x),
    ("operator", sequence, lambda x, L: L.Subtract()([L.Dense(4)(x), x]), lambda x, L: L.Dense(4)(x) - x),
    ("operator", sequence, lambda x, L: L.Multiply()([L.Dense(4)(x), x]), lambda x, L: x * L.Dense(4)(x)),
    (
        "operator",
        sequence,
        lambda x, L: L.Concatenate()([L.Dense(4)(x), x]),
        lambda x, L: op("concatenate", [L.Dense(4)(x), x], axis=2),
    ),
    (
        "operator",
        sequence,
        lambda x, L: L.Add()([L.Dense(4)(x), x, L.Conv1D(4, 3, padding="same")(x)]),
        lambda x, L: L.Conv1D(4, 3, padding="same")(x) + (x + L.Dense(4)(x)),
    ),
    (
        "initialiser form",
        sequence,
        lambda x, L: L.Dense(3, kernel_regularizer="l2")(x),
        lambda x, L: L.Dense(3, kernel_initializer=glorot(), kernel_regularizer=l1_l2())(x),
    ),
    (
        "spelled-out argument",
        sequence,
        lambda x, L: L.LayerNormalization()(L.BatchNormalization()(x)),
        lambda x, L: L.LayerNormalization(axis=2)(L.BatchNormalization(axis=2)(x)),
    ),
    (
        "trainable without weights",
        sequence,
        lambda x, L: L.Dropout(0.2)(x),
        lambda x, L: L.Dropout(0.2, trainable=False)(x),
    ),
    (
        "sharing without state",
        sequence,
        lambda x, L: twice(x, L.MaxPooling1D(2)),
        lambda x, L: twice(x, L.MaxPooling1D(2), L.MaxPooling1D(2)),
    ),
    (
        "Masking without a reader",
        sequence,
        lambda x, L: L.Conv1D(3, 2)(x),
        lambda x, L: L.Conv1D(3, 2)(L.Masking()(x)),
    ),
]

NEAR_MISSES: list[tuple[str, Any, Body, Body]] = [
    (
        "activation split",
        sequence,
        lambda x, L: L.Dense(3, activation="relu")(x),
        lambda x, L: L.ReLU(6.0)(L.Dense(3)(x)),
    ),
    (
        "activation split: the regulariser sees the activation",
        sequence,
        lambda x, L: L.Dense(3, activation="relu", activity_regularizer="l2")(x),
        lambda x, L: L.ReLU()(L.Dense(3, activity_regularizer="l2")(x)),
    ),
    (
        "activation form: another slope",
        sequence,
        lambda x, L: L.LeakyReLU()(x),
        lambda x, L: L.Activation("leaky_relu")(x),
    ),
    ("activation form: gelu", sequence, lambda x, L: L.Activation("gelu")(x), lambda x, L: op("gelu", x)),
    (
        "activation form: axis",
        sequence,
        lambda x, L: L.Softmax(axis=1)(x),
        lambda x, L: L.Activation("softmax")(x),
    ),
    ("activation form: PReLU", sequence, lambda x, L: L.PReLU()(x), lambda x, L: L.ReLU()(x)),
    (
        "activation form: Softmax reads the mask",
        tokens,
        lambda x, L: L.Softmax()(x),
        lambda x, L: L.Activation("softmax")(x),
    ),
    (
        "activation form: operations lose the mask",
        tokens,
        lambda x, L: L.LSTM(3)(L.Activation("relu")(x)),
        lambda x, L: L.LSTM(3)(op("relu", x)),
    ),
    ("identity: a rate", sequence, lambda x, L: L.Dense(3)(x), lambda x, L: L.Dense(3)(L.Dropout(0.01)(x))),
    (
        "identity: with a regulariser",
        sequence,
        lambda x, L: L.Dense(3)(x),
        lambda x, L: L.Identity(activity_regularizer="l2")(L.Dense(3)(x)),
    ),
    (
        "identity: a cast",
        sequence,
        lambda x, L: L.Dense(3)(x),
        lambda x, L: L.Identity(dtype="float16")(L.Dense(3)(x)),
    ),
    ("reshape form", sequence, lambda x, L: L.Reshape((3, 8))(x), lambda x, L: L.Reshape((4, 6))(x)),
    (
        "reshape form: transposed",
        sequence,
        lambda x, L: L.Reshape((4, 6))(x),
        lambda x, L: L.Permute((2, 1))(x),
    ),
    (
        "reshape form: the batch axis moves",
        sequence,
        lambda x, L: L.Reshape((3, 8))(x),
        lambda x, L: op("reshape", x, (-1, 12)),
    ),
    (
        "reshape form: Flatten loses the mask of losses",
        tokens,
        lambda x, L: x,
        lambda x, L: L.Reshape((6, 4))(x),
    ),
    (
        "TimeDistributed(Dense): a regulariser of its output",
        sequence,
        lambda x, L: L.Dense(3, activity_regularizer="l2")(x),
        lambda x, L: L.TimeDistributed(L.Dense(3, activity_regularizer="l2"))(x),
    ),
    (
        "convolution of kernel size 1: the mask",
        tokens,
        lambda x, L: L.LSTM(2)(L.Dense(3)(x)),
        lambda x, L: L.LSTM(2)(L.Conv1D(3, 1)(x)),
    ),
    (
        "convolution of kernel size 1: the mask of the output",
        tokens,
        lambda x, L: L.Dense(3)(x),
        lambda x, L: L.Conv1D(3, 1)(x),
    ),
    (
        "convolution of kernel size 1",
        sequence,
        lambda x, L: L.Dense(3)(x),
        lambda x, L: L.Conv1D(3, 1, strides=2)(x),
    ),
    (
        "convolution of kernel size 1: kernel size 2",
        sequence,
        lambda x, L: L.Dense(3)(x),
        lambda x, L: L.Conv1D(3, 2, padding="same")(x),
    ),
    (
        "convolution of kernel size 1: a constraint along an axis",
        sequence,
        lambda x, L: L.Dense(3, kernel_constraint="max_norm")(x),
        lambda x, L: L.Conv1D(3, 1, kernel_constraint="max_norm")(x),
    ),
    (
        "separable convolution: with a bias between",
        image,
        lambda x, L: L.SeparableConv2D(5, 3)(x),
        lambda x, L: L.Conv2D(5, 1)(L.DepthwiseConv2D(3)(x)),
    ),
    (
        "separable convolution: other initialiser",
        image,
        lambda x, L: L.SeparableConv2D(5, 3)(x),
        lambda x, L: L.Conv2D(5, 1)(
            L.DepthwiseConv2D(3, use_bias=False, depthwise_initializer="he_normal")(x)
        ),
    ),
    ("RNN cell", sequence, lambda x, L: L.LSTM(3)(x), lambda x, L: L.RNN(L.GRUCell(3))(x)),
    (
        "RNN cell: a field",
        sequence,
        lambda x, L: L.LSTM(3)(x),
        lambda x, L: L.RNN(L.LSTMCell(3, dropout=0.1))(x),
    ),
    (
        "RNN cell: the cell is frozen",
        sequence,
        lambda x, L: L.LSTM(3)(x),
        lambda x, L: L.RNN(L.LSTMCell(3, trainable=False))(x),
    ),
    ("unroll: with a mask", tokens, lambda x, L: L.LSTM(3)(x), lambda x, L: L.LSTM(3, unroll=True)(x)),
    (
        "global pooling: not all",
        sequence,
        lambda x, L: L.Flatten()(L.AveragePooling1D(3)(x)),
        lambda x, L: L.Flatten()(L.AveragePooling1D(6)(x)),
    ),
    (
        "global pooling: the mask",
        tokens,
        lambda x, L: L.GlobalAveragePooling1D()(x),
        lambda x, L: L.Flatten()(L.AveragePooling1D(6)(x)),
    ),
    (
        "global pooling: another kind",
        sequence,
        lambda x, L: L.GlobalMaxPooling1D()(x),
        lambda x, L: L.Flatten()(L.AveragePooling1D(6)(x)),
    ),
    (
        "operator: order of a difference",
        sequence,
        lambda x, L: L.Subtract()([L.Dense(4)(x), x]),
        lambda x, L: x - L.Dense(4)(x),
    ),
    (
        "operator: tensors that are broadcast",
        sequence,
        lambda x, L: L.Add()([x, L.GlobalMaxPooling1D(keepdims=True)(x)]),
        lambda x, L: x + L.GlobalMaxPooling1D(keepdims=True)(x),
    ),
    (
        "operator: Multiply reads masks",
        tokens,
        lambda x, L: L.Multiply()([x, x]),
        lambda x, L: x * x,
    ),
    (
        "operator: the inner sum is read elsewhere",
        sequence,
        lambda x, L: L.Add()([L.Dense(4)(x), x, x]),
        lambda x, L: L.Concatenate()([(s := L.Dense(4)(x) + x), s + x]),
    ),
    (
        "initialiser form",
        sequence,
        lambda x, L: L.Dense(3)(x),
        lambda x, L: L.Dense(3, kernel_initializer="glorot_normal")(x),
    ),
    (
        "spelled-out argument",
        image,
        lambda x, L: L.BatchNormalization()(x),
        lambda x, L: L.BatchNormalization(axis=1)(x),
    ),
    (
        "trainable without weights: with weights",
        sequence,
        lambda x, L: L.Dense(3)(x),
        lambda x, L: L.Dense(3, trainable=False)(x),
    ),
    (
        "sharing without state: with a seed generator",
        sequence,
        lambda x, L: twice(x, L.Dropout(0.5)),
        lambda x, L: twice(x, L.Dropout(0.5), L.Dropout(0.5)),
    ),
    (
        "Masking without a reader: with one",
        sequence,
        lambda x, L: L.LSTM(3)(x),
        lambda x, L: L.LSTM(3)(L.Masking()(x)),
    ),
    (
        "Masking without a reader: another value",
        sequence,
        lambda x, L: L.Conv1D(3, 2)(x),
        lambda x, L: L.Conv1D(3, 2)(L.Masking(1.0)(x)),
    ),
    (
        "Masking without a reader: the loss reads it",
        sequence,
        lambda x, L: L.Dense(3)(x),
        lambda x, L: L.Dense(3)(L.Masking()(x)),
    ),
]


def numbered(cases: list[tuple[str, Any, Body, Body]]) -> list[Any]:
    return [pytest.param(*case, id=f"{case[0]}-{number}") for number, case in enumerate(cases)]


@pytest.mark.parametrize(("rule", "model", "reference", "candidate"), numbered(BENIGN))
def test_accepts(rule: str, model: Any, reference: Body, candidate: Body) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = model(reference), model(candidate)
    found = matched(ours, theirs)
    assert found.isomorphic, [edit.message for edit in found.edits]
    assert rule in {use.rule for use in found.rules}
    assert matched(theirs, ours).isomorphic
    assert_same_numbers(ours, theirs, found)


@pytest.mark.parametrize(("rule", "model", "reference", "candidate"), numbered(NEAR_MISSES))
def test_does_not_accept(rule: str, model: Any, reference: Body, candidate: Body) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = model(reference), model(candidate)
    for found in (matched(ours, theirs), matched(theirs, ours)):
        assert not found.isomorphic
        assert found.edits


def nested(body: Callable[[Any], tuple[Any, Any]], keep: bool) -> Any:
    import keras

    def make(inner_inputs: Any) -> list[Any]:
        return list(body(inner_inputs))

    inner_inputs = keras.Input((6, 4))
    inner = keras.Model(inner_inputs, make(inner_inputs))
    inputs = keras.Input((6, 4))
    first, second = inner(inputs)
    return keras.Model(inputs, keras.layers.Add()([first, second]) if keep else first)


def test_dead_layer() -> None:
    import keras

    L = keras.layers
    alive = sequence(lambda x, L: L.Dense(4)(x))
    with_dead = nested(lambda x: (L.Dense(4)(x), L.Dropout(0.3)(L.Dense(4)(x))), keep=False)
    found = matched(alive, with_dead)
    assert found.isomorphic
    assert "dead layer" in {use.rule for use in found.rules}
    assert len(found.dead_candidate) == 3, "kernel, bias and the dropout's seed"
    assert_same_numbers(alive, with_dead, found)


def test_dead_layer_that_adds_to_the_loss() -> None:
    import keras

    L = keras.layers
    alive = sequence(lambda x, L: L.Dense(4)(x))
    dead = nested(lambda x: (L.Dense(4)(x), L.Dense(4, kernel_regularizer="l2")(x)), keep=False)
    assert not matched(alive, dead).isomorphic
    needed = nested(lambda x: (L.Dense(4)(x), L.Dense(4)(x)), keep=True)
    assert not matched(alive, needed).isomorphic


def test_a_custom_class_of_a_known_name_is_not_rewritten() -> None:
    import keras

    class ReLU(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    ours = sequence(lambda x, L: L.ReLU()(x))
    assert not matched(ours, sequence(lambda x, L: ReLU()(x))).isomorphic
    assert not matched(ours, sequence(lambda x, L: L.TimeDistributed(ReLU())(x))).isomorphic


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.NAME)
def test_each_rule_says_why(rule: Any) -> None:
    assert rule.NAME in REASONS
    assert len(REASONS[rule.NAME]) > 30
    accepted = {case[0] for case in BENIGN} | {"dead layer"}
    refused = {case[0].split(":")[0] for case in NEAR_MISSES} | {"dead layer"}
    assert rule.NAME in accepted & refused, "every rule is tested both ways"


def test_a_constant_may_be_an_array() -> None:
    """As for an embedding that is pretrained."""
    import keras

    table = np.arange(15.0).reshape(5, 3)

    def embedded(activation: str | None) -> Any:
        start = keras.initializers.Constant(table)
        inputs = keras.Input((4,), dtype="int32")
        dense = keras.layers.Dense(2, activation=activation)
        hidden = dense(keras.layers.Embedding(5, 3, embeddings_initializer=start)(inputs))
        return keras.Model(inputs, hidden if activation else keras.layers.ReLU()(hidden))

    assert matched(embedded("relu"), embedded(None)).isomorphic


@pytest.mark.parametrize(
    ("reference", "candidate", "told"),
    [
        (
            lambda x, layers: layers.Dense(4, activation="leaky_relu")(x),
            lambda x, layers: layers.LeakyReLU(0.3)(layers.Dense(4)(x)),
            ("negative_slope", 0.2, 0.3),
        ),
        (
            lambda x, layers: layers.GRU(4)(x),
            lambda x, layers: layers.RNN(layers.GRUCell(4, reset_after=False))(x),
            ("cell.reset_after", True, False),
        ),
        (
            lambda x, layers: layers.AdditiveAttention()([x, x]),
            lambda x, layers: layers.AdditiveAttention(use_scale=False)([x, x]),
            ("use_scale", True, False),
        ),
        (
            lambda x, layers: layers.Dense(4, activation="relu")(x),
            lambda x, layers: layers.ReLU(threshold=0.5)(layers.Dense(4)(x)),
            ("threshold", None, 0.5),
        ),
    ],
    ids=["default of a function", "default of a cell", "flag without effect", "no slope"],
)
def test_what_one_side_leaves_unsaid_is_told_with_its_value(
    reference: Body, candidate: Body, told: tuple[str, Any, Any]
) -> None:
    (edit,) = matched(sequence(reference), sequence(candidate)).edits
    assert (edit.field, edit.reference, edit.candidate) == told
