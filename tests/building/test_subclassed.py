"""Subclassed models: what tells their inputs, layers that their own build leaves out, and none to call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from pytest_kerasequiv import InputError, Report, Twins, Verdict, compare
from pytest_kerasequiv.building.specs import input_specs

IDS = np.random.default_rng(0).integers(0, 10, (6, 5)).astype("int32")
COMPILE = {"optimizer": "adam", "loss": "mse"}


class Counted(keras.Model):
    """Owns variables beside its layers."""

    def __init__(self, start: str = "zeros") -> None:
        super().__init__()
        self.out = layers.Dense(3)
        self.scale = self.add_weight(shape=(), initializer=start, name="scale")
        self.calls = keras.Variable(0, dtype="int32", trainable=False)

    def call(self, x: Any) -> Any:
        return self.out(x) * (1 + self.scale)


def proved(report: Report) -> bool:
    assert report.verdict is Verdict.EQUIVALENT, str(report)
    return report["program"].verdict is Verdict.EQUIVALENT


def test_a_compiled_model_that_owns_a_variable() -> None:
    assert proved(compare(Counted, Counted, input_shape=(4,), compile=COMPILE))
    report = compare(Counted, lambda: Counted("ones"), input_shape=(4,), compile=COMPILE)
    assert {finding.field for finding in report["weights"].differences} == {"scale"}


class OneHot(keras.Model):
    """Takes whole numbers, which nothing in it says."""

    def __init__(self) -> None:
        super().__init__()
        self.out = layers.Dense(2)

    def call(self, ids: Any) -> Any:
        return self.out(ops.one_hot(ids, 10)[:, 0])


class Mixed(keras.Model):
    """Takes a dict of whole numbers and others."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = layers.Embedding(10, 4), layers.Dense(2)

    def call(self, given: Any) -> Any:
        read = ops.sum(ops.one_hot(given["ids"], 10), axis=1)
        return self.out(ops.concatenate([read, given["other"]], axis=-1))


def called() -> keras.Model:
    model = OneHot()
    model(IDS)
    return model


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (OneHot, {"inputs": IDS}),
        (OneHot, {"inputs": IDS, "input_shape": (5,)}),
        (called, {"inputs": IDS}),
        (OneHot, {"input_shape": ((5,), "int32")}),
        (OneHot, {"input_shape": keras.Input((5,), dtype="int32")}),
        (Mixed, {"inputs": {"ids": IDS, "other": np.ones((6, 3), "float32")}}),
        (Mixed, {"input_shape": {"ids": ((5,), "int32"), "other": (3,)}}),
    ],
)
def test_whole_numbers_reach_call_as_they_are(build: Callable[[], Any], options: Any) -> None:
    assert proved(compare(build, build, **options))


def test_the_dtype_of_inputs_is_known() -> None:
    twins = Twins(OneHot, OneHot)
    twins.tell_inputs(IDS)
    specs = input_specs(twins.candidate)
    assert (specs.shape, specs.dtype) == ((None, 5), "int32")


class LeavesOut(keras.Model):
    """Its own ``build`` builds nothing."""

    def __init__(self, activation: str = "relu") -> None:
        super().__init__()
        self.first, self.second = layers.Dense(3, activation=activation), layers.Dense(2)

    def build(self, shape: Any) -> None:
        self.built = True

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))


class Auxiliary(LeavesOut):
    """Uses one layer in training only."""

    def call(self, x: Any, training: bool = False) -> Any:
        out = self.second(x)
        return out + self.first(x)[:, :2] if training else out


def half_built(activation: str = "relu") -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        model = LeavesOut(activation)
        model.build((None, 4))
        return model

    return build


@pytest.mark.parametrize(
    ("same", "other"),
    [
        (half_built(), half_built("tanh")),
        (Auxiliary, lambda: Auxiliary("tanh")),
    ],
    ids=["half built", "in training only"],
)
def test_layers_that_a_build_leaves_out_are_built(same: Any, other: Any) -> None:
    twins = Twins(same, other, input_shape=(4,))
    assert len(twins.reference.weights) == len(twins.candidate.weights) == 4
    assert proved(compare(same, same, input_shape=(4,)))
    assert compare(same, other, input_shape=(4,)).verdict is Verdict.DIFFERENT


def test_layers_that_nothing_calls_may_stay_unbuilt() -> None:
    class Unused(LeavesOut):
        def call(self, x: Any) -> Any:
            return self.second(x)

    twins = Twins(Unused, Unused, input_shape=(4,))
    assert len(twins.reference.weights) == 2


def test_models_without_call_are_compared_by_their_parts() -> None:
    class Adversarial(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.generator = keras.Sequential([keras.Input((3,)), layers.Dense(4)])
            self.discriminator = keras.Sequential([keras.Input((4,)), layers.Dense(1)])

    for shape in ((3,), None):
        with pytest.raises(
            InputError, match=r"without call\(\).*generator, discriminator: compare the parts"
        ):
            _ = Twins(Adversarial, Adversarial, input_shape=shape).reference
