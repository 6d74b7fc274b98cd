"""A copy of a given model does what the model does, or is refused."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

from pytest_kerasequiv import InputError, Verdict, compare
from pytest_kerasequiv.building.copies import carry_attributes, carry_flags, pair_layers, refuse_unlike
from pytest_kerasequiv.building.rebuild import rebuild, remade
from pytest_kerasequiv.running.float64 import _layer_in_float64, float64_mode

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


class Scale(layers.Layer):
    """A layer whose config tells nothing of what it does."""

    def __init__(self, k=1.0, function=None, helper=None, **kwargs):
        super().__init__(**kwargs)
        self.k = k
        self._shift = 0.0
        self.function = function
        self.helper = helper
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return (x if self.function is None else self.function(x)) * self.k + self._shift

    def get_config(self):
        return super().get_config()


class Net(keras.Model):
    """A subclassed model that takes a layer later, and holds another one of the user's."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units)
        self.scale = Scale()
        self.act = None

    def call(self, x):
        x = self.scale(self.dense(x))
        return x if self.act is None else self.act(x)

    def get_config(self):
        return {"units": self.units}


class Doubling(keras.Sequential):
    """A Sequential that computes something else than its layers one after the other."""

    def call(self, x, training=None):
        return 2 * super().call(x, training=training)


class Fixed(Doubling):
    """One that makes its own layers."""

    def __init__(self, units=4):
        super().__init__([keras.Input((4,)), layers.Dense(units)])


class Named(keras.Model):
    """A functional model of the user's class that computes as its graph says."""

    def __init__(self, units):
        inputs = keras.Input((4,))
        backbone = layers.Dense(units)
        super().__init__(inputs, backbone(inputs))
        self.backbone, self.anything = backbone, object()


class Trained(Named):
    """One that is trained in another way."""

    def train_step(self, data):
        return super().train_step(data)


def around(*parts):
    inputs = keras.Input((4,))
    return keras.Model(inputs, functools.reduce(lambda x, layer: layer(x), parts, inputs))


def called(model):
    model(X)
    return model


def assert_faithful(model):
    copy = rebuild(model, with_weights=True)
    assert np.array_equal(model(X), copy(X))
    return copy


@pytest.mark.parametrize("k", [2.0, 3, np.arange(4.0, dtype="float32"), True])
def test_plain_attributes_that_no_config_tells_are_carried_over(k):
    copy = assert_faithful(around(Scale(k)))
    assert type(copy.layers[1].k) is type(k)


def test_attributes_set_later_are_carried_over():
    model = around(Scale())
    scale = model.layers[1]
    scale.k, scale._shift, scale.notes = 5.0, 1.0, {"a": [1, (2, 3)]}
    copy = assert_faithful(model)
    assert copy.layers[1].notes == {"a": [1, (2, 3)]}
    assert copy.layers[1].notes is not scale.notes


def test_attributes_of_subclassed_models_and_of_layers_in_them_are_carried_over():
    model = called(Net())
    model.scale.k, model.note = 5.0, "late"
    assert assert_faithful(model).note == "late"
    nested = around(called(Net(3)))
    nested.layers[1].scale.k = 7.0
    assert_faithful(nested)


def test_given_models_are_compared_as_they_are():
    assert compare(around(Scale(1.0)), around(Scale(2.0))).verdict is Verdict.DIFFERENT
    assert compare(lambda: around(Scale(2.0)), around(Scale(2.0))).verdict is Verdict.EQUIVALENT


def test_regularizers_and_constraints_set_later_are_carried_over():
    model = around(layers.Dense(2, kernel_regularizer="l2"))
    kernel, bias = model.layers[1].variables
    kernel.regularizer, bias.constraint = keras.regularizers.L2(0.5), keras.constraints.NonNeg()
    model.layers[1].activity_regularizer = keras.regularizers.L1(0.25)
    copy = rebuild(model, with_weights=True)
    assert copy.weights[0].regularizer.l2 == 0.5
    assert isinstance(copy.weights[1].constraint, keras.constraints.NonNeg)
    assert copy.layers[1].activity_regularizer.l1 == 0.25
    kernel.regularizer = None
    assert rebuild(model, with_weights=True).weights[0].regularizer is None


