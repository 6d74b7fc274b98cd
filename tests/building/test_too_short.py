"""A too short input is explained: layer, what it gets, what it needs, the shortest input that works."""

import keras
import pytest
from keras import layers
from keras.src.backend.common import global_state

from pytest_kerasequiv import InputError, Twins
from pytest_kerasequiv.building.too_short import diagnose
from pytest_kerasequiv.keras_access.zero_lengths import zero_lengths_refused


def forecaster(steps=None):
    return keras.Sequential(
        [
            *([keras.Input((steps, 2))] if steps else []),
            layers.Conv1D(4, 7, activation="relu"),
            layers.Conv1D(6, 11, activation="relu"),
            layers.LSTM(5, return_sequences=True, activation="relu"),
            layers.Dropout(0.2),
            layers.LSTM(5, activation="relu"),
            layers.Dense(2, activation="relu"),
            layers.Reshape((1, 2)),
        ]
    )


def functional():
    inputs = keras.Input((15, 2))
    x = layers.Conv1D(4, 7)(inputs)
    x = layers.Conv1D(6, 11)(x)
    return keras.Model(inputs, layers.Flatten()(x))


def built_by_shape():
    model = forecaster()
    model.build((None, 15, 2))
    return model


@pytest.mark.parametrize("make", [lambda: forecaster(15), built_by_shape, functional])
def test_the_question_at_15_steps(make):
    found = diagnose(make)
    assert (found.layer, found.kind, found.axes, found.gets, found.needs) == (
        "conv1d_1",
        "Conv1D",
        (1,),
        (9,),
        (11,),
    )
    assert found.input_shape == (None, 15, 2)
    assert found.shortest == (None, 17, 2)
    text = found.message("candidate 'functional'")
    for part in (
        "candidate 'functional'",
        "(15, 2)",
        "'conv1d_1'",
        "kernel_size=11",
        "gets 9 steps",
        "at least 11",
        "17",
    ):
        assert part in text


def test_twins_say_it_instead_of_keras():
    with pytest.raises(
        InputError, match=r"candidate 'functional'.*gets 9 steps.*at least 11.*17 steps"
    ) as error:
        _ = Twins(forecaster, functional).reference
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_the_sequential_takes_the_shape_from_input_shape():
    with pytest.raises(InputError, match=r"reference 'forecaster'.*'conv1d_1'.*input shape \(17, 2\)"):
        _ = Twins(forecaster, input_shape=(15, 2)).reference


def image_model(height, width, data_format="channels_last"):
    shape = (height, width, 3) if data_format == "channels_last" else (3, height, width)
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(4, (3, 5), data_format=data_format),
            layers.MaxPooling2D((2, 4), data_format=data_format),
            layers.Conv2D(2, 3, dilation_rate=(2, 1), data_format=data_format),
            layers.GlobalAveragePooling2D(data_format=data_format),
            layers.Dense(1),
        ]
    )


def test_two_axes_at_once():
    found = diagnose(lambda: image_model(9, 15))
    assert found.axes == (1, 2)
    assert found.gets == (3, 2)
    assert found.needs == (5, 3)
    assert "kernel_size=(3, 3), dilation_rate=(2, 1)" in found.window
    assert found.shortest == (None, 12, 16, 3)
    image_model(12, 16)


def test_one_axis_of_two():
    found = diagnose(lambda: image_model(30, 15))
    assert found.axes == (2,)
    assert found.shortest == (None, 30, 16, 3)


def test_a_later_layer_may_lack_on_another_axis():
    def make(height=4, width=6):
        return keras.Sequential(
            [
                keras.Input((height, width, 1)),
                layers.Conv2D(1, (5, 2)),
                layers.Conv2D(1, (1, 6)),
                layers.Flatten(),
            ]
        )

    found = diagnose(make)
    assert found.axes == (1,)
    assert found.shortest == (None, 5, 7, 1)
    make(5, 7)


def test_an_axis_that_was_moved_is_not_promised():
    def make():
        return keras.Sequential([keras.Input((9, 2)), layers.Permute((2, 1)), layers.Conv1D(1, 3)])

    found = diagnose(make)
    assert (found.gets, found.needs, found.shortest) == ((2,), (3,), None)


