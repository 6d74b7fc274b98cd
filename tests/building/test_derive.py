"""The other-API twin."""

import keras
import numpy as np
import pytest
from keras import layers
from tests.common.models import same_values
from tests.common.unread_inputs import needs_unread_inputs

from pytest_kerasequiv import InputError, Twins
from pytest_kerasequiv.building.derive import api_of_twin, derive


class Scale(keras.layers.Layer):
    """A custom layer that nobody registered and that has no config."""

    def __init__(self, factors):
        super().__init__()
        self.factors = factors

    def call(self, inputs):
        return inputs * self.factors[0]


def sequential():
    factor = 3.0
    return keras.Sequential(
        [
            keras.Input((6, 2)),
            layers.Conv1D(3, 2),
            layers.Lambda(lambda x: x * factor),
            Scale([2.0, "not a number"]),
            layers.Bidirectional(layers.LSTM(2)),
            layers.Dropout(0.5),
            layers.Dense(2, activation=lambda x: x + factor),
        ]
    )


def chain():
    inputs = keras.Input((6, 2), dtype="float32")
    x = layers.Dense(3)(inputs)
    x = keras.Sequential([keras.Input((6, 3)), layers.Dense(2), layers.Dropout(0.1)])(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(1)(x))


@pytest.mark.parametrize(("builder", "api"), [(sequential, "Functional"), (chain, "Sequential")])
def test_the_twin_has_the_weights_seeds_and_outputs(builder, api):
    twins = Twins(builder)
    assert type(twins.candidate).__name__ == api
    assert same_values(twins.reference, twins.candidate)
    x = np.random.default_rng(0).normal(size=(4, 6, 2)).astype("float32")
    assert np.array_equal(twins.reference.predict(x, verbose=0), twins.candidate.predict(x, verbose=0))
    assert np.array_equal(twins.reference(x, training=True), twins.candidate(x, training=True))


@pytest.mark.parametrize("builder", [sequential, chain])
def test_nothing_is_shared(builder):
    twins = Twins(builder)
    mine = {id(layer) for layer in twins.reference._flatten_layers()}
    assert not mine & {id(layer) for layer in twins.candidate._flatten_layers()}
    again = twins.candidate_source.build(0)
    assert not {id(v) for v in again.variables} & {id(v) for v in twins.candidate.variables}


def test_an_argument_at_its_default_says_nothing():
    def build():
        inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, layers.Conv2D(2, 3)(layers.RandomContrast(0.2)(inputs)))

    assert [type(layer) for layer in Twins(build).candidate.layers] == [layers.RandomContrast, layers.Conv2D]


@pytest.mark.parametrize("builder", [sequential, chain])
def test_training_is_bitwise_equal(builder):
    import tensorflow as tf
    from tensorflow.python.framework import config

    x = np.random.default_rng(0).normal(size=(16, 6, 2)).astype("float32")
    twins = Twins(builder, compile={"optimizer": "adam", "loss": "mse"})
    y = np.zeros((16, twins.reference.output_shape[-1]), "float32")
    tf.config.experimental.enable_op_determinism()
    try:
        losses = []
        for source in (twins.reference_source, twins.candidate_source):
            keras.utils.set_random_seed(5)
            model = source.build()
            losses.append(model.fit(x, y, epochs=2, batch_size=4, verbose=0).history["loss"])
    finally:
        config.disable_op_determinism()
    assert losses[0] == losses[1]


def test_the_twin_of_the_twin_is_the_model():
    model = sequential()
    back = derive(derive(model))
    assert isinstance(back, keras.Sequential)
    assert [layer.name for layer in back.layers] == [layer.name for layer in model.layers]


def test_integer_inputs_and_static_batches_are_kept():
    inputs = keras.Input(batch_shape=(4, 5), dtype="int32")
    twin = derive(keras.Model(inputs, layers.Embedding(7, 2)(inputs)))
    assert twin.inputs[0].dtype == "int32"
    assert twin.inputs[0].shape == (4, 5)


def test_compile_settings_of_the_builder_come_along():
    def compiled():
        model = sequential()
        model.compile(keras.optimizers.SGD(0.25), loss=keras.losses.Huber(delta=2.0), metrics=["mae"])
        return model

    twins = Twins(compiled)
    assert float(twins.candidate.optimizer.learning_rate) == 0.25
    assert twins.candidate.loss._fn_kwargs == {"delta": 2.0}
    assert twins.candidate.optimizer is not twins.reference.optimizer


def masked():
    return keras.Sequential([keras.Input((5,)), layers.Embedding(9, 3, mask_zero=True), layers.LSTM(2)])


def masked_functional():
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 3, mask_zero=True)(tokens)
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(layers.Dropout(0.5)(x))
    return keras.Model(tokens, layers.GlobalAveragePooling1D()(x))