def test_a_frozen_layer_in_a_subclassed_model_stays_frozen():
    model = called(Net())
    model.dense.trainable = False
    copy = rebuild(model, with_weights=True)
    assert not copy.dense.trainable
    assert copy.scale.trainable


def patched_call():
    model = around(layers.Dense(2, name="dense"))
    model.layers[1].call = lambda x: 2 * x
    return model


def patched_train_step():
    model = around(layers.Dense(2))
    model.train_step = lambda data: {}
    return model


def other_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = Net()
    finally:
        keras.config.set_dtype_policy(before)
    return called(model)


def late_layer():
    model = Net()
    model.act = layers.ReLU()
    return called(model)


def tied(make):
    embed = layers.Dense(4, use_bias=False, name="embed")
    inputs = keras.Input((4,))
    return keras.Model(inputs, make(embed)(embed(inputs)))


def reading(embed):
    return layers.Lambda(lambda x: x @ ops.transpose(embed.kernel), output_shape=(4,), name="reads")


def activated(embed):
    return layers.Dense(4, activation=lambda x: x @ embed.kernel, name="reads")


def multiplied(embed):
    return lambda x: ops.matmul(x, embed.kernel)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (patched_call, r"layer 'functional\w*/dense' \(Dense\) .*method 'call' was replaced.*pass a builder"),
        (patched_train_step, "method 'train_step' was replaced.*pass a builder"),
        (lambda: around(Scale(function=lambda x: x + 1)), "'function' does not come from .*from get_config"),
        (lambda: around(Scale(helper=object())), "'helper' does not come from .*from get_config"),
        (lambda: around(Scale(helper=keras.initializers.Ones())), "'helper' does not come from"),
        (late_layer, r"\(Net\) .*holds 3 layers \(dense\w*, scale\w*, re_lu\w*\).* holds 2 \("),
        (other_policy, "dtype policy is 'mixed_float16'.*'float32'"),
        (lambda: tied(reading), "other numbers; .*still reads the layers of the model; pass a builder"),
        (lambda: tied(activated), "other numbers; .*still reads the layers of the model"),
        (lambda: tied(multiplied), "other numbers; .*still reads the layers of the model"),
        (Fixed, r"\(Fixed\) cannot be made again from its get_config\(\)"),
    ],
)
def test_what_cannot_be_carried_over_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        rebuild(make(), with_weights=True)


def test_a_layer_attached_later_is_named_to_the_caller():
    with pytest.raises(InputError, match="cannot be copied faithfully: it holds 3 layers"):
        compare(called(Net()), late_layer())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Doubling([keras.Input((4,)), layers.Dense(2)]),
        lambda: called(Doubling([layers.Dense(2)])),
        lambda: keras.Sequential([keras.Input((4,)), Doubling([layers.Dense(3)]), layers.Dense(2)]),
        lambda: around(Doubling([layers.Dense(3)]), layers.Dense(2)),
    ],
)
def test_a_subclass_of_sequential_keeps_its_class(make):
    model = make()
    copy = assert_faithful(model)
    assert [type(layer) for layer in copy._flatten_layers()] == [
        type(layer) for layer in model._flatten_layers()
    ]


def test_a_functional_class_keeps_what_it_does():
    assert_faithful(Named(3))
    with pytest.raises(InputError, match=r"\(Trained\) cannot be made again"):
        rebuild(Trained(3), with_weights=True)


class Helper:
    """Makes a model and keeps its layers: a function of it may read them, or only its other attributes."""

    def __init__(self):
        self.factor, self.dense = 3.0, layers.Dense(4, use_bias=False)

    def scaled(self, x):
        return x * self.factor

    def read(self, x):
        return x @ self.dense.kernel

    def model(self, function):
        return around(self.dense, layers.Lambda(function, output_shape=(4,)))