def test_pooling_and_strides():
    def make(steps=12):
        return keras.Sequential(
            [
                keras.Input((steps, 1)),
                layers.Conv1D(2, 3, strides=2),
                layers.AveragePooling1D(2),
                layers.MaxPooling1D(3, strides=1),
                layers.Flatten(),
            ]
        )

    found = diagnose(make)
    assert (found.kind, found.window, found.gets, found.needs) == ("MaxPooling1D", "pool_size=3", (2,), (3,))
    length = found.shortest[1]
    make(length)
    with zero_lengths_refused(), pytest.raises(ValueError, match="negative"):
        make(length - 1)


def test_a_later_layer_that_needs_still_more_counts():
    def make(steps=5):
        inputs = keras.Input((steps, 1))
        x = layers.Conv1D(2, 7)(inputs)
        x = layers.MaxPooling1D(4)(x)
        return keras.Model(inputs, layers.Conv1D(1, 3)(x))

    found = diagnose(make)
    assert (found.layer, found.gets, found.needs) == ("conv1d", (5,), (7,))
    assert found.shortest == (None, 18, 1)
    make(18)


def test_three_dimensions_and_channels_first_shapes():
    def make(depth=2):
        return keras.Sequential([keras.Input((depth, 8, 8, 1)), layers.Conv3D(1, 3)])

    assert diagnose(make).shortest == (None, 3, 8, 8, 1)


def test_inside_a_time_distributed_no_shortest_is_claimed():
    def make():
        return keras.Sequential([keras.Input((4, 2, 8, 1)), layers.TimeDistributed(layers.Conv2D(1, 3))])

    found = diagnose(make)
    assert (found.layer, found.gets, found.needs) == ("conv2d", (2,), (3,))
    assert found.shortest is None
    assert "padding='same'" in found.message("reference 'm'")


def test_a_builder_with_two_inputs_claims_no_shortest():
    def make():
        one, other = keras.Input((4, 1)), keras.Input((4, 1))
        x = layers.Concatenate()([one, other])
        return keras.Model([one, other], layers.Conv1D(1, 5)(x))

    found = diagnose(make)
    assert found.gets == (4,)
    assert found.shortest is None


def test_a_fixed_reshape_gives_no_wrong_promise():
    def make():
        inputs = keras.Input((5, 1))
        x = layers.Reshape((5, 1))(inputs)
        return keras.Model(inputs, layers.Conv1D(1, 7)(x))

    found = diagnose(make)
    assert found.gets == (5,)
    assert found.shortest is None


def test_other_failures_are_not_explained():
    assert diagnose(lambda: 1 / 0) is None
    assert diagnose(lambda: keras.Sequential([keras.Input((3,)), layers.Conv1D(1, 2)])) is None
    assert diagnose(lambda: forecaster(60)) is None


def test_the_world_is_as_before():
    import random

    random.seed(1)
    expected = random.random()
    random.seed(1)
    diagnose(functional)
    assert random.random() == expected
    assert keras.config.is_traceback_filtering_enabled()
    assert not global_state.get_global_attribute("uninitialized_variables")
    assert keras.Input((15, 2)).shape == (None, 15, 2)


def test_the_search_gives_up_in_time(monkeypatch):
    monkeypatch.setattr("pytest_kerasequiv.building.too_short._BUDGET_SECONDS", -1.0)
    found = diagnose(functional)
    assert found.needs == (11,)
    assert found.shortest is None


def test_an_axis_that_was_long_enough_stays():
    def make(height=4, width=30):
        return keras.Sequential(
            [keras.Input((height, width, 1)), layers.Conv2D(1, (3, 2)), layers.Conv2D(1, (4, 3))]
        )

    assert diagnose(make).shortest == (None, 6, 30, 1)
    with zero_lengths_refused(), pytest.raises(ValueError, match="negative"):
        make(5)


def test_several_paths_from_one_input():
    def make():
        inputs = keras.Input((4, 1))
        x = layers.Add()([layers.Dense(1)(inputs), layers.Dense(1)(inputs)])
        return keras.Model(inputs, layers.Conv1D(1, 6)(x))

    assert diagnose(make).shortest == (None, 6, 1)
