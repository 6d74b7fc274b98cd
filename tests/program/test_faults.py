"""The list of faults, each against the program check: proved only where the program is the same.

The numbers are those of the list of faults this package is judged by: a base model, one change. Changes of
initial values (28 and 40 to 43) leave the program as it is, and the proof rightly stands: the check `weights`
tells them.
"""

import keras
import pytest
from keras import layers, regularizers

from pytest_kerasequiv.program import match_programs, trace


def build(
    *,
    conv=(),
    norm=(),
    activation=layers.ReLU,
    dropout=lambda: [layers.Dropout(0.2)],
    after_pool=list,
    pool=lambda: layers.MaxPooling1D(2),
    lstm=(),
    last=list,
    dense=(),
    first=list,
    order=("norm", "activation"),
    frozen=None,
    loss="mse",
    recurrent=True,
):
    parts = {
        "norm": [layers.BatchNormalization(**dict(norm))] if norm is not None else [],
        "activation": [activation()],
    }
    stack = [
        *first(),
        layers.Conv1D(**{"filters": 4, "kernel_size": 3, **dict(conv)}, name="conv"),
        *(layer for name in order for layer in parts[name]),
        *dropout(),
        pool(),
        *after_pool(),
        layers.LSTM(**{"units": 5, **dict(lstm)}) if recurrent else layers.GlobalAveragePooling1D(),
        *last(),
        layers.Dense(**{"units": 2, **dict(dense)}),
    ]
    inputs = outputs = keras.Input((12, 3))
    for layer in stack:
        outputs = layer(outputs)
        if layer.name == frozen:
            layer.trainable = False
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss=loss)
    return model


FAULTS = {
    1: {"activation": lambda: layers.Activation("tanh")},
    2: {"activation": lambda: layers.Activation("linear")},
    3: {"activation": lambda: layers.LeakyReLU(0.3)},
    4: {"activation": layers.ELU},
    5: {"conv": {"padding": "same"}},
    6: {"conv": {"padding": "causal"}},
    7: {"conv": {"strides": 2}},
    8: {"conv": {"dilation_rate": 2}},
    9: {"pool": lambda: layers.AveragePooling1D(2)},
    10: {"pool": lambda: layers.MaxPooling1D(3)},
    11: {"lstm": {"recurrent_activation": "hard_sigmoid"}},
    12: {"lstm": {"activation": "relu"}},
    13: {"lstm": {"return_sequences": True}, "last": lambda: [layers.GlobalAveragePooling1D()]},
    14: {"lstm": {"go_backwards": True}},
    15: {"dense": {"activation": "sigmoid"}},
    16: {"order": ("activation", "norm")},
    17: {"first": lambda: [layers.Rescaling(0.5)]},
    18: {"norm": {"epsilon": 1e-5}},
    19: {"conv": {"filters": 5}},
    20: {"conv": {"kernel_size": 4}},
    21: {"conv": {"use_bias": False}},
    22: {"norm": None},
    23: {"norm": {"center": False}},
    24: {"lstm": {"units": 6}},
    25: {"last": lambda: [layers.LayerNormalization()]},
    26: {"dropout": lambda: [layers.Dropout(0.0)]},
    27: {"dropout": lambda: [layers.Dropout(0.3)]},
    29: {"dropout": list, "after_pool": lambda: [layers.Dropout(0.2)]},
    30: {"last": lambda: [layers.Dropout(0.2)]},
    31: {"lstm": {"dropout": 0.2}},
    32: {"lstm": {"recurrent_dropout": 0.2}},
    33: {"dropout": lambda: [layers.Dropout(0.2), layers.GaussianNoise(0.1)]},
    34: {"norm": {"trainable": False}},
    35: {"dense": {"kernel_regularizer": regularizers.L2(0.01)}},
    36: {"dense": {"activity_regularizer": regularizers.L2(0.01)}},
    37: {"frozen": "conv"},
    38: {"norm": {"momentum": 0.9}},
    39: {"dense": {"kernel_constraint": "max_norm"}},
    44: {"activation": lambda: layers.ReLU(max_value=6)},
    45: {"first": lambda: [layers.Masking()]},
    61: {"loss": "mae"},
    62: {"loss": "huber"},
}

INITIAL_VALUES = {
    28: {"dropout": lambda: [layers.Dropout(0.2, seed=99)]},
    40: {"conv": {"kernel_initializer": "he_normal"}},
    41: {"lstm": {"recurrent_initializer": "glorot_uniform"}},
    42: {"lstm": {"unit_forget_bias": False}},
    43: {"dense": {"bias_initializer": "ones"}},
}


LAYERS = {
    1: "re_lu",
    11: "lstm",
    15: "dense",
    18: "batch_normalization",
    27: "dropout",
    38: "batch_normalization",
}
"""The layer that is named for some of them."""

THROUGH_THE_LSTM = {2, 16, 21, 27, 34, 36, 37, 45, 61}
"""Besides those of the LSTM itself: for the others a mean stands in its place, which is traced sooner."""


@pytest.fixture(scope="module")
def bases():
    return {recurrent: trace(build(recurrent=recurrent)) for recurrent in (True, False)}


@pytest.mark.parametrize("recurrent", [True, False])
def test_the_base_model_is_proved(bases, recurrent):
    assert match_programs(bases[recurrent], trace(build(recurrent=recurrent))).proved


@pytest.mark.parametrize("number", FAULTS)
def test_a_fault_is_never_proved(bases, number):
    change = FAULTS[number]
    recurrent = "lstm" in change or number in THROUGH_THE_LSTM
    base, candidate = bases[recurrent], trace(build(recurrent=recurrent, **change))
    assert candidate.reason is None
    for match in (match_programs(base, candidate), match_programs(candidate, base)):
        assert not match.proved
        assert match.reason
        assert match.difference is not None
    if number in LAYERS:
        assert LAYERS[number] in match_programs(base, candidate).difference.reference_layer


@pytest.mark.parametrize("number", INITIAL_VALUES)
def test_initial_values_are_not_part_of_the_program(bases, number):
    assert match_programs(bases[True], trace(build(**INITIAL_VALUES[number]))).proved
