"""A fresh model like a given one."""

import keras
import numpy as np
import pytest
from keras import layers
from tests.common.models import same_values

from pytest_kerasequiv import InputError, Twins
from pytest_kerasequiv.building.rebuild import rebuild
from pytest_kerasequiv.weights.variables import values_of

RNG = np.random.default_rng(0)


def assert_copied(model, x):
    """The copy computes the same, shares nothing, and building it left the model alone."""
    before, compiled = values_of(model), model.compiled
    copy, fresh = rebuild(model, with_weights=True), rebuild(model, with_weights=False)
    for each in (copy, fresh):
        assert type(each) is type(model)
        assert not {id(v) for v in each.variables} & {id(v) for v in model.variables}
        assert each.compiled == model.compiled == compiled
    assert same_values(copy, model)
    expected, found = (keras.tree.flatten(m.predict(x, verbose=0)) for m in (model, copy))
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(before, values_of(model), strict=True))
    return copy, fresh


def test_branches_shared_layers_and_several_outputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(3, activation="relu")
    x = layers.Concatenate()([shared(a), shared(b)])
    model = keras.Model({"a": a, "b": b}, {"sum": layers.Dense(1)(x), "product": shared(a) * shared(b)})
    copy, fresh = assert_copied(model, {name: RNG.normal(size=(5, 4)) for name in "ab"})
    assert len(copy.weights) == len(model.weights) == 4
    assert not same_values(fresh, model)


def test_nested_models_and_frozen_parts():
    block = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.BatchNormalization()], name="block")
    block.trainable = False
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(block(block(inputs))))
    copy, _ = assert_copied(model, RNG.normal(size=(5, 4)))
    assert [v.trainable for v in copy.weights] == [v.trainable for v in model.weights]
    assert len(copy.trainable_weights) == 2


def test_a_single_frozen_variable():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.layers[0].bias.trainable = False
    copy, _ = assert_copied(model, RNG.normal(size=(5, 4)))
    assert [v.trainable for v in copy.weights] == [True, False]


@pytest.mark.filterwarnings("error:The object being serialized")
def test_functions_keep_their_closures():
    factor = 3.0

    def activation(x):
        return factor * x

    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, activation=activation),
            layers.Dense(3, activation=lambda x: x + factor),
            layers.Lambda(lambda x: x - factor, output_shape=(3,)),
            layers.Activation(activation),
        ]
    )
    assert_copied(model, RNG.normal(size=(5, 4)))


class Noisy(layers.Layer):
    """A custom layer that nobody registered."""

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.inner = layers.Dropout(scale)

    def build(self, shape):
        self.offset = self.add_weight(shape=(shape[-1],), initializer="uniform")

    def call(self, x, training=None):
        return self.inner(x + self.offset, training=training)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


class Secret(Noisy):
    """A custom layer without a complete config."""

    def get_config(self):
        return {"name": self.name}


def test_custom_layers_alone_and_in_wrappers():
    model = keras.Sequential(
        [
            keras.Input((3, 4)),
            Noisy(0.5),
            layers.TimeDistributed(Noisy(0.25)),
            layers.Bidirectional(layers.GRU(2)),
        ]
    )
    copy, _ = assert_copied(model, RNG.normal(size=(5, 3, 4)))
    assert copy.layers[0].scale == 0.5
    assert copy.layers[1].layer.scale == 0.25


def test_a_layer_without_config_is_named():
    model = keras.Sequential([keras.Input((4,)), Secret(0.5, name="secret")])
    with pytest.raises(InputError, match=r"layer 'secret' \(Secret\) cannot be made again.*pass a builder"):
        rebuild(model, with_weights=True)
    assert not model.compiled


