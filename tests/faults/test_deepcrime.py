"""DeepCrime's operators, as far as they change a model, how it is compiled, or how it is fitted.

Not here: the operators on data (change labels, remove, unbalance, noise, overlap), since twins share one data
set, and the patience of early stopping and the removed validation set, which only a training loop has.
"""

import keras
import pytest
from keras import layers, regularizers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.comparison import Comparison
from pytest_kerasequiv.verdict import Verdict

LADDER = ("weights", "outputs", "gradients", "updates")


def mlp(
    *,
    activation="relu",
    last="softmax",
    regularizer=None,
    rate=0.3,
    bias=True,
    initializer="glorot_uniform",
    optimizer=keras.optimizers.Adam,
    loss="categorical_crossentropy",
    **settings,
):
    """Return a small classifier, compiled."""
    hidden = layers.Dense(
        8,
        activation=activation,
        use_bias=bias,
        kernel_regularizer=regularizer,
        kernel_initializer=initializer,
        name="hidden",
    )
    drop = [layers.Dropout(rate, name="drop")] if rate is not None else []
    stack = [keras.Input((6,)), hidden, *drop, layers.Dense(3, activation=last, name="head")]
    model = keras.Sequential(stack, name="net")
    model.compile(optimizer(**settings), loss, metrics=["accuracy"])
    return model


L1, L2 = regularizers.L1, regularizers.L2

OPERATORS = [
    ("change activation", {"activation": "elu"}, "outputs", ("net/hidden", "activation"), {}),
    ("remove activation", {"last": None}, "outputs", ("net/head", "activation"), {}),
    ("add activation", {"activation": "relu"}, "outputs", ("net/hidden", "activation"), {"activation": None}),
    ("add regularisation", {"regularizer": L2(0.1)}, "outputs", ("net/hidden", "kernel_regularizer"), {}),
    (
        "change regularisation",
        {"regularizer": L1(0.1)},
        "outputs",
        ("net/hidden", "kernel_regularizer"),
        {"regularizer": L2(0.1)},
    ),
    (
        "remove regularisation",
        {"regularizer": None},
        "outputs",
        ("net/hidden", "kernel_regularizer"),
        {"regularizer": L2(0.1)},
    ),
    ("dropout rate", {"rate": 0.4}, "gradients", ("net/drop", "rate"), {}),
    ("remove dropout", {"rate": None}, "gradients", ("net/drop", "layer"), {}),
    (
        "weights initialiser",
        {"initializer": "he_normal"},
        "weights",
        ("net/hidden", "kernel_initializer"),
        {},
    ),
    ("add bias", {"bias": True}, "weights", ("net/hidden", "variables"), {"bias": False}),
    ("remove bias", {"bias": False}, "weights", ("net/hidden", "variables"), {}),
    ("loss", {"loss": "kl_divergence"}, "outputs", (None, "loss"), {}),
    ("optimiser", {"optimizer": keras.optimizers.SGD}, "updates", (None, "optimizer"), {}),
    ("learning rate", {"learning_rate": 0.01}, "updates", (None, "optimizer.learning_rate"), {}),
    ("gradient clipping", {"clipvalue": 0.1}, "updates", (None, "optimizer.clipvalue"), {}),
]


@pytest.mark.parametrize(
    ("name", "change", "check", "named", "base"), OPERATORS, ids=[o[0] for o in OPERATORS]
)
def test_operator(name, change, check, named, base):
    comparison = Comparison(Twins(lambda: mlp(**base), lambda: mlp(**change), name=name))
    for each in LADDER:
        result = comparison.check(each)
        if result.verdict is Verdict.DIFFERENT:
            break
    first = result.findings[0]
    assert result.name == check
    assert (first.reference_layer or first.candidate_layer, first.field) == named, [
        str(f) for f in result.findings
    ]
