"""Random chains of layers: the derived twin and the rebuilt copy are the model, bit for bit."""

import keras
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from keras import layers

from pytest_kerasequiv import Twins
from pytest_kerasequiv.weights.variables import values_of

STEPS, FEATURES = 6, 3
X = np.random.default_rng(0).normal(size=(3, STEPS, FEATURES)).astype("float32")

units = st.integers(1, 3)
activations = st.sampled_from(["linear", "relu", "tanh", lambda x: x * 2])
rates = st.sampled_from([0.0, 0.3])


def layer(kind, **arguments):
    """A recipe: hypothesis draws it once, each build makes a layer of its own from it."""
    return st.fixed_dictionaries(arguments).map(lambda drawn: (kind, drawn))


sequences = st.one_of(
    layer(layers.Dense, units=units, activation=activations),
    layer(layers.Conv1D, filters=units, kernel_size=units, padding=st.sampled_from(["same", "causal"])),
    layer(layers.SeparableConv1D, filters=units, kernel_size=units, padding=st.just("same")),
    layer(layers.LSTM, units=units, return_sequences=st.just(True), dropout=rates),
    layer(layers.GRU, units=units, return_sequences=st.just(True), recurrent_dropout=rates),
    layer(lambda units: layers.Bidirectional(layers.SimpleRNN(units, return_sequences=True)), units=units),
    layer(lambda units: layers.TimeDistributed(layers.Dense(units)), units=units),
    layer(layers.BatchNormalization),
    layer(layers.LayerNormalization),
    layer(layers.Dropout, rate=rates, seed=st.sampled_from([None, 7])),
    layer(layers.SpatialDropout1D, rate=rates),
    layer(layers.GaussianNoise, stddev=st.just(0.5)),
    layer(layers.MaxPooling1D, pool_size=units, padding=st.just("same")),
    layer(layers.Masking, mask_value=st.just(0.0)),
    layer(lambda factor: layers.Lambda(lambda x: x * factor), factor=st.sampled_from([0.5, 2.0])),
    layer(lambda units: keras.Sequential([layers.Dense(units), layers.Dropout(0.3)]), units=units),
)
ends = st.one_of(layer(layers.Flatten), layer(layers.GlobalAveragePooling1D), layer(layers.LSTM, units=units))
chains = st.tuples(st.lists(sequences, min_size=1, max_size=5), ends).map(lambda drawn: [*drawn[0], drawn[1]])


def sequential(recipe):
    def build():
        return keras.Sequential([keras.Input((STEPS, FEATURES)), *(kind(**drawn) for kind, drawn in recipe)])

    return build


def functional(recipe):
    def build():
        x = inputs = keras.Input((STEPS, FEATURES))
        for kind, drawn in recipe:
            x = kind(**drawn)(x)
        return keras.Model(inputs, x)

    return build


def assert_same(one, other):
    for mine, its in zip(values_of(one), values_of(other), strict=True):
        np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(one(X), other(X))
    np.testing.assert_array_equal(one(X, training=True), other(X, training=True))
    for mine, its in zip(values_of(one), values_of(other), strict=True):
        np.testing.assert_array_equal(mine, its)


few = settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@few
@given(chains, st.sampled_from([sequential, functional]), st.integers(0, 2**31))
def test_a_derived_twin_is_the_model(recipe, api, seed):
    twins = Twins(api(recipe))
    assert isinstance(twins.candidate, keras.Sequential) != isinstance(twins.reference, keras.Sequential)
    assert_same(twins.reference, twins.candidate)
    assert_same(twins.reference_source.build(seed), twins.candidate_source.build(seed))


@few
@given(chains, st.integers(0, 2**31))
def test_two_builders_start_alike_and_leave_the_caller_alone(recipe, seed):
    keras.utils.set_random_seed(seed)
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the legacy state is what must not move
    twins = Twins(sequential(recipe), functional(recipe))
    assert_same(twins.reference, twins.candidate)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


@few
@given(chains, st.sampled_from([sequential, functional]))
def test_a_copy_of_a_model_is_the_model(recipe, api):
    model = api(recipe)()
    twins = Twins(model)
    assert_same(twins.reference, twins.candidate)
    for mine, its in zip(values_of(model), values_of(Twins(model).reference), strict=True):
        np.testing.assert_array_equal(mine, its)
