"""Blame: several culprits at once, downstream layers spared, nested, shared and subclassed models."""

import keras
import pytest
from keras import layers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import outputs
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.verdict import Verdict


def culprits(reference, candidate, **options):
    result = outputs.CHECK(Pair(Twins(reference, candidate, **options)))
    assert result.verdict is Verdict.DIFFERENT
    named = [f for f in result.differences if f.reference_layer or f.candidate_layer]
    return [(f.reference_layer or f.candidate_layer, f.field) for f in named], result


def chain(first="tanh", second="tanh", third=1e-3, extra=()):
    stack = [
        layers.Dense(6, activation=first, name="a"),
        *[make() for make in extra],
        layers.Dense(6, activation=second, name="b"),
        layers.LayerNormalization(epsilon=third, name="c"),
        layers.Dense(2, name="d"),
    ]
    return keras.Sequential([keras.Input((5,)), *stack], name="net")


def test_every_layer_at_fault_is_named_and_no_other():
    found, _ = culprits(chain, lambda: chain(first="relu", third=1.0002e-3))
    assert found == [("net/a", "activation"), ("net/c", "epsilon")]


def test_first_divergence_and_the_table_of_layers_are_given():
    _, result = culprits(chain, lambda: chain(second="relu"))
    assert "first differ at 'net/b'" in " ".join(str(f) for f in result.notes)
    rows = {row["reference"]: row["difference"] > row["allowed"] for row in result.figures["layers"]}
    assert rows["net/a"] is False
    assert rows["net/d"] is True


def test_layer_of_one_side_only_is_named():
    found, _ = culprits(chain, lambda: chain(extra=[lambda: layers.Rescaling(1.001, name="scale")]))
    assert found == [("net/scale", "layer")]


def test_swapped_inputs_are_named():
    def build(swapped):
        inputs = keras.Input((4,))
        first = layers.Dense(3, name="p")(inputs)
        second = layers.Dense(3, name="q", activation="relu")(inputs)
        joined = layers.Subtract(name="minus")([second, first] if swapped else [first, second])
        return keras.Model(inputs, layers.Dense(2, name="out")(joined), name="net")

    found, _ = culprits(lambda: build(swapped=False), lambda: build(swapped=True))
    assert ("net/minus", "inputs") in found


def test_nested_layers_are_named_by_their_path():
    def build(activation):
        inputs = keras.Input((4,))
        block = [keras.Input((4,)), layers.Dense(3, name="in"), layers.Activation(activation, name="act")]
        return keras.Model(inputs, layers.Dense(2)(keras.Sequential(block, name="block")(inputs)), name="net")

    found, _ = culprits(lambda: build("relu"), lambda: build("tanh"))
    assert found == [("net/block/act", "activation")]


@keras.saving.register_keras_serializable("blame")
class Attention(layers.Layer):
    """A composite layer."""

    def __init__(self, epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.mix = layers.Dense(4, name="mix")
        self.norm = layers.LayerNormalization(epsilon=epsilon, name="norm")

    def call(self, x):
        return self.norm(x + self.mix(x))

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


def test_composite_layers_are_descended_into():
    def build(epsilon):
        inputs = keras.Input((4,))
        return keras.Model(inputs, layers.Dense(2)(Attention(epsilon, name="att")(inputs)), name="net")

    found, _ = culprits(lambda: build(1e-3), lambda: build(1e-2))
    assert found[0] == ("net/att/norm", "epsilon")


class Own(keras.Model):
    """A subclassed model: it has no layer graph."""

    def __init__(self, activation):
        super().__init__(name="own")
        self.first = layers.Dense(4, activation=activation, name="first")
        self.last = layers.Dense(2, name="last")

    def call(self, x):
        return self.last(self.first(x))


def test_subclassed_models_are_followed_by_the_order_of_their_calls():
    found, _ = culprits(lambda: Own("relu"), lambda: Own("tanh"), input_shape=(3,))
    assert found == [("own/first", "activation")]


def test_wrapped_layers_name_the_wrapped_setting():
    def build(activation):
        wrapped = layers.TimeDistributed(layers.Dense(3, activation=activation), name="each")
        return keras.Sequential([keras.Input((5, 2)), wrapped, layers.Flatten(), layers.Dense(1)], name="net")

    found, _ = culprits(lambda: build("relu"), lambda: build("tanh"))
    assert found[0][0] == "net/each"
    assert "activation" in found[0][1]


@pytest.mark.parametrize("scale", [1e-6])
def test_own_weights_that_differ_are_named(scale, tmp_path):
    model = chain()
    first, second = tmp_path / "a.keras", tmp_path / "b.keras"
    model.save(first)
    kernel = model.get_layer("b").kernel
    value = kernel.numpy()
    value[0, 0] *= 1 + 4 * scale
    kernel.assign(value)
    model.save(second)
    found, _ = culprits(str(first), str(second))
    assert found == [("net/b", "kernel")]