class Configured(keras.Model):
    """A subclassed model with a config."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Plain(keras.Model):
    """A subclassed model without one."""

    def __init__(self, activation):
        super().__init__()
        self.dense = layers.Dense(3, activation=activation)

    def call(self, x):
        return self.dense(x)


def test_subclassed_models_with_a_config():
    model = Twins(lambda: Configured(3), lambda: Configured(3), input_shape=(4,)).reference
    assert_copied(model, RNG.normal(size=(5, 4)))


def test_a_subclassed_model_that_was_called_on_data():
    model = Configured(3)
    model(np.ones((2, 4), "float32"))
    twins = Twins(model, lambda: Configured(3))
    assert same_values(twins.reference, model)
    assert len(twins.candidate.weights) == 2


class Two(Configured):
    def call(self, x, other):
        return self.dense(x) + other


def test_a_subclassed_model_with_two_arguments_needs_a_builder():
    model = Two(3)
    model(np.ones((2, 4), "float32"), np.ones((2, 3), "float32"))
    with pytest.raises(InputError, match=r"\(Two\) does not tell which inputs.*pass a builder"):
        _ = Twins(model, lambda: Two(3)).reference


def test_a_subclassed_model_without_a_config_is_named():
    model = Plain(lambda x: x)
    model(np.ones((2, 4), "float32"))
    with pytest.raises(InputError, match=r"\(Plain\) cannot be made again.*pass a builder"):
        _ = Twins(model, lambda: Configured(3), input_shape=(4,)).reference


def test_adapted_layers_keep_what_they_learned():
    data = RNG.normal(3.0, 2.0, size=(50, 4)).astype("float32")
    normal, bins = layers.Normalization(), layers.Discretization(num_bins=3)
    normal.adapt(data)
    bins.adapt(data)
    inputs = keras.Input((4,))
    x = normal(inputs)
    model = keras.Model(inputs, [layers.Dense(2)(x), bins(inputs)])
    _, fresh = assert_copied(model, data)
    assert np.array_equal(fresh.predict(data, verbose=0)[1], model.predict(data, verbose=0)[1])
    assert np.array_equal(fresh.layers[1].mean, normal.mean)


def test_vocabularies_are_kept():
    import tensorflow as tf

    lookup = layers.StringLookup()
    lookup.adapt(tf.constant(["a", "b", "b"]))
    inputs = keras.Input((2,), dtype="string")
    model = keras.Model(inputs, layers.Embedding(4, 2)(lookup(inputs)))
    words = tf.constant([["a", "b"], ["c", "b"]])
    copy = rebuild(model, with_weights=True)
    assert np.array_equal(copy(words), model(words))


def test_compile_settings_are_copied_and_the_optimizer_is_fresh():
    def loss(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred))

    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile(
        keras.optimizers.Adam(0.25), loss, metrics=[keras.metrics.RootMeanSquaredError(name="rmse")]
    )
    model.fit(np.ones((4, 4)), np.ones((4, 1)), verbose=0)
    iterations = int(model.optimizer.iterations)
    copy = rebuild(model, with_weights=True)
    assert copy.loss is loss
    assert float(copy.optimizer.learning_rate) == 0.25
    assert int(copy.optimizer.iterations) == 0
    assert int(model.optimizer.iterations) == iterations == 1
    assert set(copy.evaluate(np.ones((4, 4)), np.ones((4, 1)), verbose=0, return_dict=True)) == {
        "loss",
        "rmse",
    }


class Grown(layers.Layer):
    """A layer with as many weights as an attribute says that its config does not hold."""

    count = 1

    def grow(self):
        self.count += 1

    def build(self, shape):
        for number in range(self.count):
            self.add_weight(shape=(), name=f"weight_{number}")

    def call(self, x):
        return x


def test_state_that_the_config_does_not_tell_is_an_error():
    grown = Grown()
    grown.grow()
    model = keras.Sequential([keras.Input((4,)), grown])
    with pytest.raises(InputError, match="has 2 variables, made again from its config it has 1 or others"):
        rebuild(model, with_weights=True)


class Pairwise(Configured):
    def call(self, inputs):
        a, b = inputs.values() if isinstance(inputs, dict) else inputs
        return self.dense(a) + self.dense(b)


@pytest.mark.parametrize("structure", [dict, list])
def test_a_subclassed_model_that_was_called_on_several_inputs(structure):
    x = [RNG.normal(size=(5, 4)).astype("float32") for _ in range(2)]
    inputs = dict(zip("ab", x, strict=True)) if structure is dict else x
    model = Pairwise(3)
    model(inputs)
    copy = rebuild(model, with_weights=True)
    assert np.array_equal(copy(inputs), model(inputs))