def test_a_function_may_use_an_object_that_also_holds_layers():
    helper = Helper()
    assert_faithful(helper.model(helper.scaled))
    assert_faithful(helper.model(lambda x: helper.scaled(x) + 1))
    for function in (helper.read, lambda x: helper.read(x) + 1, functools.partial(Helper.read, helper)):
        with pytest.raises(InputError, match="still reads the layers of the model"):
            rebuild(helper.model(function), with_weights=True)


class Rich(layers.Layer):
    """A layer with much that its config need not tell: it makes all of it again."""

    def __init__(self, units, **kwargs):
        import logging
        import threading

        super().__init__(**kwargs)
        self.units, self.lock, self.log = units, threading.Lock(), logging.getLogger("rich")
        self.parts = [layers.Dense(units), layers.Dropout(0.5)]
        self.named = {"norm": layers.LayerNormalization(), "fixed": 3}
        self.seeds, self.metric = keras.random.SeedGenerator(3), keras.metrics.Mean()
        self.table, self.constant = np.arange(float(units), dtype="float32"), ops.ones((units,))
        self.function, self.bound = (lambda x: x * self.units), self.shifted
        self.start, self.rng = keras.initializers.RandomNormal(seed=1), np.random.default_rng(3)
        self.part = functools.partial(self.shifted)
        self.last = None

    def shifted(self, x):
        return x + self.table

    def call(self, x, training=None):
        for part in self.parts:
            x = part(x, training=training)
        self.last = self.part(self.bound(self.function(self.named["norm"](x)))) * self.constant
        return self.last

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_what_a_layer_makes_again_itself_is_no_difference():
    model = around(Rich(3), layers.BatchNormalization(), Rich(2), layers.Dense(1))
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], epochs=2, verbose=0)
    model.predict(X, verbose=0)
    assert_faithful(model)
    assert_faithful(keras.Sequential([keras.Input((4,)), Rich(2)]))


def test_used_layers_of_keras_are_copied():
    model = keras.Sequential(
        [
            keras.Input((6, 4)),
            layers.Conv1D(4, 2, padding="same", use_bias=False),
            layers.Bidirectional(layers.GRU(3, return_sequences=True, dropout=0.2)),
            layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True),
            layers.TimeDistributed(layers.Dense(4)),
            layers.SpectralNormalization(layers.Dense(3)),
            layers.LayerNormalization(),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1),
        ]
    )
    x = np.ones((5, 6, 4), "float32")
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(x, x[:, 0, :1], epochs=3, verbose=0, callbacks=[keras.callbacks.EarlyStopping("loss")])
    assert np.array_equal(model(x), rebuild(model, with_weights=True)(x))


def test_layers_attached_to_a_functional_model_that_it_does_not_call_are_left_out():
    model = around(layers.Dense(2))
    model.flat, model.note = layers.Flatten(), "n"
    assert_faithful(model)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Doubling([keras.Input((4,)), layers.Dense(2)]),
        lambda: around(Scale(np.arange(4.0, dtype="float32")), Rich(3)),
        lambda: around(Scale(ops.ones((4,))), layers.Dense(2)),
    ],
)
def test_a_copy_that_computes_in_float64_is_made_faithful_too(make):
    model = make()
    with float64_mode():
        wide = remade(model, _layer_in_float64)
        pairs = pair_layers(model, wide)
        carry_flags(pairs, model, wide)
        carry_attributes(pairs, widened=True)
        refuse_unlike(pairs, widened=True)
        for one, other in zip(model.variables, wide.variables, strict=True):
            other.assign(one)
        assert all(str(v.dtype) == "float64" for v in wide.weights)
        np.testing.assert_allclose(wide(X.astype("float64")), model(X), rtol=1e-4, atol=1e-5)