def masked_inputs():
    x = inputs = keras.Input((6, 3))
    for layer in (layers.Masking(), layers.Dense(2), layers.GlobalAveragePooling1D()):
        x = layer(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("made_by", [masked_functional, masked_inputs])
def test_a_given_model_with_masks_has_a_twin(made_by):
    """Its copy has each mask twice: as an argument, and as Keras computes it again."""
    twins = Twins(made_by())
    assert isinstance(twins.candidate, keras.Sequential)
    assert [type(layer) for layer in twins.candidate.layers] == [
        type(layer) for layer in twins.reference.layers if isinstance(layer, keras.Layer)
    ][1:]


def test_a_given_model_with_a_mask_of_its_own_has_none():
    inputs = keras.Input((6, 3))
    x = layers.Masking()(inputs)
    other = keras.ops.any(keras.ops.not_equal(inputs, 1.0), axis=-1)
    model = keras.Model(inputs, layers.LSTM(2)(x, mask=other))
    with pytest.raises(InputError, match="no twin in the other API"):
        _ = Twins(model).candidate


@pytest.mark.parametrize("builder", [masked, masked_functional])
def test_masks_pass_as_in_the_original(builder):
    twins = Twins(builder)
    tokens = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 0]])
    assert np.array_equal(twins.reference(tokens), twins.candidate(tokens))


def two_inputs():
    one, other = keras.Input((2,)), keras.Input((2,))
    return keras.Model([one, other], layers.Dense(1)(layers.Add(name="merge")([one, other])))


def unused_input():
    one, other = keras.Input((2,)), keras.Input((2,))
    return keras.Model([one, other], layers.Dense(1)(one))


def two_outputs():
    inputs = keras.Input((2,))
    x = layers.Dense(2)(inputs)
    return keras.Model(inputs, [layers.Dense(1)(x), layers.Dense(1)(x)])


def skip():
    inputs = keras.Input((2,))
    x = layers.Dense(2, name="fork")(inputs)
    return keras.Model(inputs, layers.Add(name="merge")([x, layers.Dense(2)(x)]))


def twice():
    inputs = keras.Input((2,))
    dense = layers.Dense(2, name="shared")
    return keras.Model(inputs, dense(dense(inputs)))


def states():
    inputs = keras.Input((4, 2))
    x, _, _ = layers.LSTM(3, return_state=True, name="stateful")(inputs)
    return keras.Model(inputs, layers.Dense(1)(x))


def operator():
    inputs = keras.Input((2,))
    return keras.Model(inputs, layers.Dense(1)(inputs + 1.0))


def argument():
    inputs = keras.Input((2,))
    return keras.Model(inputs, layers.Dropout(0.5, name="always")(inputs, training=True))


def attention():
    inputs = keras.Input((4, 2))
    return keras.Model(inputs, layers.MultiHeadAttention(1, 2, name="self")(inputs, inputs))


class Custom(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


def custom():
    return Custom([keras.Input((2,)), layers.Dense(1)])


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, inputs):
        return self.dense(inputs)


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (two_inputs, r"layer 'merge' \(Add\) has 2 inputs"),
        pytest.param(unused_input, "model 'functional' has 2 inputs", marks=needs_unread_inputs),
        (two_outputs, "has 2 outputs"),
        (skip, r"layer 'fork' \(Dense\) has 2 consumers"),
        (twice, r"layer 'shared' \(Dense\) is called more than once"),
        (states, r"layer 'stateful' \(LSTM\) has 3 outputs"),
        (operator, r"operation 'add' \(Add\) is no layer"),
        (argument, r"layer 'always' \(Dropout\) is called with training=True"),
        (attention, r"layer 'input_layer' \(InputLayer\) has 2 consumers"),
        (custom, r"is a Custom with its own train_step\(\)"),
    ],
)
def test_what_is_not_linear_is_named(builder, message):
    with pytest.raises(InputError, match=f"{message}.*pass candidate=") as error:
        _ = Twins(builder).candidate
    assert "\n" not in str(error.value)


def test_a_subclassed_model_has_no_twin():
    with pytest.raises(InputError, match=r"Subclassed.*pass candidate="):
        _ = Twins(Subclassed, input_shape=(2,)).candidate


def own_mask():
    inputs = keras.Input((4, 2))
    mask = keras.ops.any(keras.ops.not_equal(inputs, 0.0), axis=-1)
    return keras.Model(inputs, layers.LSTM(2, name="masked")(inputs, mask=mask))


def test_a_mask_of_the_users_own_is_an_input():
    with pytest.raises(InputError, match=r"'input_layer' \(InputLayer\) has 2 consumers"):
        _ = Twins(own_mask).candidate


def test_a_model_without_layers_is_refused():
    inputs = keras.Input((2,))
    hidden = layers.Dense(2)(inputs)
    model = keras.Model(inputs, hidden)
    assert isinstance(derive(model), keras.Sequential)
    with pytest.raises(InputError, match="has no layers"):
        derive(keras.Model(inputs, inputs))


def test_the_name_of_the_other_api():
    assert api_of_twin(keras.Sequential()) == "functional"
    assert api_of_twin(chain()) == "Sequential"
