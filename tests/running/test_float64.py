"""The float64 oracle: how it is built, and when there is none."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.building.sources import source_of
from pytest_kerasequiv.running.dtypes import least_precise_dtype
from pytest_kerasequiv.running.float64 import Float64Unavailable, build_float64, float64_mode
from pytest_kerasequiv.running.narrowing import narrowing_step
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.weights.variables import assign, values_of


def net():
    stack = [
        layers.Dense(8, activation="tanh"),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.Dense(2),
    ]
    model = keras.Sequential([keras.Input((5,)), *stack])
    model.compile("adam", "mse")
    return model


def mixed():
    keras.config.set_dtype_policy("mixed_float16")
    return net()


@pytest.mark.parametrize(
    ("given", "error"), [(net, 1e-6), (net(), 1e-6), (mixed, 1e-2)], ids=["builder", "model", "mixed"]
)
def test_twin_computes_the_same_in_float64_with_the_same_dropout(given, error):
    source = source_of(given, "reference", compile=None)
    model = source.build_as_given(0)
    values = values_of(model)
    wide = build_float64(source, 0, like=model)
    assert wide.compiled
    assign(wide, values)
    x = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
    for training in (False, True):
        assign(model, values)
        stored = np.asarray(model(x, training=training), "float64")
        with float64_mode(least_precise_dtype(model)):
            assign(wide, values)
            exact = wide(x, training=training)
        assert exact.dtype == "float64"
        np.testing.assert_allclose(stored, exact, atol=error)


def test_settings_are_as_before_afterwards():
    before = keras.config.floatx(), keras.config.dtype_policy().name, keras.random.uniform
    build_float64(source_of(net, "reference", compile=None), 0)
    assert (keras.config.floatx(), keras.config.dtype_policy().name, keras.random.uniform) == before


def test_hard_coded_policy_is_replaced_through_the_config():
    def stubborn():
        return keras.Sequential([keras.Input((3,)), layers.Dense(2, dtype="float32")])

    model = build_float64(source_of(stubborn, "reference", compile=None), 0)
    assert {layer.compute_dtype for layer in model.layers} == {"float64"}


class Narrow(layers.Layer):
    def call(self, x):
        return keras.ops.cast(keras.ops.sin(keras.ops.cast(x, "float32")), x.dtype)


def test_code_that_rounds_to_float32_is_found_out():
    def narrow():
        return keras.Sequential([keras.Input((3,)), layers.Dense(2), Narrow()])

    wide = build_float64(source_of(narrow, "reference", compile=None), 0)
    assert "float32" in narrowing_step(Runner(wide, values_of(wide), wide=True))
    clean = build_float64(source_of(net, "reference", compile=None), 0)
    assert narrowing_step(Runner(clean, values_of(clean), wide=True)) is None


def test_quantised_layers_and_configs_that_fail_have_no_twin():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="dense")])
    model.quantize("int8")
    with pytest.raises(Float64Unavailable, match="quantised"):
        build_float64(source_of(net, "reference", compile=None), 0, like=model)


def functional():
    inputs = keras.Input((5,))
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(8, activation="tanh")(inputs)))


@pytest.mark.parametrize("given", [net(), functional()], ids=["sequential", "functional"])
def test_a_twin_from_a_config_takes_inputs_in_float64(given):
    """Narrower inputs would round the gradients that leave through them."""
    wide = build_float64(source_of(given, "reference", compile=None), 0, like=given)
    assert [tensor.dtype for tensor in wide.inputs] == ["float64"]


@pytest.mark.parametrize("dtype", ["float32", tf.float32, np.float32, np.dtype("float32")])
def test_inputs_that_a_builder_declares_as_float32_are_float64_in_the_twin(dtype):
    """Else all that the input meets is rounded, and a constant off by a few roundoffs does not show."""

    def scaled(by):
        def build():
            inputs = keras.Input((5,), dtype=dtype)
            return keras.Model(inputs, layers.Dense(2)(inputs * np.float32(by)))

        return build

    wide = build_float64(source_of(scaled(0.5), "reference", compile=None), 0)
    assert wide.inputs[0].dtype == "float64"
    assert keras.Input((5,), dtype=dtype).dtype == "float32"
    report = compare(scaled(0.5), scaled(0.500001), checks=["program", "outputs"])
    assert report.verdict is Verdict.DIFFERENT


def test_other_dtypes_that_are_declared_stay():
    def build():
        whole, half = keras.Input((5,), dtype="int32"), keras.Input((5,), dtype="float16")
        return keras.Model([whole, half], layers.Dense(2)(layers.Embedding(4, 5)(whole)[:, 0] + half))

    wide = build_float64(source_of(build, "reference", compile=None), 0)
    assert [tensor.dtype for tensor in wide.inputs] == ["int32", "float16"]
